//! A request, compiled once: what to enter, what to report, which files to read.

use std::sync::{Mutex, PoisonError};

use super::glob::{Excludes, FileGlobs, PathGlob};
use super::grep::Grep;
use super::ignore_files::{IGNORE_FILE_NAMES, IgnoreChain};
use crate::backend::FileKind;
use crate::backend::search::{Query, SearchRequest};
use crate::error::Result;
use crate::path::RelPath;

/// A compiled request. Paths are those below the base, except where said.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) what: What,
    excludes: Excludes,
    hidden: bool,
    pub(super) respect_gitignore: bool,
    pub(super) names_only: bool,
}

#[derive(Debug)]
pub(super) enum What {
    Glob {
        glob: PathGlob,
        directories: bool,
    },
    Grep {
        grep: Box<Mutex<Grep>>,
        globs: FileGlobs,
    },
    Tree {
        max_depth: usize,
    },
}

impl Plan {
    pub(super) fn new(request: &SearchRequest) -> Result<Self> {
        let what = match &request.query {
            Query::Glob {
                pattern,
                directories,
            } => What::Glob {
                glob: PathGlob::new(pattern)?,
                directories: *directories,
            },
            Query::Grep(query) => What::Grep {
                grep: Box::new(Mutex::new(Grep::new(query, (&request.limits).into())?)),
                globs: FileGlobs::new(&query.globs)?,
            },
            Query::Tree { max_depth } => What::Tree {
                max_depth: max_depth.unwrap_or(usize::MAX),
            },
        };
        Ok(Self {
            what,
            excludes: Excludes::new(&request.exclude)?,
            hidden: request.hidden,
            respect_gitignore: request.respect_gitignore,
            names_only: request.names_only,
        })
    }

    /// Whether an entry is looked at at all: a directory that is not is not entered. Each directory above has
    /// passed this already. Ignore files are asked with the path from the root, since those above the base count.
    pub(super) fn admits(
        &self,
        path: &[u8],
        from_root: &RelPath,
        kind: FileKind,
        ignores: &IgnoreChain,
    ) -> bool {
        let is_directory = kind == FileKind::Directory;
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        if !self.hidden && name.first() == Some(&b'.') {
            return false;
        }
        if self.excludes.is_match(path, is_directory) {
            return false;
        }
        !self.respect_gitignore
            || (name != b".git" && !ignores.leaves_out(from_root.as_bytes(), is_directory))
    }

    /// Whether an entry that is admitted becomes a result of a search by name.
    pub(super) fn reports(&self, path: &[u8], kind: FileKind) -> bool {
        match &self.what {
            What::Tree { .. } => true,
            What::Grep { .. } => false,
            What::Glob { glob, directories } => {
                let is_directory = kind == FileKind::Directory;
                (!is_directory || *directories || glob.directories_only())
                    && glob.is_match(path, is_directory)
            }
        }
    }

    /// Whether the content of an admitted file is searched.
    pub(super) fn reads(&self, path: &[u8], kind: FileKind) -> bool {
        match &self.what {
            What::Grep { globs, .. } => kind == FileKind::File && !globs.leaves_out(path, false),
            What::Glob { .. } | What::Tree { .. } => false,
        }
    }

    /// Whether a directory that is admitted is entered; `depth` is that of what is in it, 1 for the base.
    pub(super) fn enters(&self, path: &[u8], depth: usize) -> bool {
        match &self.what {
            What::Tree { max_depth } => depth <= *max_depth,
            What::Grep { globs, .. } => path.is_empty() || !globs.leaves_out(path, true),
            What::Glob { glob, .. } => path.is_empty() || glob.may_match_below(path),
        }
    }

    /// Whether an entry, as a directory listing gives it, is worth a closer look; `kind` may not be known yet.
    pub(super) fn may_matter(&self, path: &[u8], name: &[u8], kind: Option<FileKind>) -> bool {
        match kind {
            None | Some(FileKind::Directory) => true,
            Some(kind) => {
                self.reports(path, kind)
                    || self.reads(path, kind)
                    || (self.respect_gitignore && IGNORE_FILE_NAMES.contains(&name))
            }
        }
    }

    /// The content search, for one thread to use.
    pub(super) fn grep(&self) -> Option<Grep> {
        match &self.what {
            What::Grep { grep, .. } => {
                Some(grep.lock().unwrap_or_else(PoisonError::into_inner).clone())
            }
            What::Glob { .. } | What::Tree { .. } => None,
        }
    }
}
