//! Ordered rules: the first whose pattern covers a path decides about it, and what none covers is allowed.

use globset::{Candidate, GlobSet, GlobSetBuilder};

use super::glob::Pattern;
use super::guard::{Access, Guard, View};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// The most rules of one policy.
pub const MAX_RULES: usize = 1_000;

/// What a rule gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allow {
    /// Nothing: the path is left out where its directory is told, and every call that names it is refused.
    None,
    /// Reading and telling what is there.
    Read,
    /// Everything.
    Write,
}

impl Allow {
    /// Reads the text form of the public API.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Allow::None),
            "read" => Some(Allow::Read),
            "write" => Some(Allow::Write),
            _ => None,
        }
    }

    /// The text form of the public API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Allow::None => "none",
            Allow::Read => "read",
            Allow::Write => "write",
        }
    }
}

/// One rule, as the application writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Relative to the root workspace, by the rules of gitignore: without a slash (one at the end does not count) it
    /// matches at any depth, else from the root on. It covers what it matches and everything below. `**` and `/` cover
    /// all, the root too.
    pub pattern: String,
    /// What is allowed.
    pub allow: Allow,
    /// Whether commands may begin here, where `allow` gives anything. Default: true.
    pub exec: bool,
}

/// Compiled rules.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Compiled>,
    /// The globs of all of them.
    set: GlobSet,
    /// The rule of each glob of the set.
    owners: Vec<usize>,
    /// The first rule that covers everything: what follows it is never asked.
    covers_all: Option<usize>,
}

#[derive(Debug)]
struct Compiled {
    rule: AccessRule,
    pattern: Pattern,
}

impl Rules {
    /// Compiles rules, in order.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` naming the rule by its index, which counts from 0, and what is wrong.
    pub fn new(rules: Vec<AccessRule>) -> Result<Self> {
        if rules.len() > MAX_RULES {
            return Err(invalid(format!(
                "rules: there are {}; at most {MAX_RULES} are allowed",
                rules.len()
            )));
        }
        let mut set = GlobSetBuilder::new();
        let mut owners = Vec::new();
        let mut compiled = Vec::with_capacity(rules.len());
        for (index, rule) in rules.into_iter().enumerate() {
            let pattern = Pattern::parse(&rule.pattern).map_err(|reason| {
                let shown = shortened(&rule.pattern);
                invalid(format!(
                    "rules[{index}].match: the glob '{shown}' is not valid: {reason}"
                ))
            })?;
            for glob in &pattern.globs {
                set.add(glob.clone());
                owners.push(index);
            }
            compiled.push(Compiled { rule, pattern });
        }
        let set = set
            .build()
            .map_err(|error| invalid(format!("rules: {error}")))?;
        Ok(Self {
            covers_all: compiled.iter().position(|rule| rule.pattern.covers_all()),
            rules: compiled,
            set,
            owners,
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The index of the rule that decides about a path; `None` where none covers it.
    #[must_use]
    pub fn decides(&self, path: &RelPath) -> Option<usize> {
        let named = (!path.is_root())
            .then(|| {
                let candidate = Candidate::from_bytes(path.as_bytes());
                let found = self.set.matches_candidate(&candidate);
                // Globs are in the order of their rules.
                found
                    .first()
                    .and_then(|&glob| self.owners.get(glob).copied())
            })
            .flatten();
        match (named, self.covers_all) {
            (Some(named), Some(all)) => Some(named.min(all)),
            (named, all) => named.or(all),
        }
    }

    fn allows(&self, path: &RelPath) -> (Allow, Option<usize>) {
        let index = self.decides(path);
        let rule = index.and_then(|index| self.rules.get(index));
        (rule.map_or(Allow::Write, |rule| rule.rule.allow), index)
    }

    /// Whether a rule before this one gives access to something below a directory: then the directory is shown as far
    /// as that needs.
    fn leads_to_something(&self, directory: &RelPath, hiding: Option<usize>) -> bool {
        self.rules.iter().take(hiding.unwrap_or(0)).any(|earlier| {
            earlier.rule.allow != Allow::None && earlier.pattern.may_match_below(directory)
        })
    }

    /// Whether a rule that could decide about something below a path satisfies this; `decided` is the one that decides
    /// about the path, and so about all below it that no earlier one covers.
    fn any_below(
        &self,
        path: &RelPath,
        decided: Option<usize>,
        wanted: impl Fn(&AccessRule) -> bool,
    ) -> bool {
        let earlier = self.rules.iter().take(decided.unwrap_or(usize::MAX));
        let mut below = earlier.filter(|rule| rule.pattern.may_match_below(path));
        below.any(|rule| wanted(&rule.rule))
    }

    fn refusal(&self, index: Option<usize>, gives: &str, path: &RelPath) -> Error {
        let Some((index, rule)) = index.and_then(|at| Some((at, self.rules.get(at)?))) else {
            // What no rule covers is never refused by one.
            return Error::new(ErrorCode::PolicyDenied, "the access policy refuses it");
        };
        Error::new(
            ErrorCode::PolicyDenied,
            format!(
                "rules[{index}] ('{}', {}) of the access policy {gives} {}",
                shortened(&rule.rule.pattern),
                rule.rule.allow.as_str(),
                Shown(path)
            ),
        )
    }
}

impl Guard for Rules {
    fn check(&self, path: &RelPath, access: Access) -> Result<()> {
        let (allow, index) = self.allows(path);
        let changes = matches!(access, Access::Write | Access::WriteBelow | Access::Pass);
        let rule = index.and_then(|index| self.rules.get(index));
        if access == Access::Exec && rule.is_some_and(|rule| !rule.rule.exec) {
            return Err(self.refusal(index, "lets no command begin in", path));
        }
        match (access, allow) {
            (_, Allow::Read) if changes => {
                Err(self.refusal(index, "gives no right to change", path))
            }
            (_, Allow::Read | Allow::Write) => Ok(()),
            (Access::Stat { directory: true } | Access::List | Access::Exec, Allow::None)
                if self.leads_to_something(path, index) =>
            {
                Ok(())
            }
            (_, Allow::None) => Err(self.refusal(index, "gives no access to", path)),
        }
    }

    fn hides(&self, path: &RelPath, is_directory: bool) -> bool {
        let (allow, index) = self.allows(path);
        allow == Allow::None && !(is_directory && self.leads_to_something(path, index))
    }

    fn may_protect_below(&self, path: &RelPath) -> bool {
        self.any_below(path, self.decides(path), |rule| rule.allow != Allow::Write)
    }

    fn view(&self, path: &RelPath) -> View {
        match self.allows(path).0 {
            Allow::None => View::Hidden,
            Allow::Read => View::ReadOnly,
            Allow::Write => View::Writable,
        }
    }

    fn may_differ_below(&self, path: &RelPath) -> bool {
        let (allow, index) = self.allows(path);
        self.any_below(path, index, |rule| rule.allow != allow)
    }
}

/// A path in a message: `'a/b'`, or what stands for the root.
struct Shown<'a>(&'a RelPath);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_root() {
            return f.write_str("the root");
        }
        let text = self.0.to_string_lossy();
        write!(f, "'{}'", shortened(&text).replace('\n', "\\n"))
    }
}

/// A text of the caller's, short enough for a message.
fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(200).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn invalid(message: String) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        format!("accessPolicy.{message}"),
    )
}
