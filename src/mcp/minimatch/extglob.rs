//! The tree of a path component: text, and the extglobs `?(…)`, `*(…)`, `+(…)`, `@(…)` and `!(…)` in it.
//!
//! A node has the number of its list of parts and not the list itself, because two nodes may share one after the tree
//! has been rewritten ([`rewrite`]).

mod rewrite;

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 64;
/// Extglobs of different kinds nest this deep and not deeper: what follows is text.
const MAX_KINDS_DEPTH: usize = 2;
/// A larger tree is refused, in nodes and UTF-16 code units: each `!(…)` doubles what follows it.
const MAX_SIZE: usize = 8_192;

/// The character in front of the parenthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `!`
    Not,
    /// `?`
    ZeroOrOne,
    /// `*`
    ZeroOrMore,
    /// `+`
    OneOrMore,
    /// `@`
    ExactlyOne,
}

impl Kind {
    fn read(unit: u16) -> Option<Self> {
        Some(match u8::try_from(unit).ok()? {
            b'!' => Self::Not,
            b'?' => Self::ZeroOrOne,
            b'*' => Self::ZeroOrMore,
            b'+' => Self::OneOrMore,
            b'@' => Self::ExactlyOne,
            _ => return None,
        })
    }

    /// The character that it is written with.
    pub(super) fn unit(self) -> u16 {
        u16::from(match self {
            Self::Not => b'!',
            Self::ZeroOrOne => b'?',
            Self::ZeroOrMore => b'*',
            Self::OneOrMore => b'+',
            Self::ExactlyOne => b'@',
        })
    }

    /// Whether the alternatives of an inner extglob may as well be its own.
    fn takes(self, inner: Self) -> bool {
        match self {
            Self::ZeroOrMore => inner != Self::Not,
            Self::OneOrMore => matches!(inner, Self::OneOrMore | Self::ExactlyOne),
            Self::ZeroOrOne => matches!(inner, Self::ZeroOrOne | Self::ExactlyOne),
            Self::Not | Self::ExactlyOne => inner == Self::ExactlyOne,
        }
    }

    /// The same, if an empty alternative is added.
    fn takes_with_empty(self, inner: Self) -> bool {
        match self {
            Self::Not | Self::ExactlyOne => inner == Self::ZeroOrOne,
            Self::OneOrMore => matches!(inner, Self::ZeroOrOne | Self::ZeroOrMore),
            Self::ZeroOrOne | Self::ZeroOrMore => false,
        }
    }

    /// What an extglob becomes that has nothing but another in it.
    fn replaced_by(self, inner: Self) -> Option<Self> {
        match (self, inner) {
            (Self::Not, Self::Not) => Some(Self::ExactlyOne),
            (Self::ZeroOrOne, Self::ZeroOrMore | Self::OneOrMore)
            | (Self::OneOrMore, Self::ZeroOrOne | Self::ZeroOrMore) => Some(Self::ZeroOrMore),
            (Self::ExactlyOne, inner) => Some(inner),
            _ => None,
        }
    }
}

/// A part of a sequence; text as the range of the component that it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Text(usize, usize),
    Node(usize),
}

/// An extglob, whose parts are its alternatives; or, without a kind, a sequence.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Option<Kind>,
    parts: usize,
    parent: Option<usize>,
    /// Where it was in its parent when it was made.
    index: usize,
    /// Whether its last alternative ends with another extglob, or with nothing.
    ends_empty: bool,
}

/// A component as a tree; the first node is the root.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) text: &'a [u16],
    nodes: Vec<Node>,
    lists: Vec<Vec<Part>>,
    /// Each `!(…)` of the text.
    negations: Vec<usize>,
    /// How many nodes and code units there are in the lists.
    size: usize,
}

/// The root of every tree.
pub(super) const ROOT: usize = 0;

impl<'a> Tree<'a> {
    /// Reads a component and rewrites its tree as the reference does.
    ///
    /// # Errors
    /// The tree is too deep or too large.
    pub(super) fn new(text: &'a [u16]) -> Result<Self, String> {
        let mut tree = Self {
            text,
            nodes: Vec::new(),
            lists: Vec::new(),
            negations: Vec::new(),
            size: 0,
        };
        let root = tree.add_node(None, None);
        tree.read_root(root)?;
        tree.rewrite(root)?;
        Ok(tree)
    }

    pub(super) fn kind(&self, node: usize) -> Option<Kind> {
        self.nodes[node].kind
    }

    pub(super) fn parts(&self, node: usize) -> &[Part] {
        &self.lists[self.nodes[node].parts]
    }

    pub(super) fn ends_empty(&self, node: usize) -> bool {
        self.nodes[node].ends_empty
    }

    /// Whether only negations come before it in the component.
    pub(super) fn is_start(&self, node: usize) -> bool {
        let Node { parent, index, .. } = self.nodes[node];
        let Some(parent) = parent else {
            return true;
        };
        let before = self.parts(parent).get(..index);
        self.is_start(parent)
            && before.is_some_and(|before| {
                before.iter().all(|part| match part {
                    Part::Node(node) => self.kind(*node) == Some(Kind::Not),
                    Part::Text(..) => false,
                })
            })
    }

    /// Whether nothing comes after it in the component, or in the negation that it is in.
    pub(super) fn is_end(&self, node: usize) -> bool {
        let Node {
            parent,
            index,
            kind,
            ..
        } = self.nodes[node];
        let Some(parent) = parent else {
            return true;
        };
        self.kind(parent) == Some(Kind::Not)
            || self.is_end(parent) && (kind.is_none() || index + 1 == self.parts(parent).len())
    }

