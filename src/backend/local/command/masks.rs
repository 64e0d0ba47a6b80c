//! Masks in the form that a sandbox takes them: where each goes, and what it shows.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::bwrap::Source;
use super::sources::{Sources, own_namespace};
use crate::access::View;
use crate::backend::process::Mask;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::spawn_staging::{self, Staged};

/// bubblewrap takes 9,000 words, of which the rest of a sandbox needs some hundreds.
const MAX_WORDS: usize = 8_000;

/// A mask of one sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Masked {
    /// Absolute, as the command sees it.
    pub(super) path: PathBuf,
    pub(super) view: View,
    pub(super) directory: bool,
    /// Whether a later mask shows something in what this one hides.
    pub(super) holds_shown: bool,
    /// What is shown, where something is.
    pub(super) source: Option<Source>,
}

/// The masks of a sandbox, and what must stay reachable until it ends.
#[derive(Debug, Default)]
pub(super) struct Masks {
    /// Of the scope itself.
    pub(super) scope: Option<Masked>,
    /// Of what is in it, those that hold others first.
    pub(super) below: Vec<Masked>,
    pub(super) staged: Vec<Staged>,
}

impl Masks {
    /// Makes what they show reachable. Blocks.
    pub(super) fn make(masks: &[Mask], scope: &[u8], sources: &mut Sources) -> Result<Self> {
        if masks.is_empty() {
            return Ok(Self::default());
        }
        let mut made = Self {
            staged: stage(masks)?,
            ..Self::default()
        };
        let mut paths = made.staged.iter().map(|staged| staged.path().to_owned());
        for mask in masks {
            let source = match &mask.handle {
                None => None,
                Some(handle) => Some(match paths.next() {
                    Some(path) => Source::Staged(path),
                    None => Source::Descriptor(sources.passed.push(handle.try_clone()?)),
                }),
            };
            let masked = Masked {
                path: OsStr::from_bytes(&mask.path.beneath(scope)).into(),
                view: mask.view,
                directory: mask.directory,
                holds_shown: mask.holds_shown,
                source,
            };
            match mask.path.is_root() {
                true => made.scope = Some(masked),
                false => made.below.push(masked),
            }
        }
        let words: usize = made.below.iter().map(Masked::words).sum();
        if words > MAX_WORDS {
            return Err(Error::new(
                ErrorCode::PolicyDenied,
                format!(
                    "the rules of the access policy protect {} things in this scope, more than a sandbox can hide one by one; name directories instead of the files in them, or run the command in a scope below",
                    made.below.len()
                ),
            ));
        }
        Ok(made)
    }
}

impl Masked {
    /// At most so many words of the sandbox's arguments are about it.
    fn words(&self) -> usize {
        match (self.view, self.directory) {
            (View::Hidden, true) => 6,
            _ => 3,
        }
    }
}

/// In the namespace where it is there; elsewhere nothing, and descriptors are passed.
fn stage(masks: &[Mask]) -> Result<Vec<Staged>> {
    let Some(staging) = own_namespace() else {
        return Ok(Vec::new());
    };
    let mut sources = Vec::new();
    for mask in masks {
        if let Some(handle) = &mask.handle {
            sources.push(spawn_staging::Source {
                handle: handle.try_clone()?,
                read_only: mask.view == View::ReadOnly,
            });
        }
    }
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    Ok(staging.stage(sources)?)
}
