//! A word after expansion, as far as the text alone can tell.

/// One character of an expanded word, or what stands for text that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// This character.
    Literal(char),
    /// An active `*`, `?` or `[`.
    Glob(char),
    /// Text of unknown content that is not empty.
    Unknown,
    /// The value of a variable that this text does not set: it may well be empty.
    Unset,
    /// Text that came from a download.
    Downloaded,
    /// The home directory, spelled as such: `~` or `$HOME`.
    Home,
}

/// An expanded word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Field(pub(super) Vec<Unit>);

impl Field {
    pub(super) fn literal(text: &str) -> Self {
        Self(text.chars().map(Unit::Literal).collect())
    }

    /// The text, if all of it is known.
    pub(super) fn text(&self) -> Option<String> {
        self.0
            .iter()
            .map(|unit| match unit {
                Unit::Literal(c) | Unit::Glob(c) => Some(*c),
                _ => None,
            })
            .collect()
    }

    /// The text for comparisons with options and names; what is not known is a NUL, which no option contains.
    pub(super) fn shape(&self) -> String {
        self.0
            .iter()
            .map(|unit| match unit {
                Unit::Literal(c) | Unit::Glob(c) => *c,
                _ => '\0',
            })
            .collect()
    }

    pub(super) fn is_downloaded(&self) -> bool {
        self.0.contains(&Unit::Downloaded)
    }

    /// The word as shell text again, for code that is put together from expanded words.
    pub(super) fn to_code(&self) -> String {
        let mut code = String::new();
        for unit in &self.0 {
            match unit {
                Unit::Literal(c) | Unit::Glob(c) => code.push(*c),
                Unit::Unknown | Unit::Downloaded => code.push_str("${_:?}"),
                Unit::Unset => code.push_str("${_unset}"),
                Unit::Home => code.push('~'),
            }
        }
        code
    }

    /// The word for people.
    pub(super) fn shown(&self) -> String {
        self.0
            .iter()
            .map(|unit| match unit {
                Unit::Literal(c) | Unit::Glob(c) => c.to_string(),
                Unit::Home => "~".to_owned(),
                _ => "…".to_owned(),
            })
            .collect()
    }

    /// Splits at white space, as an unquoted expansion is split.
    pub(super) fn split(&self) -> Vec<Field> {
        let mut fields = vec![Field::default()];
        for unit in &self.0 {
            match (unit, fields.last_mut()) {
                (Unit::Literal(c), Some(last)) if c.is_whitespace() => {
                    if !last.0.is_empty() {
                        fields.push(Field::default());
                    }
                }
                (_, Some(last)) => last.0.push(*unit),
                (_, None) => {}
            }
        }
        fields.retain(|field| !field.0.is_empty());
        fields
    }
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Field::literal(&text)
    }
}
