//! Limits as JavaScript passes them, and what is told of them.

use agent_backend::backend::limits::{Enforcement, Limits, ScopeLimits};
use agent_backend::error::Result;
use napi::sys;
use napi_derive::napi;

use super::Native;
use super::life::whole;
use crate::arguments::Arguments;

/// What a command, or all commands of a scope, may use.
#[napi(object, object_to_js = false)]
#[derive(Clone, Copy, Default)]
pub struct NativeLimits {
    /// Bytes of memory.
    pub memory_bytes: Option<f64>,
    /// Processes and threads at a time.
    pub processes: Option<f64>,
    /// Seconds of processor time; not for a scope.
    pub cpu_seconds: Option<f64>,
    /// Processors' worth of time.
    pub cpus: Option<f64>,
    /// Bytes of the largest file; not for a scope.
    pub file_size_bytes: Option<f64>,
    /// Open descriptors of each process; not for a scope.
    pub open_files: Option<f64>,
}

impl NativeLimits {
    /// Of one command.
    pub fn of_command(self) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes.map(whole),
            processes: self.processes.map(whole),
            cpu_seconds: self.cpu_seconds,
            cpus: self.cpus,
            file_size_bytes: self.file_size_bytes.map(whole),
            open_files: self.open_files.map(whole),
        }
    }

    /// Of all commands of a scope.
    pub fn of_scope(self) -> ScopeLimits {
        ScopeLimits {
            memory_bytes: self.memory_bytes.map(whole),
            processes: self.processes.map(whole),
            cpus: self.cpus,
        }
    }
}

/// `limitEnforcement(): string[]`: of each limit its name, its mechanisms with a comma between, and the reason, in turn.
pub fn limit_enforcement(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let told = match &native.local {
        Some(local) => local.launcher().limit_enforcement()?,
        None => Vec::new(),
    };
    let row = |told: Enforcement| {
        let by: Vec<&str> = told.by.iter().map(|by| by.as_str()).collect();
        [told.limit.to_owned(), by.join(","), told.reason]
    };
    let texts: Vec<String> = told.into_iter().flat_map(row).collect();
    Ok(arguments.js.strings(&texts))
}
