//! Thousands of spellings of what each rule refuses, made by a generator from the rule's own examples and a few more
//! texts: words quoted, escaped and put together from variables; programs wrapped; whole texts nested. Texts only:
//! nothing here is ever executed.

mod bases;
mod nests;
mod words;

use std::collections::{BTreeMap, HashSet};

use super::super::bounded::judge_here;
use super::super::rules::RULES;
use super::super::shell::ReadBy;
use super::super::{PolicyContext, is_harmless};
use super::INSIDE;
use super::random::Random;

/// How many spellings of each rule are judged.
const SPELLINGS: usize = 2_500;

/// The spellings of a rule, each different from all others; always the same ones.
pub fn spellings(rule: &str) -> Vec<String> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let bases = bases::of(rule);
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for attempt in 0..SPELLINGS * 20 {
        if found.len() == SPELLINGS {
            break;
        }
        let text = if rule == "too-deep" {
            nests::deep(&mut random)
        } else {
            let base = bases[attempt % bases.len()];
            let text = words::spell(base, &mut random);
            let levels = random.below(3);
            (0..levels).fold(text, |text, _| nests::nest(&text, &mut random))
        };
        if seen.insert(text.clone()) {
            found.push(text);
        }
    }
    found
}

pub fn context_of(rule: &str) -> PolicyContext<'static> {
    PolicyContext {
        refuse_outside_writes: rule == "outside-write",
        ..INSIDE
    }
}

/// Judges every spelling of a rule by both readers and by the glance.
fn assert_none_passes(rule: &str) {
    let context = context_of(rule);
    let all = spellings(rule);
    assert_eq!(all.len(), SPELLINGS, "{rule}: too few spellings");
    let (mut passed, mut others) = (Vec::new(), BTreeMap::new());
    let mut named = 0;
    for text in &all {
        if is_harmless(text, &context) {
            passed.push(format!("glance: {text:?}"));
        }
        let verdicts = [ReadBy::Parser, ReadBy::Tokens].map(|reader| {
            let verdict = judge_here(text, &context, reader, None);
            (
                reader,
                verdict
                    .expect("within bounds")
                    .err()
                    .map(|refusal| refusal.rule),
            )
        });
        for (reader, verdict) in verdicts {
            match verdict {
                None => passed.push(format!("{reader:?}: {text:?}")),
                Some(name) if name != rule => *others.entry(name).or_insert(0) += 1,
                Some(_) => {}
            }
        }
        named += usize::from(verdicts.iter().all(|(_, verdict)| *verdict == Some(rule)));
    }
    assert!(
        passed.is_empty(),
        "{rule}: {} of {} pass:\n{}",
        passed.len(),
        all.len(),
        passed[..passed.len().min(40)].join("\n")
    );
    println!(
        "{rule}: {} spellings, {named} refused by its own name",
        all.len()
    );
    // An earlier rule may come first: `curl x | sudo sh`.
    assert!(
        named >= 2_000,
        "{rule}: {named} by its own name, others {others:?}"
    );
}

macro_rules! rules {
    ($($test:ident => $rule:literal,)*) => {
        const TESTED: &[&str] = &[$($rule),*];

        $(#[test]
        fn $test() {
            super::on_a_large_stack(|| assert_none_passes($rule));
        })*
    };
}

rules! {
    no_spelling_of_too_deep_passes => "too-deep",
    no_spelling_of_privilege_escalation_passes => "privilege-escalation",
    no_spelling_of_recursive_removal_passes => "recursive-removal",
    no_spelling_of_raw_device_passes => "raw-device",
    no_spelling_of_outside_destruction_passes => "outside-destruction",
    no_spelling_of_system_control_passes => "system-control",
    no_spelling_of_reverse_shell_passes => "reverse-shell",
    no_spelling_of_download_and_run_passes => "download-and-run",
    no_spelling_of_fork_bomb_passes => "fork-bomb",
    no_spelling_of_system_write_passes => "system-write",
    no_spelling_of_outside_write_passes => "outside-write",
}

#[test]
fn every_rule_has_its_spellings() {
    let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names, TESTED);
}
