//! The order in which everything is found.

use std::cmp::Ordering;

/// Compares paths component by component, names in byte order: a directory stands right before what is in it, and
/// nothing stands between, as in the output of `tree(1)`. (Plain byte order would put `a.txt` between `a` and `a/b`.)
#[must_use]
pub fn path_order(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.iter().zip(b).position(|(x, y)| x != y);
    match common {
        // A slash ends a component, so it sorts below every byte that a name can hold.
        Some(at) => rank(a[at]).cmp(&rank(b[at])),
        None => a.len().cmp(&b.len()),
    }
}

fn rank(byte: u8) -> u8 {
    if byte == b'/' { 0 } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_right_before_what_is_in_it() {
        let mut paths = ["a.txt", "a/b", "b", "a", "a/b/c", "a/b!", "", "a/a"];
        paths.sort_by(|x, y| path_order(x.as_bytes(), y.as_bytes()));
        assert_eq!(
            paths,
            ["", "a", "a/a", "a/b", "a/b/c", "a/b!", "a.txt", "b"]
        );
    }
}
