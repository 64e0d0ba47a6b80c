//! What whoever acts through a workspace may do at all, whatever the rules of access say of single paths.

use super::Workspace;
use crate::access::Access;
use crate::error::{Error, ErrorCode, Result};

/// Rights of a principal. What lacks one is `POLICY_DENIED`, whatever is under the path. A scope's are never more than its parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Look at and read files, list and search.
    pub read: bool,
    /// Create, change, move and remove files.
    pub write: bool,
    /// Run commands. They may do with files whatever the wall allows, so this means little without the other two.
    pub exec: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        exec: true,
    };

    /// Those that both have.
    #[must_use]
    pub const fn within(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            write: self.write && other.write,
            exec: self.exec && other.exec,
        }
    }

    /// Fails where one is missing that this takes.
    pub(super) fn check(self, access: Access) -> Result<()> {
        let (has, lacking) = match access {
            Access::Stat { .. } | Access::List | Access::Read => (self.read, "read files"),
            Access::Write | Access::WriteBelow | Access::Pass => (self.write, "write"),
            Access::Exec => (self.exec, "run commands"),
        };
        match has {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::PolicyDenied,
                format!("this client may not {lacking} here"),
            )),
        }
    }
}

impl Workspace {
    /// What may be done through it: what was given, as far as the parent has it too.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.inner.rights
    }
}

impl Default for Rights {
    fn default() -> Self {
        Self::ALL
    }
}
