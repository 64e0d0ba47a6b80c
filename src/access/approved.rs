//! What holds for one operation that somebody has approved.

use std::sync::Arc;

use super::guard::{Access, Guard, View};
use super::rules::Rules;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// The rules, and the places that were approved: what a path leads to by now must be one of them.
#[derive(Debug)]
pub struct Approved {
    rules: Arc<Rules>,
    places: Vec<RelPath>,
}

impl Approved {
    /// For one operation on these places, without links.
    #[must_use]
    pub fn new(rules: Arc<Rules>, places: Vec<RelPath>) -> Self {
        Self { rules, places }
    }

    fn is_approved(&self, path: &RelPath, access: Access) -> bool {
        self.places.iter().any(|place| match access {
            // Directories on the way are created with what was approved, and a command's scope holds its directory.
            Access::Pass | Access::Exec => place.starts_with(path),
            Access::WriteBelow => path.starts_with(place),
            _ => path == place,
        })
    }
}

impl Guard for Approved {
    fn check(&self, path: &RelPath, access: Access) -> Result<()> {
        self.rules.check(path, access)?;
        if self.is_approved(path, access) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::PolicyDenied,
            "the path leads elsewhere than when it was approved; ask again",
        ))
    }

    fn hides(&self, path: &RelPath, is_directory: bool) -> bool {
        self.rules.hides(path, is_directory)
    }

    fn may_protect_below(&self, path: &RelPath) -> bool {
        self.rules.may_protect_below(path)
    }

    fn view(&self, path: &RelPath) -> View {
        self.rules.view(path)
    }

    fn may_differ_below(&self, path: &RelPath) -> bool {
        self.rules.may_differ_below(path)
    }
}
