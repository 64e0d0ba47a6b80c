//! The only place where text becomes a path. What comes out cannot name anything above its root;
//! that links on the disk cannot lead out either is the business of `sys`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorCode, Result};

/// The longest path the kernel takes, its terminating NUL included.
const PATH_MAX: usize = 4096;
/// The longest name of one component, in bytes.
const NAME_MAX: usize = 255;

/// A path beneath a root.
///
/// Invariants: components are separated by one `/`; there is no leading or trailing `/`, no empty, `.` or `..`
/// component, no NUL, no component over 255 bytes; the whole is under 4,096 bytes. The root itself is the empty path.
/// Bytes, not text: a file name on Unix need not be UTF-8.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// The root itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads a path as a caller of any door writes it, for a workspace whose absolute path is `root`:
    /// relative to the root; absolute and inside the root, as it is; absolute elsewhere, with its leading
    /// slash taken off. `..` is resolved as text.
    ///
    /// # Errors
    /// `PATH_ESCAPE_ATTEMPT` where `..` would leave the root, `INVALID_PATH` for NUL and for over-long names.
    pub fn parse(input: &[u8], root: &[u8]) -> Result<Self> {
        if is_normal(input) {
            return Ok(Self(input.to_vec()));
        }
        Self::normalise(input, root).map_err(|error| error.at(String::from_utf8_lossy(input)))
    }

    fn normalise(input: &[u8], root: &[u8]) -> Result<Self> {
        let beneath = if input.first() == Some(&b'/') {
            strip_root(input, root).unwrap_or(input)
        } else {
            input
        };
        if beneath.contains(&0) {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "a path cannot contain a NUL character",
            ));
        }
        let mut out: Vec<u8> = Vec::with_capacity(beneath.len());
        for component in beneath.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." if out.is_empty() => {
                    return Err(Error::new(
                        ErrorCode::PathEscapeAttempt,
                        "the path leaves the workspace; use a path inside it",
                    ));
                }
                b".." => out.truncate(out.iter().rposition(|&b| b == b'/').unwrap_or(0)),
                name if name.len() > NAME_MAX => {
                    return Err(Error::new(
                        ErrorCode::InvalidPath,
                        "a name in the path is longer than 255 bytes",
                    ));
                }
                name => {
                    if !out.is_empty() {
                        out.push(b'/');
                    }
                    out.extend_from_slice(name);
                }
            }
        }
        if out.len() >= PATH_MAX {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "the path is longer than 4,095 bytes",
            ));
        }
        Ok(Self(out))
    }

    /// This path with another below it.
    #[must_use]
    pub fn join(&self, below: &RelPath) -> RelPath {
        match (self.0.is_empty(), below.0.is_empty()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => {
                let mut out = Vec::with_capacity(self.0.len() + 1 + below.0.len());
                out.extend_from_slice(&self.0);
                out.push(b'/');
                out.extend_from_slice(&below.0);
                RelPath(out)
            }
        }
    }

    /// This path with one name below it, as read from a directory.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> RelPath {
        debug_assert!(!name.is_empty() && !name.contains(&b'/') && name != b"." && name != b"..");
        self.join(&RelPath(name.to_vec()))
    }

    /// The directory that holds this path and the name in it; `None` for the root.
    #[must_use]
    pub fn split_last(&self) -> Option<(RelPath, &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|&b| b == b'/') {
            Some(at) => (RelPath(self.0[..at].to_vec()), &self.0[at + 1..]),
            None => (RelPath::root(), &self.0),
        })
    }

    /// Whether this is `ancestor` or lies below it.
    #[must_use]
    pub fn starts_with(&self, ancestor: &RelPath) -> bool {
        ancestor.0.is_empty()
            || (self.0.starts_with(&ancestor.0)
                && matches!(self.0.get(ancestor.0.len()), None | Some(b'/')))
    }

    /// The components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|&b| b == b'/')
            .filter(|component| !component.is_empty())
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes, without a leading slash; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As text, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The absolute path of this below `root`, as bytes.
    #[must_use]
    pub fn beneath(&self, root: &[u8]) -> Vec<u8> {
        if self.0.is_empty() {
            return root.to_vec();
        }
        let mut out = Vec::with_capacity(root.len() + 1 + self.0.len());
        out.extend_from_slice(root);
        if out.last() != Some(&b'/') {
            out.push(b'/');
        }
        out.extend_from_slice(&self.0);
        out
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Only of what keeps the invariants: what comes from elsewhere is never put right.
impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Normal;

        impl Visitor<'_> for Normal {
            type Value = RelPath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path beneath a root, in normal form")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<RelPath, E> {
                match is_normal(bytes) {
                    true => Ok(RelPath(bytes.to_vec())),
                    false => Err(E::custom("the path is not in normal form")),
                }
            }
        }

        deserializer.deserialize_bytes(Normal)
    }
}

