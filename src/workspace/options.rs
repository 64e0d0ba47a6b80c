//! What is chosen once for a root.

use crate::access::AccessPolicy;

/// What holds for a root and all scopes below it.
#[derive(Clone, Debug)]
pub struct WorkspaceOptions {
    /// Judge each command by the command policy before it starts. Default: true.
    pub prevent_dangerous: bool,
    /// Bytes of output kept per stream of a command; of more, head and tail are kept. Default: 10 MiB.
    pub max_output_bytes: usize,
    /// Time limit of a command that names none, in milliseconds. Default: none.
    pub command_timeout_ms: Option<u64>,
    /// What holds beside the wall for every operation of every door, in scopes as in the root. Default: nothing.
    pub access: Option<AccessPolicy>,
    /// How many commands may run at a time in the root and all its scopes; one more is `LIMIT_EXCEEDED`. Default: any.
    pub max_commands: Option<usize>,
    /// The same for one principal, in the scope that it was named for and those below. Default: any.
    pub max_commands_per_principal: Option<usize>,
    /// How many files may be open at a time in the root and all its scopes, writes in pieces included; one more is
    /// `LIMIT_EXCEEDED`. Each takes a descriptor of this process. Default: any.
    pub max_open_files: Option<usize>,
    /// The same for one principal, in the scope that it was named for and those below. Default: any.
    pub max_open_files_per_principal: Option<usize>,
    /// How many bytes doors hold at a time for callers who have not taken them yet; more are `LIMIT_EXCEEDED`.
    /// Default: any.
    pub max_waiting_bytes: Option<usize>,
    /// The same for one principal, in the scope that it was named for and those below. Default: any.
    pub max_waiting_bytes_per_principal: Option<usize>,
}

impl Default for WorkspaceOptions {
    fn default() -> Self {
        Self {
            prevent_dangerous: true,
            max_output_bytes: 10 << 20,
            command_timeout_ms: None,
            access: None,
            max_commands: None,
            max_commands_per_principal: None,
            max_open_files: None,
            max_open_files_per_principal: None,
            max_waiting_bytes: None,
            max_waiting_bytes_per_principal: None,
        }
    }
}
