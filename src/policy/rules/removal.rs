//! Removing a whole tree that is not the workspace's to remove.

use super::super::field::Field;
use super::super::paths::{Place, place};
use super::{Invocation, Rule, Scene};

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
        "rm /etc",
        "find . -name '*.pyc' -delete",
    ],
};

fn matches(invocation: &Invocation<'_>, scene: &Scene<'_>) -> bool {
    invocation.program == "rm"
        && is_recursive(invocation.args)
        && operands(invocation.args).any(|target| {
            matches!(
                place(target, scene.cwd, scene.root),
                Place::Workspace | Place::Home | Place::System | Place::Outside
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
