//! Patterns over paths: what a glob search looks for, what a search leaves out, and which files a content search
//! reads. All take paths relative to the directory that the search starts from, as bytes, without a leading slash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};

use crate::error::{Error, ErrorCode, Result};
use crate::glob_bounds::{self, MAX_PATTERN_BYTES};

/// More patterns than this in one list are refused.
const MAX_PATTERNS: usize = 4096;

/// The pattern of a glob search, by the rules of gitignore: without a slash it matches at any depth, with a slash
/// (or a leading one) from the start of the search; `*` and `?` stop at a slash, `**` does not; `{a,b}` and `[a-z]`
/// as usual; a trailing slash matches directories alone. As in git, `?` and `[…]` stand for one byte.
#[derive(Clone, Debug)]
pub struct PathGlob {
    set: GlobSet,
    directories_only: bool,
    /// The directories that every match lies in, where the pattern names them.
    within: Vec<u8>,
    /// How many components a match has at most; `None` with `**`.
    max_components: Option<usize>,
}

impl PathGlob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` with what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self> {
        check_pattern("pattern", pattern)?;
        let stripped = pattern.strip_prefix("./").unwrap_or(pattern);
        let (stripped, directories_only) = match stripped.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (stripped, false),
        };
        if stripped.trim_start_matches('/').is_empty() {
            return Err(invalid("pattern", pattern, "it names nothing"));
        }
        let mut glob = match stripped.strip_prefix('/') {
            Some(anchored) => anchored.to_owned(),
            None if stripped.contains('/') || stripped == "**" => stripped.to_owned(),
            None => format!("**/{stripped}"),
        };
        // `src/**` means all that is in `src`, not `src` itself.
        if glob.ends_with("/**") {
            glob.push_str("/*");
        }
        if glob.split('/').any(|component| component == "..") {
            return Err(invalid("pattern", pattern, "it must not contain `..`"));
        }
        let compiled = GlobBuilder::new(&glob)
            .literal_separator(true)
            .backslash_escape(true)
            .empty_alternates(true)
            .build()
            .map_err(|error| invalid("pattern", pattern, &error.kind().to_string()))?;
        let set = GlobSetBuilder::new()
            .add(compiled)
            .build()
            .map_err(|error| invalid("pattern", pattern, &error.to_string()))?;
        Ok(Self {
            set,
            directories_only,
            within: literal_directories(&glob),
            // A brace may hold a slash, and then counting slashes says nothing.
            max_components: (!glob.contains("**") && !glob.contains('{'))
                .then(|| glob.split('/').count()),
        })
    }

    /// Whether anything below this directory can match: if not, it need not be entered.
    #[must_use]
    pub fn may_match_below(&self, directory: &[u8]) -> bool {
        let on_the_way = |above: &[u8], below: &[u8]| {
            below.starts_with(above) && matches!(below.get(above.len()), None | Some(b'/'))
        };
        let near = self.within.is_empty()
            || on_the_way(directory, &self.within)
            || on_the_way(&self.within, directory);
        let depth = directory.split(|&b| b == b'/').count();
        near && self.max_components.is_none_or(|most| depth < most)
    }

    /// Whether the pattern asks for directories alone (a trailing slash).
    #[must_use]
    pub fn directories_only(&self) -> bool {
        self.directories_only
    }

    /// Whether a path matches.
    #[must_use]
    pub fn is_match(&self, path: &[u8], is_directory: bool) -> bool {
        (is_directory || !self.directories_only)
            && self.set.is_match_candidate(&Candidate::from_bytes(path))
    }
}

/// What a search leaves out, in gitignore syntax: a later pattern wins, `!` takes back in. A directory that is left
/// out is not entered, so nothing below it can be taken back.
#[derive(Clone, Debug)]
pub struct Excludes(Gitignore);

impl Excludes {
    /// Compiles the patterns, in order.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` naming the pattern that is wrong.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self> {
        check_count("exclude", patterns.len())?;
        let mut builder = GitignoreBuilder::new("");
        builder.allow_unclosed_class(false);
        for pattern in patterns {
            let pattern = pattern.as_ref();
            check_pattern("exclude", pattern)?;
            let relative = pattern.strip_prefix("./").unwrap_or(pattern);
            builder
                .add_line(None, relative)
                .map_err(|error| invalid("exclude", pattern, &error.to_string()))?;
        }
        builder
            .build()
            .map(Self)
            .map_err(|error| invalid("exclude", "", &error.to_string()))
    }

    /// Whether a path is left out by name; that a parent is left out is the walker's to see.
    #[must_use]
    pub fn is_match(&self, path: &[u8], is_directory: bool) -> bool {
        !self.0.is_empty() && self.0.matched(as_path(path), is_directory).is_ignore()
    }
}

/// Which files a content search reads, as ripgrep's `--glob`: the last glob that matches decides, a leading `!`
/// leaves out; where there is a glob without `!`, files that none matches are left out.
#[derive(Clone, Debug)]
pub struct FileGlobs(Override);

impl FileGlobs {
    /// Compiles the globs, in order. None takes every file.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` naming the glob that is wrong.
    pub fn new<S: AsRef<str>>(globs: &[S]) -> Result<Self> {
        check_count("globs", globs.len())?;
        let mut builder = OverrideBuilder::new("");
        for glob in globs {
            let glob = glob.as_ref();
            check_pattern("globs", glob)?;
            builder
                .add(glob.strip_prefix("./").unwrap_or(glob))
                .map_err(|error| invalid("globs", glob, &error.to_string()))?;
        }
        builder
            .build()
            .map(Self)
            .map_err(|error| invalid("globs", "", &error.to_string()))
    }

    /// Whether a file is left out, or a directory with all that is in it.
    #[must_use]
    pub fn leaves_out(&self, path: &[u8], is_directory: bool) -> bool {
        !self.0.is_empty() && self.0.matched(as_path(path), is_directory).is_ignore()
    }
}

/// The leading components of a glob that stand for themselves, without the last, which is that of the entry.
fn literal_directories(glob: &str) -> Vec<u8> {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\');
    let literal = &glob[..glob.find(special).unwrap_or(glob.len())];
    let end = literal.rfind('/').unwrap_or(0);
    literal.as_bytes()[..end].to_vec()
}

/// Bytes of a path as the matchers of `ignore` want them.
pub(super) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn invalid(option: &str, pattern: &str, reason: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        format!("`{option}`: the glob '{pattern}' is not valid: {reason}"),
    )
}

fn check_count(option: &str, count: usize) -> Result<()> {
    if count > MAX_PATTERNS {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            format!("`{option}` has {count} globs; at most {MAX_PATTERNS} are allowed"),
        ));
    }
    Ok(())
}

/// Bounds what a pattern can cost before anything compiles it.
fn check_pattern(option: &str, pattern: &str) -> Result<()> {
    match glob_bounds::problem(pattern) {
        // What is too long is not repeated.
        Some(reason) if pattern.len() > MAX_PATTERN_BYTES => Err(invalid(option, "", &reason)),
        Some(reason) => Err(invalid(option, pattern, &reason)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_keeps_the_rules_of_gitignore() {
        for (pattern, path, expected) in [
            ("*.ts", "a.ts", true),
            ("*.ts", "deep/er/a.ts", true),
            ("*.ts", "a.tsx", false),
            ("/*.ts", "a.ts", true),
            ("/*.ts", "deep/a.ts", false),
            ("src/*.ts", "src/a.ts", true),
            ("src/*.ts", "src/deep/a.ts", false),
            ("src/*.ts", "lib/src/a.ts", false),
            ("src/**/*.ts", "src/a.ts", true),
            ("src/**/*.ts", "src/x/y/a.ts", true),
            ("**/src/*.ts", "lib/src/a.ts", true),
            ("src/**", "src/x/y", true),
            ("src/**", "src", false),
            ("**", "a", true),
            ("**", "a/b/c", true),
            ("**/*", "a/b/c", true),
            ("*", "a/b/c", true),
            ("/*", "a/b", false),
            ("*.{ts,js}", "a/b.js", true),
            ("*.{ts,js}", "a/b.json", false),
            ("{src,test}/**/*.ts", "test/a/b.ts", true),
            ("*.ts{,x}", "a.ts", true),
            ("*.ts{,x}", "a.tsx", true),
            ("[ab].txt", "b.txt", true),
            ("[!ab].txt", "b.txt", false),
            ("?.txt", "a.txt", true),
            ("?.txt", "ab.txt", false),
            ("?", "a/b", true),
            ("*.txt", "données/été.txt", true),
            ("./src/*.ts", "src/a.ts", true),
            (".env", "a/.env", true),
            ("*", ".env", true),
            ("\\*.txt", "*.txt", true),
            ("\\*.txt", "a.txt", false),
        ] {
            let glob = PathGlob::new(pattern).unwrap();
            assert_eq!(
                glob.is_match(path.as_bytes(), false),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn a_trailing_slash_asks_for_directories() {
        let glob = PathGlob::new("build/").unwrap();
        assert!(glob.directories_only());
        assert!(glob.is_match(b"a/build", true));
        assert!(!glob.is_match(b"a/build", false));
    }

    #[test]
    fn directories_that_cannot_hold_a_match_are_not_entered() {
        for (pattern, directory, expected) in [
            ("src/**/*.ts", "src", true),
            ("src/**/*.ts", "src/a/b", true),
            ("src/**/*.ts", "srcs", false),
            ("src/lib/*.ts", "src", true),
            ("src/lib/*.ts", "src/lib", true),
            ("src/lib/*.ts", "src/lib/deep", false),
            ("src/lib/*.ts", "src/li", false),
            ("/*.ts", "src", false),
            ("*.ts", "any/where", true),
            ("{a/b,c}/d", "a/b", true),
            ("s[r]c/x", "src", true),
            ("a/b", "a", true),
            ("a/b", "b", false),
        ] {
            let glob = PathGlob::new(pattern).unwrap();
            assert_eq!(
                glob.may_match_below(directory.as_bytes()),
                expected,
                "{pattern} {directory}"
            );
        }
    }

    #[test]
    fn names_that_are_not_utf8_match_by_bytes() {
        assert!(
            PathGlob::new("*.bin")
                .unwrap()
                .is_match(b"\xff\xfe.bin", false)
        );
        assert!(
            Excludes::new(&["*.bin"])
                .unwrap()
                .is_match(b"\xff.bin", false)
        );
    }

    #[test]
    fn a_bad_glob_is_named_with_its_reason() {
        let deep = "{".repeat(20);
        let long = "x".repeat(5000);
        for pattern in ["[a", "{a", "a}", "", "/", "../x", "a/../b", &deep, &long] {
            let error = PathGlob::new(pattern).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{pattern}");
            assert!(error.message().contains("pattern"), "{}", error.message());
        }
        assert!(Excludes::new(&["ok", "[a"]).is_err());
        assert!(FileGlobs::new(&["{a"]).is_err());
    }

    #[test]
    fn a_later_exclude_takes_back_in() {
        let excludes = Excludes::new(&["*.log", "!keep.log", "/dist/", "node_modules"]).unwrap();
        for (path, is_directory, expected) in [
            ("a.log", false, true),
            ("deep/a.log", false, true),
            ("keep.log", false, false),
            ("dist", true, true),
            ("dist", false, false),
            ("sub/dist", true, false),
            ("sub/node_modules", true, true),
        ] {
            assert_eq!(
                excludes.is_match(path.as_bytes(), is_directory),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn file_globs_choose_files_and_prune_directories() {
        let globs = FileGlobs::new(&["*.rs", "!generated.rs", "!target"]).unwrap();
        for (path, is_directory, left_out) in [
            ("src/a.rs", false, false),
            ("src/a.ts", false, true),
            ("src/generated.rs", false, true),
            ("src", true, false),
            ("target", true, true),
        ] {
            assert_eq!(
                globs.leaves_out(path.as_bytes(), is_directory),
                left_out,
                "{path}"
            );
        }
        let all: [&str; 0] = [];
        assert!(!FileGlobs::new(&all).unwrap().leaves_out(b"x", false));
        assert!(
            !FileGlobs::new(&["!*.md"])
                .unwrap()
                .leaves_out(b"a.rs", false)
        );
    }
}
