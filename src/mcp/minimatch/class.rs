//! Bracket expressions: `[a-z]`, `[!abc]`, `[[:alpha:]_]`.
//!
//! They are read in UTF-16 code units, as the reference reads them: outside of a POSIX class, a character beyond U+FFFF
//! in a bracket is two units, of which each counts alone.

use super::posix::{POSIX_CLASSES, PosixClass};

/// A bracket that was read from a pattern.
#[derive(Debug)]
pub(super) struct Bracket {
    /// Where the text behind it begins.
    pub(super) end: usize,
    pub(super) meaning: Meaning,
}

/// What a bracket stands for.
#[derive(Debug)]
pub(super) enum Meaning {
    /// One certain unit: `[*]`.
    Unit(u16),
    /// Nothing at all, such as `[z-a]`: then nothing behind it counts either.
    Nothing,
    /// Any of several.
    Class(Class),
}

/// A set of characters.
#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    is_negated: bool,
    /// Whether a backslash failed to protect a caret at the front: then the members alone are negated.
    has_caret: bool,
    members: Vec<Member>,
    /// What `[:graph:]` leaves out: apart from the members, since a set has what either of the two has.
    complements: Vec<&'static PosixClass>,
}

#[derive(Clone, Debug)]
enum Member {
    Unit(u16),
    /// What stands between the ends of a range.
    To,
    Posix(&'static PosixClass),
}

const HYPHEN: u16 = b'-' as u16;
const CARET: u16 = b'^' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const OPEN: u16 = b'[' as u16;
const CLOSE: u16 = b']' as u16;

/// Reads the bracket that opens at `open`; `None` if it is never closed, and so stands for itself.
pub(super) fn read(text: &[u16], open: usize) -> Option<Bracket> {
    let mut class = Class {
        is_negated: matches!(text.get(open + 1), Some(&unit) if unit == CARET || unit == u16::from(b'!')),
        ..Class::default()
    };
    let first = open + 1 + usize::from(class.is_negated);
    let mut at = first;
    let mut is_escaped = false;
    let mut range_start = None;
    loop {
        let unit = *text.get(at)?;
        if unit == CLOSE && at > first && !is_escaped {
            break;
        }
        if unit == BACKSLASH && !is_escaped {
            is_escaped = true;
            at += 1;
            continue;
        }
        if unit == OPEN
            && !is_escaped
            && let Some(length) = class.add_named(&text[at..])
        {
            if range_start.is_some() {
                return Some(nothing(text));
            }
            at += length;
            continue;
        }
        is_escaped = false;
        if let Some(start) = range_start.take() {
            class.add_range(start, unit);
            at += 1;
        } else if text[at + 1..].starts_with(&[HYPHEN, CLOSE]) {
            class.add(&[unit, HYPHEN]);
            at += 2;
        } else if text.get(at + 1) == Some(&HYPHEN) {
            range_start = Some(unit);
            at += 2;
        } else {
            class.add(&[unit]);
            at += 1;
        }
    }
    if class.members.is_empty() && class.complements.is_empty() {
        return Some(nothing(text));
    }
    Some(Bracket {
        end: at + 1,
        meaning: class.into_meaning(),
    })
}

fn nothing(text: &[u16]) -> Bracket {
    Bracket {
        end: text.len(),
        meaning: Meaning::Nothing,
    }
}

impl Class {
    fn add(&mut self, units: &[u16]) {
        self.members
            .extend(units.iter().map(|&unit| Member::Unit(unit)));
    }

    /// A range that runs backwards is left out.
    fn add_range(&mut self, start: u16, end: u16) {
        if start == end {
            self.add(&[start]);
        } else if start < end {
            let range = [Member::Unit(start), Member::To, Member::Unit(end)];
            self.members.extend(range);
        }
    }

    /// Adds the named class that the text begins with, and says how long its name is.
    fn add_named(&mut self, text: &[u16]) -> Option<usize> {
        if text.get(1) != Some(&u16::from(b':')) {
            return None;
        }
        let is_next = |name: &str| {
            let mut units = text.iter();
            name.encode_utf16().all(|unit| units.next() == Some(&unit))
        };
        if is_next("[:ascii:]") {
            self.add_range(0, 0x7f);
            return Some(9);
        }
        if is_next("[:xdigit:]") {
            for (start, end) in [(b'A', b'F'), (b'a', b'f'), (b'0', b'9')] {
                self.add_range(start.into(), end.into());
            }
            return Some(10);
        }
        let class = POSIX_CLASSES.iter().find(|class| is_next(class.name))?;
        if class.is_complement {
            self.complements.push(class);
        } else {
            self.members.push(Member::Posix(class));
        }
        Some(class.name.len())
    }

