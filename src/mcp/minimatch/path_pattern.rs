//! A pattern without braces over all the components of a path.

use std::collections::HashMap;
use std::sync::Arc;

use super::component::Component;

/// The reference gives up on a pattern with more sections between `**` than this.
const MAX_SECTIONS: usize = 200;

type Components = Vec<Arc<Component>>;
/// What is left of a path.
type Names<'a> = std::str::Split<'a, char>;

/// The components of a pattern.
#[derive(Debug)]
pub(super) struct PathPattern {
    /// What the path begins with.
    head: Components,
    /// What comes after the first `**`; without one, the head is all.
    rest: Option<Rest>,
}

/// What comes after the first `**`.
#[derive(Debug)]
struct Rest {
    /// What stands between one `**` and the next.
    sections: Vec<Section>,
    /// What the path ends with.
    tail: Components,
}

#[derive(Debug)]
struct Section {
    components: Components,
    /// How many components of the path must be left from where it begins, without the tail.
    room: usize,
}

/// Components by their text: alternatives of a brace share most of them.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    known: HashMap<String, Arc<Component>>,
}

impl Compiler {
    /// Compiles a pattern; `None` if it matches no path, such as one with a trailing slash.
    ///
    /// # Errors
    /// A component is too complex.
    pub(super) fn compile(&mut self, pattern: &str) -> Result<Option<PathPattern>, String> {
        let mut parts = Vec::new();
        for part in resolve(pattern) {
            parts.push(match part {
                "**" => None,
                text => Some(self.component(text)?),
            });
        }
        let is_hopeless = parts.iter().flatten().any(|part| part.is_hopeless());
        let mut sections = parts
            .split(Option::is_none)
            .map(|section| section.iter().flatten().cloned().collect::<Components>());
        let head = sections.next().unwrap_or_default();
        let mut sections: Vec<Components> = sections.collect();
        let rest = sections.pop().map(|tail| Rest {
            sections: with_room(sections),
            tail,
        });
        let is_hopeless = is_hopeless
            || rest
                .as_ref()
                .is_some_and(|rest| rest.sections.len() > MAX_SECTIONS);
        Ok((!is_hopeless).then_some(PathPattern { head, rest }))
    }

    fn component(&mut self, text: &str) -> Result<Arc<Component>, String> {
        if let Some(component) = self.known.get(text) {
            return Ok(Arc::clone(component));
        }
        let component = Arc::new(Component::new(text)?);
        self.known.insert(text.to_owned(), Arc::clone(&component));
        Ok(component)
    }
}

/// The components of a pattern as text: slashes in a row are one, `**` in a row too, and `a/..` is nothing.
fn resolve(pattern: &str) -> Vec<&str> {
    let split: Vec<&str> = pattern.split('/').collect();
    let last = split.len() - 1;
    let mut parts: Vec<&str> = Vec::with_capacity(split.len());
    for (at, &part) in split.iter().enumerate() {
        if part.is_empty() && at != 0 && at != last {
            continue;
        }
        match (part, parts.last()) {
            ("**", Some(&"**")) => {}
            ("..", Some(before)) if !["", ".", "..", "**"].contains(before) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        parts.push("");
    }
    parts
}

/// Says how much room each section needs. The reference counts what comes before the section that is as far from the
/// end as this one is from the start, and not what comes after this one; so it misses some paths, and so do we.
fn with_room(sections: Vec<Components>) -> Vec<Section> {
    let lengths: Vec<usize> = sections.iter().map(Vec::len).collect();
    let before = |section: usize| lengths[..section].iter().sum::<usize>();
    let rooms: Vec<usize> = (0..lengths.len())
        .map(|at| before(lengths.len() - 1 - at) + lengths[at])
        .collect();
    let with_room = |(components, room)| Section { components, room };
    sections.into_iter().zip(rooms).map(with_room).collect()
}

/// Takes as many components from a path as there are, and says whether they match. `None` if the path is too short.
fn take(components: &[Arc<Component>], path: &mut Names<'_>) -> Option<bool> {
    for component in components {
        if !component.is_match(path.next()?) {
            return Some(false);
        }
    }
    Some(true)
}

impl PathPattern {
    /// The most that matching a character may cost, in comparisons.
    pub(super) fn cost(&self) -> usize {
        let rest = self.rest.iter().flat_map(|rest| {
            let sections = rest.sections.iter().flat_map(|section| &section.components);
            sections.chain(&rest.tail)
        });
        self.head
            .iter()
            .chain(rest)
            .map(|component| component.cost())
            .sum()
    }

    pub(super) fn is_match(&self, path: &str) -> bool {
        let mut names = path.split('/');
        if take(&self.head, &mut names) != Some(true) {
            return false;
        }
        match &self.rest {
            Some(rest) => rest.is_match(names),
            None => names.next().is_none(),
        }
    }

    /// The most components that a match has; `None` with `**`.
    pub(super) fn max_components(&self) -> Option<usize> {
        self.rest.is_none().then_some(self.head.len())
    }
}

impl Rest {
    fn is_match(&self, mut names: Names<'_>) -> bool {
        for component in self.tail.iter().rev() {
            if !names
                .next_back()
                .is_some_and(|name| component.is_match(name))
            {
                return false;
            }
        }
        if !self.sections.is_empty() && !self.sections_match(&mut names) {
            return false;
        }
        // A `**` at the end is something.
        !self.tail.is_empty() || names.next().is_some()
    }

    /// Each section is taken where it first fits: a later place would only leave less for the others.
    fn sections_match(&self, names: &mut Names<'_>) -> bool {
        let mut left = names.clone().count();
        for Section { components, room } in &self.sections {
            loop {
                if left < *room {
                    return false;
                }
                let mut after = names.clone();
                if take(components, &mut after) == Some(true) {
                    *names = after;
                    left -= components.len();
                    break;
                }
                names.next();
                left -= 1;
            }
        }
        true
    }
}
