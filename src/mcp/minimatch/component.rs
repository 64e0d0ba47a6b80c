//! One component of a pattern, in the cheapest form that says the same.

use super::items;
use super::program::Program;
use super::wildcard::Wildcard;

/// What matches one component of a path.
#[derive(Clone, Debug)]
pub(super) enum Component {
    Literal(String),
    /// `*`
    Any,
    /// `*.ts`
    Suffix(String),
    /// `???.ts`: so many UTF-16 code units, the last of which are these.
    Length(usize, String),
    /// `*.*`
    Dotted,
    /// `.*`
    Hidden,
    /// `test_*.py`
    Affixes(String, String),
    Wildcard(Wildcard),
    Program(Program),
}

/// With one of these behind its stars, a component is no [`Component::Suffix`].
const NO_SUFFIX: [char; 7] = ['+', '@', '!', '?', '*', '[', '('];

impl Component {
    /// # Errors
    /// It is too complex.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if let Some(common) = Self::common(text) {
            return Ok(common);
        }
        let lowered = items::read(text)?;
        if let Some(literal) = lowered.literal() {
            return Ok(Self::Literal(literal));
        }
        Ok(match Wildcard::new(&lowered) {
            Some(wildcard) => match wildcard.affixes() {
                Some((before, after)) => Self::Affixes(before, after),
                None => Self::Wildcard(wildcard),
            },
            None => Self::Program(Program::new(&lowered)?),
        })
    }

    /// The forms that the reference has a shortcut for. The shortcuts take the text as it is, so that a backslash in it
    /// stands for itself: `*\.js` matches names that end in `\.js`.
    fn common(text: &str) -> Option<Self> {
        let stars = text.trim_start_matches('*');
        let marks = text.trim_start_matches('?');
        if text.is_empty() {
            return Some(Self::Literal(String::new()));
        }
        if stars.is_empty() {
            return Some(Self::Any);
        }
        if stars.len() < text.len() && !stars.contains(NO_SUFFIX) {
            return Some(Self::Suffix(stars.to_owned()));
        }
        if marks.len() < text.len() && !marks.contains(NO_SUFFIX) {
            let length = text.encode_utf16().count();
            return Some(Self::Length(length, marks.to_owned()));
        }
        let is_extension = |text: &str| {
            text.strip_prefix('.')
                .is_some_and(|stars| !stars.is_empty() && stars.trim_start_matches('*').is_empty())
        };
        if is_extension(stars) {
            return Some(if stars.len() < text.len() {
                Self::Dotted
            } else {
                Self::Hidden
            });
        }
        (!text.contains(['*', '?', '[', '(', '\\'])).then(|| Self::Literal(text.to_owned()))
    }

    /// Whether it can match no component of a path.
    pub(super) fn is_hopeless(&self) -> bool {
        matches!(self, Self::Literal(text) if ["", ".", ".."].contains(&text.as_str()))
    }

    /// The most that matching a character may cost, in comparisons.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Wildcard(wildcard) => wildcard.cost(),
            Self::Program(program) => program.cost(),
            _ => 1,
        }
    }

    pub(super) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Literal(text) => name == text,
            Self::Any => true,
            Self::Suffix(suffix) => name.ends_with(suffix.as_str()),
            Self::Length(length, suffix) => {
                name.ends_with(suffix.as_str()) && units(name) == *length
            }
            Self::Dotted => name.contains('.'),
            Self::Hidden => name.starts_with('.'),
            Self::Affixes(before, after) => {
                name.len() >= before.len() + after.len()
                    && name.starts_with(before.as_str())
                    && name.ends_with(after.as_str())
            }
            Self::Wildcard(wildcard) => wildcard.is_match(name),
            Self::Program(program) => program.is_match(name),
        }
    }
}

/// The length of a name in UTF-16 code units.
fn units(name: &str) -> usize {
    if name.is_ascii() {
        return name.len();
    }
    name.encode_utf16().count()
}
