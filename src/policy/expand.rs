//! Expands words: quotes, escapes, braces, tildes, variables that the text sets, substitutions.

use super::field::{Field, Unit};
use super::shell::{Shell, Stop};
use super::skip::{ansi_end, closed_end, single_end};
use super::text::{ansi_text, braces, inner, unescape_backticks};

/// Most words that one word becomes, and most characters in a word; beyond, the rest is unknown.
pub(super) const MAX_FIELDS: usize = 64;
const MAX_UNITS: usize = 1 << 20;
/// Most characters copied for the sake of alternatives within one word.
pub(super) const MAX_COPIED: usize = 1 << 18;

/// A word in the making. Alternatives (braces, several values of a variable) become words of their own.
struct Expansion {
    fields: Vec<Field>,
    /// Words that an unquoted expansion has already completed.
    done: Vec<Field>,
    /// A quote was seen: an empty word stays a word.
    quoted: bool,
    copied: usize,
}

impl Default for Expansion {
    fn default() -> Self {
        Self {
            fields: vec![Field::default()],
            done: Vec::new(),
            quoted: false,
            copied: 0,
        }
    }
}

impl Expansion {
    fn push(&mut self, unit: Unit) {
        for field in &mut self.fields {
            if field.0.len() < MAX_UNITS {
                field.0.push(unit);
            }
        }
    }

    /// Appends one of several values to every word in the making.
    fn push_any(&mut self, values: &[Field], split: bool) {
        if let ([value], false) = (values, split) {
            for field in self.fields.iter_mut().filter(|f| f.0.len() < MAX_UNITS) {
                field.0.extend_from_slice(&value.0);
            }
            return;
        }
        if self.copied > MAX_COPIED {
            return self.push(Unit::Unknown);
        }
        let mut fields = Vec::new();
        for value in values {
            let parts = if split {
                value.split()
            } else {
                vec![value.clone()]
            };
            for field in &self.fields {
                let mut field = field.clone();
                self.copied += field.0.len() + value.0.len();
                for (number, part) in parts.iter().enumerate() {
                    if number > 0 {
                        self.done.push(std::mem::take(&mut field));
                    }
                    field.0.extend_from_slice(&part.0);
                    field.0.truncate(MAX_UNITS);
                }
                if fields.len() < MAX_FIELDS {
                    fields.push(field);
                }
            }
        }
        if !fields.is_empty() {
            self.fields = fields;
        }
    }
}

