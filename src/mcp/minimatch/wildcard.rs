//! Components with `*`, `?` and brackets, but without extglobs: pieces of fixed length with any text between them.
//!
//! Each piece is taken where it first fits, which is never wrong, so nothing is tried twice.

use super::items::{Item, Lowered};
use super::single::Single;

/// Pieces with any text between them.
#[derive(Clone, Debug)]
pub(super) struct Wildcard {
    /// At least one; the first stands at the start of the name, the last at its end.
    pieces: Vec<Vec<Single>>,
    /// The fewest symbols that a name has.
    shortest: usize,
    unicode: bool,
}

impl Wildcard {
    /// `None` if there is more to the component.
    pub(super) fn new(lowered: &Lowered) -> Option<Self> {
        let mut pieces = vec![Vec::new()];
        for item in &lowered.items {
            if matches!(item, Item::SomeText)
                && let Some(piece) = pieces.last_mut()
            {
                piece.push(Single::Any);
            }
            if matches!(item, Item::AnyText | Item::SomeText) {
                pieces.push(Vec::new());
            } else {
                let single = Single::of(item, lowered.unicode)?;
                pieces.last_mut()?.push(single);
            }
        }
        Some(Self {
            shortest: pieces.iter().map(Vec::len).sum(),
            pieces,
            unicode: lowered.unicode,
        })
    }

    /// The text before and after its only `*`, if it has one and nothing else.
    pub(super) fn affixes(&self) -> Option<(String, String)> {
        match self.pieces.as_slice() {
            [before, after] => Some((text(before)?, text(after)?)),
            _ => None,
        }
    }

    /// The most that matching a character may cost.
    pub(super) fn cost(&self) -> usize {
        let cost = |piece: &Vec<Single>| piece.iter().map(Single::cost).sum();
        self.pieces.iter().map(cost).max().unwrap_or(0)
    }

    pub(super) fn is_match(&self, name: &str) -> bool {
        if name.is_ascii() {
            return self.fits(name.as_bytes());
        }
        self.fits(&Lowered::symbols(self.unicode, name))
    }

    fn fits<S: Copy + Into<u32>>(&self, name: &[S]) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self
                .pieces
                .iter()
                .all(|piece| piece.len() == name.len() && at_start(piece, name));
        };
        if name.len() < self.shortest {
            return false;
        }
        let (rest, end) = name.split_at(name.len() - last.len());
        if !at_start(first, rest) || !at_start(last, end) {
            return false;
        }
        let mut rest = &rest[first.len()..];
        for piece in middle {
            let place = rest
                .windows(piece.len().max(1))
                .position(|window| at_start(piece, window));
            match place {
                Some(place) => rest = &rest[place + piece.len()..],
                None if piece.is_empty() => {}
                None => return false,
            }
        }
        true
    }
}

/// Whether a name that is long enough begins with a piece.
fn at_start<S: Copy + Into<u32>>(piece: &[Single], name: &[S]) -> bool {
    piece
        .iter()
        .zip(name)
        .all(|(single, symbol)| single.matches((*symbol).into()))
}

/// A piece as text, if it is.
fn text(piece: &[Single]) -> Option<String> {
    let unit = |single: &Single| match single {
        Single::Symbol(symbol) => u16::try_from(*symbol).ok(),
        _ => None,
    };
    let units: Option<Vec<u16>> = piece.iter().map(unit).collect();
    String::from_utf16(&units?).ok()
}
