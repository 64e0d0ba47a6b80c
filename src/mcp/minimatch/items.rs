//! What a path component must look like, as a list of items: the meaning of its tree.

use super::class::{self, Class, Meaning};
use super::extglob::{Kind, Part, ROOT, Tree};

/// One thing after another. With [`Item::Or`] among them, the list is several, of which one must match.
pub(super) type Items = Vec<Item>;

/// A step of a component.
#[derive(Debug)]
pub(super) enum Item {
    /// A UTF-16 code unit, or a character.
    Symbol(u32),
    /// `?`
    AnySymbol,
    /// `*`
    AnyText,
    /// A `*` that must not be empty.
    SomeText,
    Class(Class),
    /// A bracket that matches nothing.
    Nothing,
    /// The end of the component.
    End,
    /// `\|`. The reference pastes it into its regular expression without a backslash, and so it parts alternatives.
    Or,
    Group(Vec<Items>, Repeat),
    /// `!(…)`: any text, at a place where none of these matches.
    Except(Vec<Items>),
    /// What the reference fails on.
    Invalid,
}

/// How often a group may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    ExactlyOne,
    ZeroOrOne,
    ZeroOrMore,
    OneOrMore,
}

/// The items of a component.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) items: Items,
    /// Whether it is matched by characters; by UTF-16 code units otherwise.
    pub(super) unicode: bool,
}

/// Reads a component.
///
/// # Errors
/// Its extglobs are too deep or too many.
pub(super) fn read(text: &str) -> Result<Lowered, String> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let tree = Tree::new(&units)?;
    let mut reader = Reader {
        tree: &tree,
        unicode: false,
    };
    let mut items = reader.sequence(ROOT);
    let unicode = reader.unicode;
    if unicode {
        join_pairs(&mut items);
    }
    Ok(Lowered { items, unicode })
}

impl Lowered {
    /// The only text that it matches, if there is nothing special in it. A bar is special only beside something else
    /// that is.
    pub(super) fn literal(&self) -> Option<String> {
        let unit = |item: &Item| match item {
            Item::Symbol(symbol) => u16::try_from(*symbol).ok(),
            Item::Or => Some(u16::from(b'|')),
            _ => None,
        };
        let units: Option<Vec<u16>> = self.items.iter().map(unit).collect();
        String::from_utf16(&units?).ok()
    }

    /// The symbols of a name, as the items count them.
    pub(super) fn symbols(unicode: bool, name: &str) -> Vec<u32> {
        if unicode {
            name.chars().map(u32::from).collect()
        } else {
            name.encode_utf16().map(u32::from).collect()
        }
    }
}

/// Makes one character of two units that are its halves.
fn join_pairs(items: &mut Items) {
    items.dedup_by(|second, first| {
        let (Item::Symbol(high), Item::Symbol(low)) = (&*first, &*second) else {
            return false;
        };
        let joined = class::pair(*high, *low);
        if let Some(symbol) = joined {
            *first = Item::Symbol(symbol);
        }
        joined.is_some()
    });
    for item in items {
        if let Item::Group(alternatives, _) | Item::Except(alternatives) = item {
            alternatives.iter_mut().for_each(join_pairs);
        }
    }
}

struct Reader<'a> {
    tree: &'a Tree<'a>,
    unicode: bool,
}

/// An extglob as an item, or as text.
enum Extglob {
    Item(Item),
    /// Without anything in it, as all that there is: it stands for itself. With the number of its alternatives.
    Text(Kind, usize),
}