impl Shell<'_> {
    /// Expands a word as a command's argument: to none, one or many.
    pub(super) fn expand(&mut self, word: &str) -> Result<Vec<Field>, Stop> {
        let mut fields = Vec::new();
        for word in braces(word).ok_or(Stop::Overrun)? {
            self.spend(word.len() / 16)?;
            let mut expansion = self.expand_parts(&word, true)?;
            let keep = expansion.quoted;
            fields.append(&mut expansion.done);
            fields.extend(
                expansion
                    .fields
                    .into_iter()
                    .filter(|field| keep || !field.0.is_empty()),
            );
        }
        Ok(fields)
    }

    /// Expands a word where it stays one: a value, a redirection's target, a here-document.
    pub(super) fn expand_one(&mut self, word: &str) -> Result<Field, Stop> {
        let expansion = self.expand_parts(word, false)?;
        Ok(expansion.fields.into_iter().next().unwrap_or_default())
    }

    /// Expands the body of a here-document: quotes are ordinary characters in it.
    pub(super) fn expand_document(&mut self, body: &str) -> Result<Field, Stop> {
        let mut expansion = Expansion::default();
        self.double_quoted(body, &mut expansion)?;
        Ok(expansion.fields.into_iter().next().unwrap_or_default())
    }

    fn expand_parts(&mut self, word: &str, split: bool) -> Result<Expansion, Stop> {
        let bytes = word.as_bytes();
        let mut out = Expansion::default();
        let mut at = self.tilde(word, &mut out);
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => {
                    let next = word[at + 1..].chars().next();
                    at += 1 + next.map_or(0, char::len_utf8);
                    if let Some(c) = next.filter(|&c| c != '\n') {
                        out.push(Unit::Literal(c));
                    }
                }
                b'\'' => {
                    let end = single_end(bytes, at + 1);
                    out.quoted = true;
                    push_text(&mut out, inner(word, at + 1, end));
                    at = end;
                }
                b'"' => {
                    let end = closed_end(bytes, at + 1, b'"');
                    out.quoted = true;
                    self.double_quoted(inner(word, at + 1, end), &mut out)?;
                    at = end;
                }
                b'$' if bytes.get(at + 1) == Some(&b'\'') => {
                    let end = ansi_end(bytes, at + 2);
                    out.quoted = true;
                    push_text(&mut out, &ansi_text(inner(word, at + 2, end)));
                    at = end;
                }
                b'$' if bytes.get(at + 1) == Some(&b'"') => at += 1,
                b'$' => at = self.dollar(word, at, split, &mut out)?,
                b'`' => {
                    let end = closed_end(bytes, at + 1, b'`');
                    let code = unescape_backticks(inner(word, at + 1, end));
                    let value = self.substitute(&code)?;
                    out.push_any(&[value], split);
                    at = end;
                }
                b'<' | b'>' if bytes.get(at + 1) == Some(&b'(') => {
                    let end = closed_end(bytes, at + 2, b')');
                    let value = self.substitute(inner(word, at + 2, end))?;
                    out.push(if value.is_downloaded() {
                        Unit::Downloaded
                    } else {
                        Unit::Unknown
                    });
                    at = end;
                }
                c @ (b'*' | b'?' | b'[') => {
                    out.push(Unit::Glob(c.into()));
                    at += 1;
                }
                _ => {
                    let c = word[at..].chars().next().unwrap_or('\0');
                    if c != '\0' {
                        out.push(Unit::Literal(c));
                    }
                    at += c.len_utf8();
                }
            }
        }
        Ok(out)
    }

    /// A tilde at the start of a word; returns how much it took.
    fn tilde(&self, word: &str, out: &mut Expansion) -> usize {
        let Some(rest) = word.strip_prefix('~') else {
            return 0;
        };
        match rest.split('/').next() {
            Some("") => {
                out.push(Unit::Home);
                1
            }
            Some("+") => {
                match &self.cwd {
                    Some(cwd) => push_text(out, &String::from_utf8_lossy(cwd)),
                    None => out.push(Unit::Unknown),
                }
                2
            }
            // Another user's home is somewhere below /home: outside, whatever its name.
            Some(name) if name.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                push_text(out, if name == "root" { "/root" } else { "/home/" });
                if name != "root" {
                    push_text(out, name);
                }
                1 + name.len()
            }
            _ => 0,
        }
    }

    fn double_quoted(&mut self, text: &str, out: &mut Expansion) -> Result<(), Stop> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if matches!(bytes.get(at + 1), Some(b'$' | b'`' | b'"' | b'\\' | b'\n')) => {
                    if bytes[at + 1] != b'\n' {
                        out.push(Unit::Literal(bytes[at + 1].into()));
                    }
                    at += 2;
                }
                b'$' => at = self.dollar(text, at, false, out)?,
                b'`' => {
                    let end = closed_end(bytes, at + 1, b'`');
                    let code = unescape_backticks(inner(text, at + 1, end));
                    let value = self.substitute(&code)?;
                    out.push_any(&[value], false);
                    at = end;
                }
                _ => {
                    let c = text[at..].chars().next().unwrap_or('\0');
                    if c != '\0' {
                        out.push(Unit::Literal(c));
                    }
                    at += c.len_utf8();
                }
            }
        }
        Ok(())
    }

    /// What begins with `$` at `at`; returns the place after it.
    fn dollar(
        &mut self,
        word: &str,
        at: usize,
        split: bool,
        out: &mut Expansion,
    ) -> Result<usize, Stop> {
        let bytes = word.as_bytes();
        match bytes.get(at + 1) {
            Some(b'(') => {
                let end = closed_end(bytes, at + 2, b')');
                let code = inner(word, at + 2, end);
                if let Some(arithmetic) = code.strip_prefix('(').filter(|c| c.ends_with(')')) {
                    self.nested_document(arithmetic)?;
                    out.push(Unit::Unknown);
                } else {
                    let value = self.substitute(code)?;
                    out.push_any(&[value], split);
                }
                Ok(end)
            }
            Some(b'[') => {
                let end = closed_end(bytes, at + 2, b']');
                self.nested_document(inner(word, at + 2, end))?;
                out.push(Unit::Unknown);
                Ok(end)
            }
            Some(b'{') => {
                let end = closed_end(bytes, at + 2, b'}');
                let values = self.parameter(inner(word, at + 2, end))?;
                out.push_any(&values, split);
                Ok(end)
            }
            Some(c) if c.is_ascii_alphabetic() || *c == b'_' => {
                let rest = &bytes[at + 1..];
                let length = rest
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
                    .count();
                let values = self.variable(&word[at + 1..=at + length]);
                out.push_any(&values, split);
                Ok(at + 1 + length)
            }
            Some(c) if c.is_ascii_digit() || matches!(c, b'@' | b'*') => {
                let values = self.variable(&word[at + 1..at + 2]);
                out.push_any(&values, split);
                Ok(at + 2)
            }
            Some(b'?' | b'$' | b'!' | b'#' | b'-') => {
                out.push(Unit::Unknown);
                Ok(at + 2)
            }
            _ => {
                out.push(Unit::Literal('$'));
                Ok(at + 1)
            }
        }
    }

    /// `${…}`.
    fn parameter(&mut self, text: &str) -> Result<Vec<Field>, Stop> {
        let length = text
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        let name = if length == 0 && text.starts_with(['@', '*']) {
            &text[..1]
        } else {
            &text[..length]
        };
        let mut rest = &text[name.len()..];
        if let Some(after) = rest.strip_prefix('[') {
            rest = after.split_once(']').map_or("", |(_, rest)| rest);
        }
        if name.is_empty() {
            // `${#x}`, `${!x}`: a number or an indirection.
            return Ok(vec![Field(vec![Unit::Unknown])]);
        }
        let values = self.variable(name);
        let unset = values.iter().any(|value| value.0 == [Unit::Unset]);
        let operator = rest.trim_start_matches(':');
        match operator.as_bytes().first() {
            None => Ok(values),
            Some(b'-' | b'=') => {
                let default = self.nested_word(&operator[1..])?;
                Ok(if unset || values.iter().any(|v| v.0.is_empty()) {
                    vec![default]
                } else {
                    values
                })
            }
            Some(b'?') => Ok(if unset {
                vec![Field(vec![Unit::Unknown])]
            } else {
                values
            }),
            Some(b'+') => Ok(vec![self.nested_word(&operator[1..])?]),
            // Patterns and substrings: something of the value, and no more empty than it was.
            Some(_) => {
                self.nested_word(operator)?;
                Ok(vec![Field(vec![if unset {
                    Unit::Unset
                } else {
                    Unit::Unknown
                }])])
            }
        }
    }

    /// The inside of an arithmetic expression.
    fn nested_document(&mut self, text: &str) -> Result<Field, Stop> {
        self.spend(text.len())?;
        self.enter()?;
        let field = self.expand_document(text)?;
        self.leave();
        Ok(field)
    }

    /// A word inside `${…}`. Each level costs a stack frame, so the levels are counted.
    fn nested_word(&mut self, word: &str) -> Result<Field, Stop> {
        self.spend(word.len())?;
        self.enter()?;
        let field = self.expand_one(word)?;
        self.leave();
        Ok(field)
    }
}

fn push_text(out: &mut Expansion, text: &str) {
    for c in text.chars().filter(|&c| c != '\0') {
        out.push(Unit::Literal(c));
    }
}