    fn into_meaning(mut self) -> Meaning {
        match self.members.as_slice() {
            [Member::Unit(unit)] if !self.is_negated && self.complements.is_empty() => {
                return Meaning::Unit(*unit);
            }
            // The reference pastes the members into a regular expression, where a caret at the front negates even if
            // it had a backslash.
            [Member::Unit(CARET), ..] if !self.is_negated => {
                self.has_caret = true;
                self.members.remove(0);
            }
            _ => {}
        }
        Meaning::Class(self)
    }

    /// Whether it has a named class: the component is then matched by characters, not by code units.
    pub(super) fn needs_unicode(&self) -> bool {
        let mut members = self.members.iter();
        !self.complements.is_empty() || members.any(|member| matches!(member, Member::Posix(_)))
    }

    /// The set to match with.
    pub(super) fn compile(&self, unicode: bool) -> CharacterSet {
        let mut set = CharacterSet {
            has_members: self.has_caret || !self.members.is_empty(),
            excludes_members: self.has_caret || self.is_negated,
            excludes_complements: !self.is_negated,
            complements: self.complements.clone(),
            ..CharacterSet::default()
        };
        let mut members = self.members.as_slice();
        while let Some((start, rest)) = take(members, unicode) {
            members = rest;
            let mut end = start;
            if let [Member::To, rest @ ..] = members
                && let Some((found, rest)) = take(rest, unicode)
            {
                (end, members) = (found, rest);
            }
            match (start, end) {
                (Taken::Posix(class), _) => set.posix.push(class),
                (Taken::Symbol(start), Taken::Symbol(end)) if start <= end => {
                    set.ranges.push((start, end));
                }
                _ => {}
            }
        }
        set.sort();
        set
    }
}

#[derive(Clone, Copy)]
enum Taken {
    Symbol(u32),
    Posix(&'static PosixClass),
}

/// The first member: with `unicode`, two units that make a character are one. A hyphen that has lost what stood before
/// it stands for itself.
fn take(members: &[Member], unicode: bool) -> Option<(Taken, &[Member])> {
    match members {
        [Member::Unit(unit), rest @ ..] => {
            let joined = match rest {
                [Member::Unit(low), rest @ ..] if unicode => {
                    pair((*unit).into(), (*low).into()).map(|symbol| (symbol, rest))
                }
                _ => None,
            };
            let (symbol, rest) = joined.unwrap_or(((*unit).into(), rest));
            Some((Taken::Symbol(symbol), rest))
        }
        [Member::To, rest @ ..] => Some((Taken::Symbol(HYPHEN.into()), rest)),
        [Member::Posix(class), rest @ ..] => Some((Taken::Posix(class), rest)),
        [] => None,
    }
}

/// The character that two code units make, if they do.
pub(super) fn pair(high: u32, low: u32) -> Option<u32> {
    let is_pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
    is_pair.then(|| 0x10000 + ((high & 0x3ff) << 10 | low & 0x3ff))
}

/// A [`Class`] made ready: of characters or of code units.
#[derive(Clone, Debug, Default)]
pub(super) struct CharacterSet {
    has_members: bool,
    excludes_members: bool,
    excludes_complements: bool,
    /// Sorted, without overlaps.
    ranges: Vec<(u32, u32)>,
    posix: Vec<&'static PosixClass>,
    complements: Vec<&'static PosixClass>,
}

impl CharacterSet {
    fn sort(&mut self) {
        self.ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.ranges.len());
        for &(start, end) in &self.ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        self.ranges = merged;
        for classes in [&mut self.posix, &mut self.complements] {
            classes.sort_unstable_by_key(|class| class.name);
            classes.dedup_by_key(|class| class.name);
        }
    }

    pub(super) fn matches(&self, symbol: u32) -> bool {
        let is_member = self.has_members && self.has_member(symbol) != self.excludes_members;
        let is_other = || self.complements.iter().any(|class| class.matches(symbol));
        is_member || !self.complements.is_empty() && is_other() != self.excludes_complements
    }

    fn has_member(&self, symbol: u32) -> bool {
        let after = self.ranges.partition_point(|&(start, _)| start <= symbol);
        let in_range = after > 0 && symbol <= self.ranges[after - 1].1;
        in_range || self.posix.iter().any(|class| class.matches(symbol))
    }

    /// How much slower than a comparison it is, at worst.
    pub(super) fn cost(&self) -> usize {
        1 + 8 * (self.posix.len() + self.complements.len())
    }
}