    fn add_node(&mut self, kind: Option<Kind>, parent: Option<usize>) -> usize {
        let index = parent.map_or(0, |parent| self.parts(parent).len());
        self.lists.push(Vec::new());
        self.nodes.push(Node {
            kind,
            parts: self.lists.len() - 1,
            parent,
            index,
            ends_empty: false,
        });
        self.nodes.len() - 1
    }

    fn push(&mut self, node: usize, part: Part) -> Result<(), String> {
        self.size += match part {
            Part::Text(start, end) if start == end => return Ok(()),
            Part::Text(start, end) => end - start,
            Part::Node(_) => 1,
        };
        if self.size > MAX_SIZE {
            return Err("it has too many extglobs, or too much after its `!(…)`".to_owned());
        }
        self.lists[self.nodes[node].parts].push(part);
        Ok(())
    }

    /// The kind of the extglob that opens at a position.
    fn opening(&self, at: usize) -> Option<Kind> {
        let kind = Kind::read(*self.text.get(at)?)?;
        (self.text.get(at + 1) == Some(&u16::from(b'('))).then_some(kind)
    }

    fn read_root(&mut self, root: usize) -> Result<(), String> {
        let mut scan = Scan::default();
        let (mut at, mut start) = (0, 0);
        while let Some(&unit) = self.text.get(at) {
            if let Some(kind) = self.opening(at)
                && scan.is_outside(unit)
            {
                self.push(root, Part::Text(start, at))?;
                let node = self.add_extglob(kind, root);
                at = self.read_extglob(node, at + 1, 1, 1)?;
                self.push(root, Part::Node(node))?;
                start = at;
                continue;
            }
            at += 1;
            scan.step(unit, at);
        }
        self.push(root, Part::Text(start, at))
    }

    fn add_extglob(&mut self, kind: Kind, parent: usize) -> usize {
        let node = self.add_node(Some(kind), Some(parent));
        if kind == Kind::Not {
            self.negations.push(node);
        }
        node
    }

    /// Reads from the opening parenthesis on, and returns where the text goes on. `depth` counts the extglobs around
    /// that could not be taken into one another, `nesting` all.
    fn read_extglob(
        &mut self,
        node: usize,
        open: usize,
        depth: usize,
        nesting: usize,
    ) -> Result<usize, String> {
        if nesting > MAX_DEPTH {
            return Err(format!("it nests extglobs deeper than {MAX_DEPTH}"));
        }
        let mut scan = Scan::default();
        let mut alternatives = vec![self.add_node(None, Some(node))];
        let mut sequence = alternatives[0];
        let (mut at, mut start) = (open + 1, open + 1);
        while let Some(&unit) = self.text.get(at) {
            if !scan.is_outside(unit) {
                at += 1;
                scan.step(unit, at);
                continue;
            }
            if let Some(kind) = self.opening(at)
                && let Some(depth) = self.depth_of(node, kind, depth)
            {
                self.push(sequence, Part::Text(start, at))?;
                let inner = self.add_extglob(kind, sequence);
                self.push(sequence, Part::Node(inner))?;
                at = self.read_extglob(inner, at + 1, depth, nesting + 1)?;
                start = at;
                continue;
            }
            at += 1;
            if unit == u16::from(b'|') || unit == u16::from(b')') {
                self.push(sequence, Part::Text(start, at - 1))?;
                if unit == u16::from(b')') {
                    self.nodes[node].ends_empty = start == at - 1;
                    for alternative in alternatives {
                        self.push(node, Part::Node(alternative))?;
                    }
                    return Ok(at);
                }
                start = at;
                sequence = self.add_node(None, Some(node));
                alternatives.push(sequence);
            }
        }
        // Never closed: all of it is text.
        self.nodes[node].kind = None;
        self.push(node, Part::Text(open - 1, at))?;
        Ok(at)
    }

    /// The depth that an extglob has in another; `None` where that is too deep for it to be one.
    fn depth_of(&self, outer: usize, kind: Kind, depth: usize) -> Option<usize> {
        let outer = self.kind(outer)?;
        if outer.takes(kind) || outer.takes_with_empty(kind) {
            return Some(depth);
        }
        (depth <= MAX_KINDS_DEPTH).then_some(depth + 1)
    }
}

/// What of a text is protected by a backslash or a bracket, as far as the search for extglobs goes: the reference reads
/// brackets twice, and this first time without classes or ranges.
#[derive(Default)]
struct Scan {
    is_escaped: bool,
    /// Where the text of an open bracket begins.
    bracket: Option<usize>,
    is_negated: bool,
}

impl Scan {
    /// Whether a unit may have a meaning where it is.
    fn is_outside(&self, unit: u16) -> bool {
        let special = [b'\\', b'['].map(u16::from);
        !self.is_escaped && self.bracket.is_none() && !special.contains(&unit)
    }

    /// Passes a unit; `after` is the position behind it.
    fn step(&mut self, unit: u16, after: usize) {
        if self.is_escaped || unit == u16::from(b'\\') {
            self.is_escaped = !self.is_escaped;
        } else if let Some(start) = self.bracket {
            if after == start + 1 {
                self.is_negated = [b'^', b'!'].map(u16::from).contains(&unit);
            } else if unit == u16::from(b']') && !(after == start + 2 && self.is_negated) {
                self.bracket = None;
            }
        } else if unit == u16::from(b'[') {
            self.bracket = Some(after);
            self.is_negated = false;
        }
    }
}
