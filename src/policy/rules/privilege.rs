//! Becoming another user.

use super::Rule;

const PROGRAMS: &[&str] = &["sudo", "sudoedit", "doas", "su", "pkexec"];

pub(super) const RULE: Rule = Rule {
    name: "privilege-escalation",
    reason: "would run with another user's rights",
    advice: "Run the command as the workspace's own user; install tools into the workspace, or ask the operator.",
    matches: |invocation, _| PROGRAMS.contains(&invocation.program),
    must_match: &[
        "sudo apt-get install jq",
        "su - root",
        "doas ls",
        "pkexec true",
        "/usr/bin/sudo -n true",
        "env X=1 sudo ls",
    ],
    must_not_match: &["grep -r sudo .", "man sudo", "command -v sudo", "echo sudo"],
};
