//! What matches one character.

use super::class::CharacterSet;
use super::items::Item;

/// What stands for one character or code unit.
#[derive(Clone, Debug)]
pub(super) enum Single {
    Symbol(u32),
    Any,
    Class(Box<CharacterSet>),
}

impl Single {
    /// What an item stands for, if it is of one character.
    pub(super) fn of(item: &Item, unicode: bool) -> Option<Self> {
        match item {
            Item::Symbol(symbol) => Some(Self::Symbol(*symbol)),
            Item::AnySymbol => Some(Self::Any),
            Item::Class(class) => Some(Self::Class(Box::new(class.compile(unicode)))),
            _ => None,
        }
    }

    pub(super) fn matches(&self, symbol: u32) -> bool {
        match self {
            Self::Symbol(wanted) => *wanted == symbol,
            Self::Any => true,
            Self::Class(set) => set.matches(symbol),
        }
    }

    /// How much slower than a comparison it is, at worst.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Class(set) => set.cost(),
            _ => 1,
        }
    }
}
