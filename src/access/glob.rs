//! The pattern of a rule: which paths it covers.

use globset::{Glob, GlobBuilder};

use crate::glob_bounds;
use crate::path::RelPath;

/// A pattern, by the rules of gitignore. It covers what it matches and everything below that, whatever that is: a rule
/// for directories alone would end where somebody puts a file in their place.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// What is matched, and what is below what is matched; of `**` and `/` nothing, since they cover all.
    pub(super) globs: Vec<Glob>,
    /// The directories that every match lies in, where the pattern names them.
    within: Vec<u8>,
    /// How many components a match has at most; `None` with `**` and braces.
    max_components: Option<usize>,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check(text)?;
        let text = text.strip_prefix("./").unwrap_or(text);
        if matches!(text, "/" | "**" | "/**" | "**/" | "/**/") {
            return Ok(Self {
                globs: Vec::new(),
                within: Vec::new(),
                max_components: None,
            });
        }
        let body = text.strip_suffix('/').unwrap_or(text);
        let (body, below) = match body.strip_suffix("/**") {
            Some(directory) => (directory, true),
            None => (body, false),
        };
        let glob = match body.strip_prefix('/') {
            Some(anchored) => anchored.to_owned(),
            None if below || body.contains('/') => body.to_owned(),
            None => format!("**/{body}"),
        };
        if glob.is_empty() || glob.split('/').any(str::is_empty) {
            return Err("it has an empty part between two slashes".to_owned());
        }
        if glob.split('/').any(|part| part == ".." || part == ".") {
            return Err("it must not contain `.` or `..` as a part".to_owned());
        }
        let globs = [compile(&glob)?, compile(&format!("{glob}/**"))?];
        Ok(Self {
            globs: globs.into(),
            within: literal_directories(&glob),
            // A brace may hold a slash, and then counting slashes says nothing.
            max_components: (!glob.contains("**") && !glob.contains('{'))
                .then(|| glob.split('/').count()),
        })
    }

    /// Whether it covers all, the root too.
    pub(super) fn covers_all(&self) -> bool {
        self.globs.is_empty()
    }

    /// Whether something below a directory that it does not cover can be covered.
    pub(super) fn may_match_below(&self, directory: &RelPath) -> bool {
        if self.covers_all() || directory.is_root() {
            return true;
        }
        let directory = directory.as_bytes();
        let on_the_way = |above: &[u8], below: &[u8]| {
            below.starts_with(above) && matches!(below.get(above.len()), None | Some(b'/'))
        };
        let near = self.within.is_empty()
            || on_the_way(directory, &self.within)
            || on_the_way(&self.within, directory);
        let depth = directory.split(|&b| b == b'/').count();
        near && self.max_components.is_none_or(|most| depth < most)
    }
}

fn compile(glob: &str) -> Result<Glob, String> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| error.kind().to_string())
}

/// The leading components of a glob that stand for themselves, without the last, which is that of the match.
fn literal_directories(glob: &str) -> Vec<u8> {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\');
    let literal = &glob[..glob.find(special).unwrap_or(glob.len())];
    let end = literal.rfind('/').unwrap_or(0);
    literal.as_bytes()[..end].to_vec()
}

/// What can be said before anything compiles it.
fn check(text: &str) -> Result<(), String> {
    if let Some(problem) = glob_bounds::problem(text) {
        return Err(problem);
    }
    if text.contains('\0') {
        return Err("it contains a NUL character".to_owned());
    }
    if text.starts_with('!') {
        return Err(
            "it begins with `!`; put a rule that allows before this one instead, or write `\\!` for a name"
                .to_owned(),
        );
    }
    Ok(())
}
