//! Brace expansion: one pattern with `{a,b}` or `{1..3}` becomes a list of patterns without.
//!
//! It is textual and comes before everything else, so a brace may hold slashes, and an alternative may hold half an
//! extglob. As in Bash: a set without a comma or a sequence stays as it is, `${…}` is left alone, and empty results are
//! dropped where the first set has commas.

/// More alternatives than this are refused.
const MAX_ALTERNATIVES: usize = 1_000;
/// The alternatives together have at most this many characters.
const MAX_EXPANDED: usize = 64 << 10;
/// Deeper nesting is refused.
const MAX_DEPTH: usize = 64;
/// How many characters may be looked at: sets within sets are read once for each level.
const MAX_STEPS: usize = 1_000_000;
/// Larger numbers are not exact in JavaScript, and their sequences are not either.
const MAX_NUMBER: i64 = 1 << 53;

/// A character; with [`ESCAPED`] set, one that had a backslash and so has no meaning here.
type Symbol = u32;
type Word = Vec<Symbol>;

const ESCAPED: Symbol = 1 << 31;
const OPEN: Symbol = '{' as Symbol;
const CLOSE: Symbol = '}' as Symbol;
const COMMA: Symbol = ',' as Symbol;
/// One value that adds nothing.
const NOTHING: [Word; 1] = [Word::new()];

/// The alternatives of a pattern, in order; the pattern alone if there is nothing to expand.
///
/// # Errors
/// What is wrong with it: too many alternatives, or too deep.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    if !has_set(pattern) {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut word = read(pattern);
    // Bash keeps a leading `{}`, and only there.
    if word.starts_with(&[OPEN, CLOSE]) {
        word[0] |= ESCAPED;
        word[1] |= ESCAPED;
    }
    let words = Expander::default().expand(word, 0, true)?;
    Ok(words.iter().map(|word| write(word)).collect())
}

/// Whether there is a closed innermost brace on one line. Without one, not even the escapes are taken away.
fn has_set(pattern: &str) -> bool {
    pattern.split('{').skip(1).any(|after| {
        after
            .find(|c| c == '}' || is_line_end(c as Symbol))
            .is_some_and(|at| after[at..].starts_with('}'))
    })
}

fn is_line_end(symbol: Symbol) -> bool {
    matches!(symbol, 0x0a | 0x0d | 0x2028 | 0x2029)
}

/// Takes away the backslashes that matter here, and marks what they protect.
fn read(pattern: &str) -> Word {
    let mut word = Word::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let protected = characters.next_if(|next| character == '\\' && "\\{},.".contains(*next));
        word.push(match protected {
            Some(protected) => Symbol::from(protected) | ESCAPED,
            None => Symbol::from(character),
        });
    }
    word
}

fn write(word: &[Symbol]) -> String {
    word.iter()
        .filter_map(|symbol| char::from_u32(symbol & !ESCAPED))
        .collect()
}

/// What stands in a pair of braces.
enum Set {
    /// Something with commas.
    Members,
    /// Two ends.
    Sequence(Sequence),
    /// What has a dollar sign before it.
    Variable,
    /// Anything else.
    Text,
}

impl Set {
    fn read(before: &[Symbol], body: &[Symbol]) -> Result<Self, String> {
        if before.last() == Some(&Symbol::from('$')) {
            return Ok(Self::Variable);
        }
        Ok(match Sequence::parse(body)? {
            Some(sequence) => Self::Sequence(sequence),
            None if body.contains(&COMMA) => Self::Members,
            None => Self::Text,
        })
    }
}

#[derive(Default)]
struct Expander {
    steps: usize,
}

impl Expander {
    /// Expands the sets of a word from left to right. `drops_empty` says whether empty results may be dropped.
    fn expand(
        &mut self,
        mut rest: Word,
        depth: usize,
        mut drops_empty: bool,
    ) -> Result<Vec<Word>, String> {
        if depth > MAX_DEPTH {
            return Err(format!("it nests braces deeper than {MAX_DEPTH}"));
        }
        let mut words = vec![Word::new()];
        let mut is_first = true;
        loop {
            self.steps += rest.len() + 1;
            if self.steps > MAX_STEPS {
                return Err("its braces take too long to expand".to_owned());
            }
            let Some((open, close)) = first_set(&rest) else {
                return combine(&words, &rest, &NOTHING, drops_empty && !is_first);
            };
            let (before, body, after) = (&rest[..open], &rest[open + 1..close], &rest[close + 1..]);
            let set = Set::read(before, body)?;
            if matches!(set, Set::Text) {
                if !comma_follows(after) {
                    return combine(&words, &rest, &NOTHING, drops_empty && !is_first);
                }
                // `{a},b}` is a set of `a}` and `b`.
                rest[close] |= ESCAPED;
                drops_empty |= is_first;
                continue;
            }
            drops_empty &= !is_first || matches!(set, Set::Members);
            let drops_now = drops_empty && after.is_empty();
            words = match set {
                Set::Members => combine(&words, before, &self.members(body, depth)?, drops_now)?,
                Set::Sequence(sequence) => combine(&words, before, &sequence.values()?, drops_now)?,
                Set::Variable | Set::Text => combine(&words, &rest[..=close], &NOTHING, drops_now)?,
            };
            is_first = false;
            if after.is_empty() {
                return Ok(words);
            }
            rest.drain(..=close);
        }
    }

