//! The table of rules. A rule is a name, a reason, an advice, a check of one resolved command, and examples of what it
//! must and must not match; each example is a test.

mod arguments;
mod control;
mod control_network;
mod destruction;
mod device;
mod download;
mod fork_bomb;
mod outside_write;
mod privilege;
mod removal;
mod reverse_shell;
mod system_write;
mod targets;

use super::Refusal;
use super::field::Field;
use super::paths::{self, Place};
use super::programs::Program;

/// A command about to be started, as the rules see it: wrappers off, words expanded.
#[derive(Debug)]
pub(super) struct Invocation<'a> {
    /// The program's name without its directory; empty for a bare redirection.
    pub(super) program: &'a str,
    /// As the command names it.
    pub(super) path: &'a str,
    /// Its arguments.
    pub(super) args: &'a [Field],
    /// The program is a file of the workspace.
    pub(super) own: bool,
    /// It would execute something that was downloaded.
    pub(super) runs_download: bool,
    /// It is a shell whose commands come, or whose output goes, over the network.
    pub(super) connects_shell: bool,
    /// It would start processes without end.
    pub(super) forks: bool,
    /// Targets of redirections that write.
    pub(super) writes: Vec<Field>,
    shown: &'a [Field],
}

impl<'a> Invocation<'a> {
    pub(super) fn new(program: &'a str, shown: &'a [Field]) -> Self {
        Self {
            program,
            path: "",
            args: &[],
            own: false,
            runs_download: false,
            connects_shell: false,
            forks: false,
            writes: Vec::new(),
            shown,
        }
    }

    pub(super) fn of(program: &'a Program, shown: &'a [Field], args: &'a [Field]) -> Self {
        Self {
            path: program.written(),
            args,
            ..Self::new(program.name(), shown)
        }
    }

    pub(super) fn owned(mut self, own: bool) -> Self {
        self.own = own;
        self
    }

    pub(super) fn writing(mut self, writes: Vec<Field>) -> Self {
        self.writes = writes;
        self
    }

    pub(super) fn running_download(mut self) -> Self {
        self.runs_download = true;
        self
    }

    pub(super) fn connecting_shell(mut self) -> Self {
        self.connects_shell = true;
        self
    }

    pub(super) fn forking(mut self) -> Self {
        self.forks = true;
        self
    }

    /// The program, unless it is a file of the workspace that only has the name of one.
    fn system_program(&self) -> &str {
        if self.own { "" } else { self.program }
    }

    /// The arguments as text.
    fn shapes(&self) -> Vec<String> {
        self.args.iter().map(Field::shape).collect()
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

/// What the rules are asked about.
pub(super) struct Case<'a> {
    invocation: &'a Invocation<'a>,
    scene: &'a Scene<'a>,
    /// Where it would write: the targets of its redirections, and of the program by its arguments.
    written: Vec<Place>,
}

impl Case<'_> {
    /// Whether it would write to a place of which this holds.
    fn writes_to(&self, holds: fn(Place) -> bool) -> bool {
        self.written.iter().any(|place| holds(*place))
    }

    fn place(&self, target: &Field) -> Place {
        paths::place(target, self.scene.cwd, self.scene.root)
    }

    fn place_as_written(&self, target: &Field) -> Place {
        paths::place_as_written(target, self.scene.cwd, self.scene.root)
    }
}

/// One entry of the table.
pub(super) struct Rule {
    /// Part of the public API.
    pub(super) name: &'static str,
    /// Goes on after the command: "… removes …".
    pub(super) reason: &'static str,
    /// A sentence.
    pub(super) advice: &'static str,
    pub(super) matches: fn(&Case<'_>) -> bool,
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
    device::RULE,
    destruction::RULE,
    control::RULE,
    reverse_shell::RULE,
    download::RULE,
    fork_bomb::RULE,
    system_write::RULE,
    outside_write::RULE,
];

/// Matched by the readers, not by a command.
const TOO_DEEP: Rule = Rule {
    name: "too-deep",
    reason: "nests more deeply than a command can be judged",
    advice: "Split it into several commands, or write it into a script file in the workspace and run that.",
    matches: |_| false,
    must_match: &[
        "((((((((((((((((((((date x))))))))))))))))))))",
        "{ { { { { { { { { { { { { { { { { { date x; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }; }",
    ],
    must_not_match: &["( ( ( (date x) ) ) )", "{ { { { date x; }; }; }; }"],
};

/// The refusal of a text that nests too deeply.
pub(super) fn too_deep(text: &str) -> Refusal {
    refusal(&TOO_DEEP, shorten(text))
}

/// The refusal of the first rule that matches.
pub(super) fn first_match(invocation: &Invocation<'_>, scene: &Scene<'_>) -> Option<Refusal> {
    let targets = targets::of(invocation.program, invocation.args);
    let case = Case {
        invocation,
        scene,
        written: invocation
            .writes
            .iter()
            .chain(&targets)
            .map(|target| paths::place_as_written(target, scene.cwd, scene.root))
            .collect(),
    };
    let rule = RULES.iter().find(|rule| (rule.matches)(&case))?;
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
    use crate::policy::bounded::judge_here;
    use crate::policy::shell::ReadBy;
    use crate::policy::{PolicyContext, judge};

    #[test]
    fn every_example_of_every_rule_holds() {
        let mut wrong = Vec::new();
        for rule in RULES {
            let context = PolicyContext {
                root_dir: b"/srv/workspace",
                cwd: b"/srv/workspace",
                refuse_outside_writes: rule.name == "outside-write",
            };
            assert!(!rule.must_match.is_empty() && !rule.must_not_match.is_empty());
            let matched = rule.must_match.iter().map(|text| (*text, Some(rule.name)));
            let passed = rule.must_not_match.iter().map(|text| (*text, None));
            for (example, expected) in matched.chain(passed) {
                let by = |reader| judge_here(example, &context, reader, None).expect("in bounds");
                for verdict in [
                    judge(example, &context),
                    by(ReadBy::Parser),
                    by(ReadBy::Tokens),
                ] {
                    if verdict.as_ref().err().map(|refusal| refusal.rule) != expected {
                        wrong.push(format!("{}: {example:?}: {verdict:?}", rule.name));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
