//! The errors of commands that were ended for a limit.

use crate::backend::limits::Limits;
use crate::error::{Error, ErrorCode, Limit};

/// Says which limit ended a command, and what to do about it.
pub(super) fn exceeded(limit: Limit, limits: &Limits, of_scope: bool) -> Error {
    let whose = match of_scope {
        true => "all commands of this scope together used more",
        false => "the command used more",
    };
    let bound = |value: Option<u64>, unit: &str| {
        value.map_or_else(String::new, |value| format!(" ({value}{unit})"))
    };
    let own = |value: Option<u64>, unit| {
        if of_scope {
            String::new()
        } else {
            bound(value, unit)
        }
    };
    let message = match limit {
        Limit::Memory => format!(
            "{whose} memory than it may{} and was ended; raise `memoryBytes`, or let it work on less at a time",
            own(limits.memory_bytes, " bytes")
        ),
        Limit::Processes => format!(
            "{whose} processes than it may{} and was ended; raise `processes`, or start fewer at a time",
            own(limits.processes, "")
        ),
        Limit::Cpu => format!(
            "the command computed for longer than it may ({} s) and was ended; raise `cpuSeconds`",
            limits.cpu_seconds.unwrap_or_default()
        ),
        Limit::FileSize => format!(
            "the command wrote a file larger than it may{} and was ended; raise `fileSizeBytes`",
            own(limits.file_size_bytes, " bytes")
        ),
        Limit::Files | Limit::Output => format!("{whose} than it may ({})", limit.as_str()),
    };
    Error::new(ErrorCode::LimitExceeded, message).with_limit(limit)
}