/// What of `absolute` lies below `root`: `Some` only on a component boundary, so that `/w/root-evil` is not in `/w/root`.
#[must_use]
pub fn strip_root<'a>(absolute: &'a [u8], root: &[u8]) -> Option<&'a [u8]> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let rest = absolute.strip_prefix(root)?;
    matches!(rest.first(), None | Some(b'/')).then_some(rest)
}

/// Whether the text already keeps the invariants, which is what nearly every call passes.
fn is_normal(input: &[u8]) -> bool {
    if input.is_empty() {
        return true;
    }
    if input.len() >= PATH_MAX {
        return false;
    }
    let mut name_start = 0;
    for at in 0..=input.len() {
        match input.get(at) {
            Some(0) => return false,
            None | Some(b'/') => {
                let name = &input[name_start..at];
                if name.is_empty() || name.len() > NAME_MAX || name == b"." || name == b".." {
                    return false;
                }
                name_start = at + 1;
            }
            Some(_) => {}
        }
    }
    true
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string_lossy())
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({:?})", self.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &str) -> Result<String> {
        RelPath::parse(input.as_bytes(), b"/w/root").map(|path| path.to_string())
    }

    #[test]
    fn relative_paths_are_below_the_root() {
        for (input, expected) in [
            ("a/b", "a/b"),
            ("./a//b/", "a/b"),
            ("a/../b", "b"),
            ("", ""),
            (".", ""),
            ("a/..", ""),
            ("a/b/../../c", "c"),
            ("...", "..."),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(parse(input).unwrap(), expected, "{input:?}");
        }
    }

    #[test]
    fn absolute_paths_inside_the_root_are_used_as_they_are_and_others_lose_their_slash() {
        for (input, expected) in [
            ("/w/root/a", "a"),
            ("/w/root", ""),
            ("/w/root/", ""),
            ("/etc/passwd", "etc/passwd"),
            ("/", ""),
            ("/w/root-evil/a", "w/root-evil/a"),
            ("//w/root/a", "w/root/a"),
        ] {
            assert_eq!(parse(input).unwrap(), expected, "{input:?}");
        }
    }

    #[test]
    fn leaving_the_root_is_an_escape_attempt() {
        for input in [
            "..",
            "../x",
            "a/../../x",
            "/..",
            "/w/root/../x",
            "/w/root/a/../../y",
            "./..",
        ] {
            assert_eq!(
                parse(input).unwrap_err().code(),
                ErrorCode::PathEscapeAttempt,
                "{input:?}"
            );
        }
    }

    #[test]
    fn nul_and_over_long_names_are_invalid() {
        let long_name = "x".repeat(256);
        let long_path = "abcdefg/".repeat(600);
        for input in ["a\0b", long_name.as_str(), long_path.as_str(), "\0"] {
            assert_eq!(parse(input).unwrap_err().code(), ErrorCode::InvalidPath);
        }
        assert!(parse(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn every_result_keeps_the_invariants() {
        let parts = ["", ".", "..", "a", "bb", "/", "\0"];
        let mut inputs = vec![String::new()];
        for _ in 0..5 {
            inputs = inputs
                .iter()
                .flat_map(|p| parts.iter().map(move |q| format!("{p}{q}/")))
                .collect();
        }
        for input in inputs {
            if let Ok(path) = RelPath::parse(input.as_bytes(), b"/w/root") {
                assert!(is_normal(path.as_bytes()), "{input:?} gave {path:?}");
            }
        }
    }

    #[test]
    fn starts_with_compares_whole_components() {
        let path = |text: &str| RelPath::parse(text.as_bytes(), b"/").unwrap();
        assert!(path("a/b").starts_with(&path("a")));
        assert!(path("a").starts_with(&path("a")));
        assert!(path("a").starts_with(&RelPath::root()));
        assert!(!path("ab").starts_with(&path("a")));
    }
}
