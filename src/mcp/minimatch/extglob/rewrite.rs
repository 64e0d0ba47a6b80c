//! What the reference does to its tree before it makes a regular expression of it.
//!
//! Extglobs that are alone in another are taken into it, and what follows a `!(…)` is copied into each of its
//! alternatives, so that `x!(a)b` excludes `xab`. Neither is quite what it should be: a list of parts may come to be
//! shared by two extglobs, and a part keeps the position that it was made at. Hence the same steps on the same tree.

use super::{Kind, Part, Tree};

/// How often an extglob is looked over for others to take in.
const MAX_PASSES: usize = 10;

impl Tree<'_> {
    /// Rewrites the tree below the root.
    ///
    /// # Errors
    /// The tree becomes too large.
    pub(super) fn rewrite(&mut self, root: usize) -> Result<(), String> {
        self.flatten(root)?;
        self.fill_negations()
    }

    /// The extglob that is the whole of an alternative.
    fn only_extglob(&self, alternative: usize) -> Option<(usize, Kind)> {
        match self.parts(alternative) {
            [Part::Node(inner)] if self.kind(alternative).is_none() => {
                Some((*inner, self.kind(*inner)?))
            }
            _ => None,
        }
    }

    fn flatten(&mut self, node: usize) -> Result<(), String> {
        for _ in 0..MAX_PASSES {
            let mut is_done = true;
            let mut at = 0;
            while let Some(&part) = self.parts(node).get(at) {
                if let Part::Node(child) = part {
                    self.flatten(child)?;
                    if let Some(kind) = self.kind(node) {
                        is_done &= !self.take_in(node, kind, child, at)?;
                    }
                }
                at += 1;
            }
            if is_done {
                break;
            }
        }
        Ok(())
    }

    /// Takes what an alternative holds into the extglob that it is of, where that means the same.
    fn take_in(
        &mut self,
        node: usize,
        kind: Kind,
        alternative: usize,
        at: usize,
    ) -> Result<bool, String> {
        let Some((inner, inner_kind)) = self.only_extglob(alternative) else {
            return Ok(false);
        };
        if kind.takes(inner_kind) || kind.takes_with_empty(inner_kind) {
            if !kind.takes(inner_kind) {
                let empty = self.add_node(None, Some(inner));
                self.push(inner, Part::Node(empty))?;
            }
            let taken = self.parts(inner).to_vec();
            self.adopt(&taken, node);
            self.size += taken.len();
            self.lists[self.nodes[node].parts].splice(at..=at, taken);
            return Ok(true);
        }
        let Some(replacement) = kind
            .replaced_by(inner_kind)
            .filter(|_| self.parts(node).len() == 1)
        else {
            return Ok(false);
        };
        let shared = self.nodes[inner].parts;
        self.adopt(&self.lists[shared].clone(), node);
        let node = &mut self.nodes[node];
        (node.kind, node.parts, node.ends_empty) = (Some(replacement), shared, false);
        Ok(true)
    }

    fn adopt(&mut self, parts: &[Part], parent: usize) {
        for part in parts {
            if let Part::Node(node) = part {
                self.nodes[*node].parent = Some(parent);
            }
        }
    }

    /// Copies what follows each negation, at every level around it, to the end of each of its alternatives.
    fn fill_negations(&mut self) -> Result<(), String> {
        while let Some(negation) = self.negations.pop() {
            if self.kind(negation) != Some(Kind::Not) {
                continue;
            }
            let mut inner = negation;
            while let Some(outer) = self.nodes[inner].parent {
                if self.kind(outer).is_none() {
                    self.copy_behind(negation, outer, self.nodes[inner].index + 1)?;
                }
                inner = outer;
            }
        }
        Ok(())
    }

    fn copy_behind(&mut self, negation: usize, outer: usize, from: usize) -> Result<(), String> {
        let mut at = from;
        while let Some(&part) = self.parts(outer).get(at) {
            let alternatives = self.parts(negation).to_vec();
            for alternative in alternatives {
                if let Part::Node(alternative) = alternative {
                    self.copy(part, alternative)?;
                }
            }
            at += 1;
        }
        Ok(())
    }

    fn copy(&mut self, part: Part, target: usize) -> Result<(), String> {
        let Part::Node(original) = part else {
            return self.push(target, part);
        };
        let copy = self.add_node(self.kind(original), Some(target));
        for part in self.parts(original).to_vec() {
            self.copy(part, copy)?;
        }
        self.push(target, Part::Node(copy))
    }
}