    /// What a set with commas stands for.
    fn members(&mut self, body: &[Symbol], depth: usize) -> Result<Vec<Word>, String> {
        let mut members = split(body);
        if let [member] = members.as_slice() {
            // `{{a,b}}` is `{a}` and `{b}`.
            let inner = self.expand(member.to_vec(), depth + 1, false)?;
            members = inner.into_iter().map(embrace).collect();
            if members.len() == 1 {
                return Ok(members);
            }
        }
        let mut values = Vec::new();
        for member in members {
            values.extend(self.expand(member, depth + 1, false)?);
            check(&values)?;
        }
        Ok(values)
    }
}

fn embrace(mut word: Word) -> Word {
    word.insert(0, OPEN);
    word.push(CLOSE);
    word
}

/// The first set that is closed, as the indices of its braces. A brace without a partner stands for itself.
fn first_set(word: &[Symbol]) -> Option<(usize, usize)> {
    let mut open = Vec::new();
    let mut found: Option<(usize, usize)> = None;
    for (at, &symbol) in word.iter().enumerate() {
        if symbol == OPEN {
            open.push(at);
        } else if symbol == CLOSE
            && let Some(start) = open.pop()
        {
            if found.is_none_or(|(first, _)| start < first) {
                found = Some((start, at));
            }
            if open.is_empty() {
                break;
            }
        }
    }
    found
}

/// The members of a set, at the commas that are in no inner one.
fn split(body: &[Symbol]) -> Vec<Word> {
    let mut members = vec![Word::new()];
    let mut depth = 0_usize;
    for &symbol in body {
        match symbol {
            OPEN => depth += 1,
            CLOSE => depth = depth.saturating_sub(1),
            _ => {}
        }
        match members.last_mut() {
            Some(member) if symbol != COMMA || depth > 0 => member.push(symbol),
            _ => members.push(Word::new()),
        }
    }
    members
}

/// Whether a comma that is not followed by another has a closing brace after it on its line.
fn comma_follows(word: &[Symbol]) -> bool {
    let mut is_closed = false;
    for (at, &symbol) in word.iter().enumerate().rev() {
        match symbol {
            CLOSE => is_closed = true,
            COMMA if is_closed && word.get(at + 1) != Some(&COMMA) => return true,
            _ if is_line_end(symbol) => is_closed = false,
            _ => {}
        }
    }
    false
}

/// Each word with each value behind it.
fn combine(
    words: &[Word],
    between: &[Symbol],
    values: &[Word],
    drops_empty: bool,
) -> Result<Vec<Word>, String> {
    let mut combined = Vec::new();
    let mut length = 0;
    for word in words {
        for value in values {
            let joined = [word, between, value].concat();
            if drops_empty && joined.is_empty() {
                continue;
            }
            length += joined.len();
            combined.push(joined);
            if combined.len() > MAX_ALTERNATIVES || length > MAX_EXPANDED {
                return Err(too_many());
            }
        }
    }
    Ok(combined)
}

fn check(words: &[Word]) -> Result<(), String> {
    if words.len() > MAX_ALTERNATIVES {
        return Err(too_many());
    }
    Ok(())
}

fn too_many() -> String {
    format!(
        "its braces expand to more than {MAX_ALTERNATIVES} alternatives, or to {MAX_EXPANDED} characters"
    )
}

/// `{1..9..2}` or `{a..e}`: both ends are in it.
struct Sequence {
    first: i64,
    last: i64,
    step: i64,
    is_letters: bool,
    /// Numbers are filled with zeros to this width; 0 if they are not.
    width: usize,
}

impl Sequence {
    /// Reads the inside of a brace; `None` if it is not a sequence.
    fn parse(body: &[Symbol]) -> Result<Option<Self>, String> {
        if body.iter().any(|&symbol| symbol >= 0x80) {
            return Ok(None);
        }
        let text = write(body);
        let parts: Vec<&str> = text.split("..").collect();
        let (first, last, step) = match parts.as_slice() {
            [first, last] => (*first, *last, "1"),
            [first, last, step] => (*first, *last, *step),
            _ => return Ok(None),
        };
        let is_letters = is_letter(first) && is_letter(last);
        if !is_number(step) || !(is_letters || is_number(first) && is_number(last)) {
            return Ok(None);
        }
        let end = |text: &str| match text.as_bytes() {
            [letter] if is_letters => Ok(i64::from(*letter)),
            _ => number(text),
        };
        let is_padded = !is_letters && parts.iter().any(|part| is_padded(part));
        Ok(Some(Self {
            first: end(first)?,
            last: end(last)?,
            step: number(step)?.abs().max(1),
            is_letters,
            width: if is_padded {
                first.len().max(last.len())
            } else {
                0
            },
        }))
    }

    fn values(&self) -> Result<Vec<Word>, String> {
        let distance = self.first.abs_diff(self.last);
        let count = distance / self.step.unsigned_abs() + 1;
        if count > MAX_ALTERNATIVES as u64 {
            return Err(too_many());
        }
        let step = if self.last < self.first {
            -self.step
        } else {
            self.step
        };
        let mut value = self.first;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.word(value));
            value += step;
        }
        Ok(values)
    }

    fn word(&self, value: i64) -> Word {
        if !self.is_letters {
            let text = format!("{value:0width$}", width = self.width);
            return text.bytes().map(Symbol::from).collect();
        }
        // Between `Z` and `a` lies a backslash, which would protect what follows; Bash leaves it out.
        u32::try_from(value)
            .into_iter()
            .filter(|&symbol| symbol != Symbol::from('\\'))
            .collect()
    }
}

fn is_letter(text: &str) -> bool {
    matches!(text.as_bytes(), [letter] if letter.is_ascii_alphabetic())
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_padded(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0')
}

fn number(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|value| (-MAX_NUMBER..=MAX_NUMBER).contains(value))
        .ok_or_else(|| format!("the number {text} in a brace is too large"))
}
