//! Reads the arguments of programs as their own parsers would, as far as the rules need it.

use super::super::field::Field;

/// Whether a group of short options holds one of these letters, before any letter whose value is the rest.
pub(super) fn has_short(shape: &str, letters: &str, valued: &str) -> bool {
    let Some(rest) = shape.strip_prefix('-') else {
        return false;
    };
    if rest.starts_with('-') {
        return false;
    }
    for letter in rest.chars() {
        if letters.contains(letter) {
            return true;
        }
        if valued.contains(letter) {
            return false;
        }
    }
    false
}

/// Whether this is a long option, or a beginning of it that GNU programs take for it; with or without a value.
pub(super) fn is_long(shape: &str, option: &str) -> bool {
    let name = shape.split('=').next().unwrap_or_default();
    name.len() > 3 && option.starts_with(name)
}

/// Whether a program is only asked about itself.
pub(super) fn only_asks(shapes: &[String]) -> bool {
    matches!(
        shapes.first().map(String::as_str),
        Some("--help" | "--version")
    )
}

/// The arguments that are neither options nor values of these options.
pub(super) fn operands<'a>(args: &'a [Field], valued: &'a [&str]) -> Vec<&'a Field> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut options = true;
    while let Some(argument) = args.get(at) {
        let shape = argument.shape();
        if options && shape == "--" {
            options = false;
        } else if options && shape.starts_with('-') && shape != "-" {
            at += usize::from(valued.contains(&shape.as_str()));
        } else {
            found.push(argument);
        }
        at += 1;
    }
    found
}

/// The first arguments that are no options, as text.
pub(super) fn words(shapes: &[String]) -> (&str, &str) {
    let mut words = shapes
        .iter()
        .map(String::as_str)
        .filter(|shape| !shape.starts_with('-'));
    (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    )
}
