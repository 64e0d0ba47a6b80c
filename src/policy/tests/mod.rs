//! Judgements by table, each by the parser and by the token reader. No text here is ever executed.

mod allowed;
mod bomb_texts;
mod bombs;
mod dangerous;
mod downloads;
mod everyday;
mod fuzz;
mod random;
mod spellings;

use super::bounded::judge_here;
use super::shell::ReadBy;
use super::{PolicyContext, Refusal, judge};

pub(super) const INSIDE: PolicyContext<'static> = PolicyContext {
    root_dir: b"/srv/workspace",
    cwd: b"/srv/workspace",
    refuse_outside_writes: false,
};

/// Judging on the thread of the caller needs a stack like that of a judgement.
fn on_a_large_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(work);
    if let Err(panic) = thread.expect("a thread").join() {
        std::panic::resume_unwind(panic);
    }
}

/// Every way in which a command may come to be judged.
fn verdicts(command: &str) -> [(&'static str, Result<(), Refusal>); 3] {
    let by = |reader| judge_here(command, &INSIDE, reader, None).expect("within bounds");
    [
        ("judge", judge(command, &INSIDE)),
        ("parser", by(ReadBy::Parser)),
        ("tokens", by(ReadBy::Tokens)),
    ]
}

fn wrong_verdicts(commands: &[&str], rule: Option<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    for command in commands {
        for (how, verdict) in verdicts(command) {
            if verdict.as_ref().err().map(|refusal| refusal.rule) != rule {
                wrong.push(format!("{how}: {command:?}: {verdict:?}"));
            }
        }
    }
    wrong
}

fn assert_all(commands: &[&str], least: usize, rule: Option<&str>) {
    assert!(commands.len() >= least, "only {}", commands.len());
    let wrong = wrong_verdicts(commands, rule);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn everyday_work_passes() {
    assert_all(allowed::ALLOWED, 200, None);
}

#[test]
fn a_recursive_removal_of_a_root_is_refused_however_it_is_spelled() {
    assert_all(dangerous::REMOVAL, 150, Some("recursive-removal"));
}

#[test]
fn becoming_another_user_is_refused_however_it_is_spelled() {
    assert_all(dangerous::PRIVILEGE, 75, Some("privilege-escalation"));
}

#[test]
fn running_a_download_is_refused_however_it_is_spelled() {
    let (both, rest): (Vec<&str>, Vec<&str>) =
        downloads::DOWNLOAD.iter().partition(|c| c.contains("sudo"));
    assert!(both.is_empty());
    assert_all(&rest, 100, Some("download-and-run"));
}
