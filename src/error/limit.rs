//! The limits that an operation can run into.

/// Which limit ended an operation; carried by [`super::ErrorCode::LimitExceeded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Memory.
    Memory,
    /// Processes and threads.
    Processes,
    /// Processor time.
    Cpu,
    /// Open descriptors.
    Files,
    /// The size of one file.
    FileSize,
    /// Output.
    Output,
}

impl Limit {
    /// The text form of the public API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Limit::Memory => "memory",
            Limit::Processes => "processes",
            Limit::Cpu => "cpu",
            Limit::Files => "files",
            Limit::FileSize => "fileSize",
            Limit::Output => "output",
        }
    }
}