impl Reader<'_> {
    fn sequence(&mut self, node: usize) -> Items {
        let parts = self.tree.parts(node);
        let is_text = !parts.iter().any(|part| matches!(part, Part::Node(_)));
        let is_whole = is_text && self.tree.is_start(node) && self.tree.is_end(node);
        let mut items = Vec::new();
        for part in parts {
            match *part {
                Part::Text(start, end) => {
                    self.text(&self.tree.text[start..end], is_whole, &mut items);
                }
                Part::Node(inner) => match self.tree.kind(inner) {
                    None => items.extend(self.sequence(inner)),
                    Some(kind) => match self.extglob(inner, kind) {
                        Extglob::Item(item) => items.push(item),
                        Extglob::Text(kind, count) if node == ROOT && parts.len() == 1 => {
                            items.extend(written(kind, count));
                        }
                        Extglob::Text(kind, _) => quantify(kind, &mut items),
                    },
                },
            }
        }
        items
    }

    fn extglob(&mut self, node: usize, kind: Kind) -> Extglob {
        let is_whole = self.tree.is_start(node) && self.tree.is_end(node);
        let parts = self.tree.parts(node);
        let mut alternatives = Vec::with_capacity(parts.len());
        for part in parts {
            let Part::Node(alternative) = *part else {
                continue;
            };
            let mut items = self.sequence(alternative);
            if kind == Kind::Not {
                items.push(Item::End);
            }
            if !(is_whole && items.is_empty()) {
                alternatives.push(items);
            }
        }
        let repeat = match kind {
            Kind::Not if self.tree.ends_empty(node) => return Extglob::Item(Item::SomeText),
            Kind::Not => return Extglob::Item(Item::Except(alternatives)),
            _ if is_whole && alternatives.is_empty() => {
                return Extglob::Text(kind, parts.len());
            }
            Kind::ZeroOrOne => Repeat::ZeroOrOne,
            Kind::ZeroOrMore => Repeat::ZeroOrMore,
            Kind::OneOrMore => Repeat::OneOrMore,
            Kind::ExactlyOne => Repeat::ExactlyOne,
        };
        Extglob::Item(Item::Group(alternatives, repeat))
    }

    /// Reads text that has no extglobs. `is_whole` says that it is all that there is, where a `*` is not empty.
    fn text(&mut self, text: &[u16], is_whole: bool, items: &mut Items) {
        let star = u16::from(b'*');
        let is_stars = text.iter().all(|&unit| unit == star);
        // Behind this, no bracket is closed.
        let last_bracket = text.iter().rposition(|&unit| unit == u16::from(b']'));
        let mut at = 0;
        while let Some(&unit) = text.get(at) {
            at += 1;
            match u8::try_from(unit) {
                Ok(b'\\') => {
                    // At the end, it stands for itself.
                    items.push(match text.get(at) {
                        Some(&next) if next == u16::from(b'|') => Item::Or,
                        Some(&next) => Item::Symbol(next.into()),
                        None => Item::Symbol(unit.into()),
                    });
                    at += 1;
                }
                Ok(b'*') if at > 1 && text[at - 2] == star && ends_with_star(items) => {}
                Ok(b'*') if is_whole && is_stars => items.push(Item::SomeText),
                Ok(b'*') => items.push(Item::AnyText),
                Ok(b'?') => items.push(Item::AnySymbol),
                Ok(b'[') if last_bracket.is_some_and(|last| at < last) => {
                    match class::read(text, at - 1) {
                        Some(bracket) => {
                            at = bracket.end;
                            items.push(self.bracket(bracket.meaning));
                        }
                        None => items.push(Item::Symbol(unit.into())),
                    }
                }
                _ => items.push(Item::Symbol(unit.into())),
            }
        }
    }

    fn bracket(&mut self, meaning: Meaning) -> Item {
        match meaning {
            Meaning::Unit(unit) => Item::Symbol(unit.into()),
            Meaning::Nothing => Item::Nothing,
            Meaning::Class(class) => {
                self.unicode |= class.needs_unicode();
                Item::Class(class)
            }
        }
    }
}

/// Whether the last item is a star: one that follows in the same text adds nothing.
fn ends_with_star(items: &Items) -> bool {
    matches!(items.last(), Some(Item::AnyText | Item::SomeText))
}

/// An empty extglob as it is written, such as `@(|)`.
fn written(kind: Kind, count: usize) -> impl Iterator<Item = Item> {
    let bars = std::iter::repeat_n(u16::from(b'|'), count.saturating_sub(1));
    [kind.unit(), u16::from(b'(')]
        .into_iter()
        .chain(bars)
        .chain([u16::from(b')')])
        .map(|unit| Item::Symbol(unit.into()))
}

/// The reference pastes an empty extglob at the end into its regular expression as it is written, where its first
/// character says how often what comes before it is repeated.
fn quantify(kind: Kind, items: &mut Items) {
    let repeat = match kind {
        Kind::ZeroOrOne => Repeat::ZeroOrOne,
        Kind::ZeroOrMore => Repeat::ZeroOrMore,
        Kind::OneOrMore => Repeat::OneOrMore,
        Kind::ExactlyOne | Kind::Not => {
            items.push(Item::Symbol(kind.unit().into()));
            return;
        }
    };
    let item = match items.pop() {
        Some(item @ Item::Except(_)) => Item::Group(vec![vec![item]], repeat),
        _ => Item::Invalid,
    };
    items.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_in_a_row_are_one_and_one_alone_is_not_empty() {
        let items = |text| read(text).unwrap().items;
        assert!(matches!(items("***")[..], [Item::SomeText]));
        assert!(matches!(items("**a")[..], [Item::AnyText, Item::Symbol(_)]));
        assert!(matches!(
            items("\\**")[..],
            [Item::Symbol(_), Item::AnyText]
        ));
    }

    #[test]
    fn a_named_class_makes_the_whole_component_one_of_characters() {
        assert!(!read("a[b-c]").unwrap().unicode);
        assert!(read("a@(b|[[:alpha:]])").unwrap().unicode);
    }

    #[test]
    fn an_empty_extglob_alone_is_text() {
        assert_eq!(read("+(|)").unwrap().items.len(), 4);
        let items = read("@(+()|a)").unwrap().items;
        assert!(matches!(&items[..], [Item::Group(..)]));
    }
}
