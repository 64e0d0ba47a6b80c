//! What whoever acts through a workspace may do at all, whatever the rules of access say of single paths.

/// Rights of a principal. A scope's are never more than its parent's.
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
}

impl Default for Rights {
    fn default() -> Self {
        Self::ALL
    }
}
