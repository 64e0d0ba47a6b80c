//! Components with extglobs: a machine of states that are all followed at once, so that the time grows with the length
//! of the name and not with the ways to match it.
//!
//! The name is read backwards. Whether something matches from a place on is then known for every place after one pass,
//! and that is what a `!(…)` asks: it is answered for all places before the machine that it stands in runs.

use std::ops::Range;

use super::items::{Item, Items, Lowered, Repeat};
use super::single::Single;

/// A larger machine is refused.
const MAX_STATES: usize = 1_024;
/// What a state costs, compared with the comparison of two characters.
const COST_OF_STATE: usize = 4;

type StateId = usize;

#[derive(Clone, Debug)]
enum State {
    /// One character, to the left of where the machine is.
    Single(Single, StateId),
    /// Several ways at once: these of the targets.
    Branch(Range<usize>),
    AtStart(StateId),
    AtEnd(StateId),
    /// Goes on where the machine with this number matches nothing.
    Unless(usize, StateId),
    Nothing,
    Accept,
}

/// Something to look for from every place on.
#[derive(Clone, Debug)]
struct Search {
    entry: StateId,
    /// Whether all that it finds reaches to the end of the name.
    is_anchored: bool,
}

/// The machine of a component.
#[derive(Clone, Debug)]
pub(super) struct Program {
    states: Vec<State>,
    /// Where the branches lead.
    targets: Vec<StateId>,
    /// Each uses only those before it; the last is the component itself.
    searches: Vec<Search>,
    unicode: bool,
}

impl Program {
    /// # Errors
    /// The machine is too large.
    pub(super) fn new(lowered: &Lowered) -> Result<Self, String> {
        let mut builder = Builder {
            states: vec![State::Accept],
            targets: Vec::new(),
            searches: Vec::new(),
            unicode: lowered.unicode,
        };
        builder.component(&lowered.items)?;
        Ok(Self {
            states: builder.states,
            targets: builder.targets,
            searches: builder.searches,
            unicode: lowered.unicode,
        })
    }

    /// The most that matching a character may cost.
    pub(super) fn cost(&self) -> usize {
        let cost = |state: &State| match state {
            State::Single(single, _) => COST_OF_STATE + single.cost(),
            State::Branch(targets) => COST_OF_STATE + targets.len(),
            _ => COST_OF_STATE,
        };
        self.states.iter().map(cost).sum()
    }

    pub(super) fn is_match(&self, name: &str) -> bool {
        let symbols = Lowered::symbols(self.unicode, name);
        let mut run = Run {
            program: self,
            symbols: &symbols,
            found: Vec::with_capacity(self.searches.len()),
        };
        for search in &self.searches {
            let places = run.places(search);
            run.found.push(places);
        }
        run.found
            .last()
            .is_some_and(|places| places.contains(&true))
    }
}

/// A program on a name.
struct Run<'a> {
    program: &'a Program,
    symbols: &'a [u32],
    /// For each search that is done, whether it matches from a place on.
    found: Vec<Vec<bool>>,
}

impl Run<'_> {
    fn places(&self, search: &Search) -> Vec<bool> {
        let end = self.symbols.len();
        let mut places = vec![false; end + 1];
        let mut seen = vec![usize::MAX; self.program.states.len()];
        let mut waiting = Vec::new();
        let mut next = Vec::new();
        for place in (0..=end).rev() {
            if place == end || !search.is_anchored {
                waiting.push(search.entry);
            } else if waiting.is_empty() {
                break;
            }
            let symbol = place.checked_sub(1).map(|before| self.symbols[before]);
            while let Some(state) = waiting.pop() {
                if std::mem::replace(&mut seen[state], place) == place {
                    continue;
                }
                match &self.program.states[state] {
                    State::Single(single, to)
                        if symbol.is_some_and(|symbol| single.matches(symbol)) =>
                    {
                        next.push(*to);
                    }
                    State::Branch(targets) => {
                        waiting.extend_from_slice(&self.program.targets[targets.clone()]);
                    }
                    State::AtStart(to) if place == 0 => waiting.push(*to),
                    State::AtEnd(to) if place == end => waiting.push(*to),
                    State::Unless(search, to) if !self.found[*search][place] => waiting.push(*to),
                    State::Accept => places[place] = true,
                    _ => {}
                }
            }
            std::mem::swap(&mut waiting, &mut next);
        }
        places
    }
}

/// Makes the machine. Since it runs backwards, what is built first is reached last: each method takes the state that
/// comes after, to the left, and returns the one to enter.
struct Builder {
    states: Vec<State>,
    targets: Vec<StateId>,
    searches: Vec<Search>,
    unicode: bool,
}

