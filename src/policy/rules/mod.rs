//! The table of rules. A rule is a name, a reason, an advice, a check of one resolved command, and examples of what it
//! must and must not match; each example is a test.

mod download;
mod outside_write;
mod privilege;
mod removal;

use super::Refusal;
use super::field::Field;
use super::programs::Program;

/// A command about to be started, as the rules see it: wrappers off, words expanded.
#[derive(Debug)]
pub(super) struct Invocation<'a> {
    /// The program's name without its directory; empty for a bare redirection.
    pub(super) program: &'a str,
    /// Its arguments.
    pub(super) args: &'a [Field],
    /// It would execute something that was downloaded.
    pub(super) runs_download: bool,
    /// Targets of redirections that write.
    pub(super) writes: Vec<Field>,
    shown: &'a [Field],
}

impl<'a> Invocation<'a> {
    pub(super) fn new(program: &'a str, shown: &'a [Field]) -> Self {
        Self {
            program,
            args: &[],
            runs_download: false,
            writes: Vec::new(),
            shown,
        }
    }

    pub(super) fn of(program: &'a Program, shown: &'a [Field], args: &'a [Field]) -> Self {
        Self {
            args,
            ..Self::new(program.name(), shown)
        }
    }

    pub(super) fn writing(mut self, writes: Vec<Field>) -> Self {
        self.writes = writes;
        self
    }

    pub(super) fn running_download(mut self) -> Self {
        self.runs_download = true;
        self
    }

    fn subject(&self) -> String {
        let words: Vec<String> = self.shown.iter().take(32).map(Field::shown).collect();
        shorten(&words.join(" "))
    }
}

/// Where the command would run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) root: &'a [u8],
    /// `None`: not known.
    pub(super) cwd: Option<&'a [u8]>,
    pub(super) refuse_outside_writes: bool,
}

/// One entry of the table.
pub(super) struct Rule {
    /// Part of the public API.
    pub(super) name: &'static str,
    /// Goes on after the command: "… removes …".
    pub(super) reason: &'static str,
    /// A sentence.
    pub(super) advice: &'static str,
    pub(super) matches: fn(&Invocation<'_>, &Scene<'_>) -> bool,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests"))]
    pub(super) must_match: &'static [&'static str],
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests"))]
    pub(super) must_not_match: &'static [&'static str],
}

/// Every rule, in the order in which they are asked.
pub(super) const RULES: &[Rule] = &[
    TOO_DEEP,
    privilege::RULE,
    removal::RULE,
    download::RULE,
    outside_write::RULE,
];

/// Matched by the readers, not by a command.
const TOO_DEEP: Rule = Rule {
    name: "too-deep",
    reason: "nests more deeply than a command can be judged",
    advice: "Split it into several commands, or write it into a script file in the workspace and run that.",
    matches: |_, _| false,
    must_match: &[
        "((((((((((((((((((((rm x))))))))))))))))))))",
        "{ { { { { { { { { { { { { { { { { { rm x; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }",
    ],
    must_not_match: &["( ( ( (rm x) ) ) )", "{ { { { rm x; }; }; }; }"],
};

/// The refusal of a text that nests too deeply.
pub(super) fn too_deep(text: &str) -> Refusal {
    refusal(&TOO_DEEP, shorten(text))
}

/// The refusal of the first rule that matches.
pub(super) fn first_match(invocation: &Invocation<'_>, scene: &Scene<'_>) -> Option<Refusal> {
    let rule = RULES
        .iter()
        .find(|rule| (rule.matches)(invocation, scene))?;
    Some(refusal(rule, invocation.subject()))
}

fn refusal(rule: &Rule, subject: String) -> Refusal {
    Refusal {
        rule: rule.name,
        reason: rule.reason,
        advice: rule.advice,
        subject,
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 120;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{PolicyContext, judge};

    #[test]
    fn every_example_of_every_rule_holds() {
        for rule in RULES {
            let context = PolicyContext {
                root_dir: b"/srv/workspace",
                cwd: b"/srv/workspace",
                refuse_outside_writes: rule.name == "outside-write",
            };
            assert!(!rule.must_match.is_empty() && !rule.must_not_match.is_empty());
            for example in rule.must_match {
                let refusal = judge(example, &context).expect_err(example);
                assert_eq!(refusal.rule, rule.name, "{example}");
            }
            for example in rule.must_not_match {
                assert_eq!(judge(example, &context), Ok(()), "{example}");
            }
        }
    }
}
