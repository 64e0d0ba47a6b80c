//! Removing a whole tree that is not the workspace's to remove.

use super::super::field::Field;
use super::super::paths::Place;
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "recursive-removal",
    reason: "would remove a whole tree outside the workspace, or the workspace itself",
    advice: "Name what to remove inside the workspace by a relative path, such as `rm -rf ./build`.",
    matches,
    must_match: &[
        "rm -rf /",
        "rm -rf /*",
        "rm -fr --no-preserve-root /",
        "rm -r -f ~",
        "rm -rf \"$HOME\"",
        "rm -rf \"$UNSET/\"",
        "rm -rf /etc",
        "rm -rf ../other",
        "rm -rf /srv/workspace",
        "cd / && rm -rf *",
        "find / -delete",
    ],
    must_not_match: &[
        "rm -rf ./dist",
        "rm -rf node_modules",
        "rm -rf /srv/workspace/build",
        "rm -rf .",
        "rm -rf ./*",
        "rm -rf ~/.cache/pip",
        "rm -rf \"$BUILD_DIR\"",
        "rm -rf /tmp/build",
        "apt-get update && apt-get install -y jq && rm -rf /var/lib/apt/lists/*",
        "find . -name '*.pyc' -delete",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    case.invocation.program == "rm"
        && is_recursive(case.invocation.args)
        && operands(case.invocation.args).any(|target| {
            !matches!(
                case.place(target),
                Place::Inside | Place::Here | Place::Temporary
            )
        })
}

fn is_recursive(args: &[Field]) -> bool {
    args.iter()
        .map(Field::shape)
        .take_while(|shape| shape != "--")
        .any(|shape| match shape.strip_prefix("--") {
            // GNU programs take every unambiguous beginning of a long option.
            Some(long) => !long.is_empty() && "recursive".starts_with(long),
            None => shape.starts_with('-') && shape.contains(['r', 'R']),
        })
}

/// The arguments that are no options.
fn operands(args: &[Field]) -> impl Iterator<Item = &Field> {
    let end = args
        .iter()
        .position(|a| a.shape() == "--")
        .unwrap_or(args.len());
    args.iter()
        .enumerate()
        .filter(move |(at, argument)| {
            *at > end || (*at < end && !argument.shape().starts_with('-'))
        })
        .map(|(_, argument)| argument)
}