/// Where a machine has found what it looks for.
const ACCEPT: StateId = 0;

impl Builder {
    /// The component: the first of its lists begins where it begins, and the last ends where it ends.
    fn component(&mut self, items: &Items) -> Result<(), String> {
        let lists: Vec<&[Item]> = split(items).collect();
        let mut entries = Vec::new();
        for (at, list) in lists.iter().enumerate() {
            let mut entry = ACCEPT;
            if at == 0 {
                entry = self.add(State::AtStart(entry))?;
            }
            entry = self.list(list, entry)?;
            if at + 1 == lists.len() {
                entry = self.add(State::AtEnd(entry))?;
            }
            entries.push(entry);
        }
        let entry = self.branch(entries)?;
        self.searches.push(Search {
            entry,
            is_anchored: lists.len() == 1,
        });
        Ok(())
    }

    fn add(&mut self, state: State) -> Result<StateId, String> {
        if self.states.len() == MAX_STATES {
            return Err("its extglobs are too large".to_owned());
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    fn branch(&mut self, entries: Vec<StateId>) -> Result<StateId, String> {
        match entries.as_slice() {
            [entry] => Ok(*entry),
            _ => {
                let state = self.add(State::Nothing)?;
                self.set_branch(state, &entries);
                Ok(state)
            }
        }
    }

    fn set_branch(&mut self, state: StateId, entries: &[StateId]) {
        let start = self.targets.len();
        self.targets.extend_from_slice(entries);
        self.states[state] = State::Branch(start..self.targets.len());
    }

    fn list(&mut self, items: &[Item], mut next: StateId) -> Result<StateId, String> {
        for item in items {
            next = match Single::of(item, self.unicode) {
                Some(single) => self.add(State::Single(single, next))?,
                None => self.item(item, next)?,
            };
        }
        Ok(next)
    }

    fn item(&mut self, item: &Item, next: StateId) -> Result<StateId, String> {
        match item {
            Item::AnyText => self.any_text(next),
            Item::SomeText => {
                let rest = self.any_text(next)?;
                self.add(State::Single(Single::Any, rest))
            }
            Item::End => self.add(State::AtEnd(next)),
            Item::Group(alternatives, repeat) => self.group(alternatives, *repeat, next),
            Item::Except(alternatives) => {
                let entries = self.alternatives(alternatives, ACCEPT)?;
                let entry = self.branch(entries)?;
                let ends = |list: &[Item]| matches!(list.last(), Some(Item::End));
                let is_anchored = alternatives.iter().all(|items| split(items).all(ends));
                self.searches.push(Search { entry, is_anchored });
                let except = self.add(State::Unless(self.searches.len() - 1, next))?;
                self.any_text(except)
            }
            Item::Invalid => {
                Err("it has an empty extglob where there is nothing to repeat".to_owned())
            }
            _ => self.add(State::Nothing),
        }
    }

    fn any_text(&mut self, next: StateId) -> Result<StateId, String> {
        let star = self.add(State::Nothing)?;
        let any = self.add(State::Single(Single::Any, star))?;
        self.set_branch(star, &[next, any]);
        Ok(star)
    }

    fn group(
        &mut self,
        alternatives: &[Items],
        repeat: Repeat,
        next: StateId,
    ) -> Result<StateId, String> {
        match repeat {
            Repeat::ExactlyOne => {
                let entries = self.alternatives(alternatives, next)?;
                self.branch(entries)
            }
            Repeat::ZeroOrOne => {
                let mut entries = self.alternatives(alternatives, next)?;
                entries.push(next);
                self.branch(entries)
            }
            Repeat::ZeroOrMore | Repeat::OneOrMore => {
                let again = self.add(State::Nothing)?;
                let entries = self.alternatives(alternatives, again)?;
                let mut targets = entries.clone();
                targets.push(next);
                self.set_branch(again, &targets);
                if repeat == Repeat::ZeroOrMore {
                    return Ok(again);
                }
                self.branch(entries)
            }
        }
    }

    fn alternatives(
        &mut self,
        alternatives: &[Items],
        next: StateId,
    ) -> Result<Vec<StateId>, String> {
        alternatives
            .iter()
            .flat_map(split)
            .map(|list| self.list(list, next))
            .collect()
    }
}

/// The lists that a list is.
fn split(items: &Items) -> impl Iterator<Item = &[Item]> {
    items.split(|item| matches!(item, Item::Or))
}
