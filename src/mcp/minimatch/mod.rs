//! Path patterns as the reference tool server understands them: npm's `minimatch(path, pattern, { dot: true })` 10.2.6.
//!
//! Why not `globset`: models know these tools, and write patterns that only minimatch reads the way they mean them
//! (extglobs, a `!` in front, sequences in braces). Why not a translation to regular expressions, as in minimatch: with
//! what `!(…)` needs, those backtrack, and a short pattern can hold a thread for minutes. Here a pattern is refused
//! when it is compiled, or it answers in about a millisecond for each name of 255 bytes, and usually in less than 100
//! ns.
//!
//! A pattern passes through `braces` (one becomes several), `path_pattern` (slashes and `**`), and for each component
//! `extglob` (its tree), `items` (its meaning) and one of the forms of `component`.
//!
//! What minimatch does and one might not expect is kept, since it is what the reference answers:
//!
//! - A pattern is for the whole path: `*.js` matches no file in a directory, and `a/**` does not match `a`. With a
//!   leading or trailing slash, or with `./` in front, it matches nothing. A `!` in front negates all of it, even if it
//!   looks like an extglob: `!(a)` matches all but `(a)`.
//! - `*` matches names with a dot in front. `?` is one UTF-16 code unit, so that an emoji is `??`; only in a component
//!   with a named class such as `[[:alpha:]]` is it a character.
//! - After stars or question marks, a backslash stands for itself if nothing else there is special: `*\.js`.
//! - `[[:print:]]` is the control characters, `x!(a|)` matches `xa`, `\|` beside something special parts alternatives,
//!   and `**/a/b/**/c/**` needs more room than it should.
//!
//! The only differences:
//!
//! - What takes long is refused: a pattern of more than 4,096 bytes, one whose braces make more than 1,000 alternatives
//!   or 65,536 characters, or have numbers beyond 2⁵³, nesting deeper than 64, extglobs that are too large. Minimatch
//!   takes longer ones, and cuts off the list of alternatives after 100,000.
//! - Minimatch throws on a component that has a named class and one of `-`, `,`, `#`, `\!` or white space outside of
//!   brackets; here it means what it says. It also throws on an empty extglob with nothing before it to repeat, as in
//!   `@(+()|a)`, which is refused, and on a range that ends in half a character, which is left out.
//! - Named classes are those of the Unicode version of the `regex` crate, not of the JavaScript engine.

mod braces;
mod class;
mod component;
mod extglob;
mod items;
mod path_pattern;
mod posix;
mod program;
mod single;
mod wildcard;

use std::sync::Arc;

use path_pattern::{Compiler, PathPattern};

/// A longer pattern is refused.
const MAX_PATTERN_BYTES: usize = 4_096;
/// The most comparisons that matching one character may take, over all alternatives.
const MAX_COST: usize = 8_192;

/// A compiled pattern. Cheap to clone.
///
/// The paths that it takes are relative, with `/` between their components, without empty ones, `.` or `..`.
#[derive(Clone, Debug)]
pub struct Minimatch {
    is_negated: bool,
    /// One of them must match. Those that cannot match are left out.
    alternatives: Arc<[PathPattern]>,
}

impl Minimatch {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with the pattern, as the rest of a sentence: "it is longer than 4096 bytes".
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(format!("it is longer than {MAX_PATTERN_BYTES} bytes"));
        }
        let positive = pattern.trim_start_matches('!');
        // Comments and the empty pattern match nothing.
        let alternatives = if pattern.starts_with('#') || pattern.is_empty() {
            Vec::new()
        } else {
            compile(positive)?
        };
        Ok(Self {
            is_negated: (pattern.len() - positive.len()) % 2 == 1,
            alternatives: alternatives.into(),
        })
    }

    /// Whether a path matches.
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        let is_match = |alternative: &PathPattern| alternative.is_match(path);
        self.alternatives.iter().any(is_match) != self.is_negated
    }

    /// The most components that a match has: nothing deeper need be looked at. `None`: any number.
    #[must_use]
    pub fn max_components(&self) -> Option<usize> {
        let counts = self.alternatives.iter().map(PathPattern::max_components);
        let most = counts.reduce(|a, b| Some(a?.max(b?)));
        most.unwrap_or(Some(0)).filter(|_| !self.is_negated)
    }
}

/// Compiles the alternatives of a pattern that has no `!` in front.
fn compile(pattern: &str) -> Result<Vec<PathPattern>, String> {
    let mut compiler = Compiler::default();
    let mut alternatives = Vec::new();
    let mut cost = 0;
    for alternative in braces::expand(pattern)? {
        let Some(alternative) = compiler.compile(&alternative)? else {
            continue;
        };
        cost += alternative.cost();
        if cost > MAX_COST {
            return Err(
                "it is too complex: use fewer extglobs, or fewer alternatives in braces".to_owned(),
            );
        }
        alternatives.push(alternative);
    }
    Ok(alternatives)
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod limit_tests;
