//! The vocabulary of limits: what one command may use, what all commands of a scope may use together, and by which
//! mechanism each limit holds here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

/// What one command may use, with everything that it starts. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u64>,
    /// Seconds of processor time, all processes together.
    pub cpu_seconds: Option<f64>,
    /// Processors' worth of time that it gets: 0.5 is half of one. Slows down, does not end.
    pub cpus: Option<f64>,
    /// Bytes of the largest file that it may write.
    pub file_size_bytes: Option<u64>,
    /// Open descriptors of each process.
    pub open_files: Option<u64>,
}

/// What all commands of a scope, or of the root, may use together. Scopes below it count for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScopeLimits {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u64>,
    /// Processors' worth of time.
    pub cpus: Option<f64>,
}

impl Limits {
    /// These limits of a command where a backend has others for every command: its own win, but none is above the
    /// backend's.
    #[must_use]
    pub fn within(&self, defaults: &Limits) -> Self {
        Self {
            memory_bytes: lower(self.memory_bytes, defaults.memory_bytes),
            processes: lower(self.processes, defaults.processes),
            cpu_seconds: lower(self.cpu_seconds, defaults.cpu_seconds),
            cpus: lower(self.cpus, defaults.cpus),
            file_size_bytes: lower(self.file_size_bytes, defaults.file_size_bytes),
            open_files: lower(self.open_files, defaults.open_files),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what no command could live with.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, naming the limit.
    pub fn check(&self) -> Result<()> {
        least("limits.memoryBytes", self.memory_bytes, LEAST_MEMORY)?;
        least("limits.processes", self.processes, 1)?;
        positive("limits.cpuSeconds", self.cpu_seconds)?;
        positive("limits.cpus", self.cpus)?;
        least("limits.openFiles", self.open_files, LEAST_OPEN_FILES)
    }
}

impl ScopeLimits {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what no command could live with.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, naming the limit.
    pub fn check(&self) -> Result<()> {
        least("scopeLimits.memoryBytes", self.memory_bytes, LEAST_MEMORY)?;
        least("scopeLimits.processes", self.processes, 1)?;
        positive("scopeLimits.cpus", self.cpus)
    }
}

/// A shell needs about 4 MiB, and the launcher of a sandbox as much before it.
const LEAST_MEMORY: u64 = 8 << 20;

/// A shell with a pipe or two, and its libraries while they are loaded.
const LEAST_OPEN_FILES: u64 = 16;

fn lower<T: PartialOrd + Copy>(own: Option<T>, most: Option<T>) -> Option<T> {
    match (own, most) {
        (Some(own), Some(most)) if most < own => Some(most),
        (own, most) => own.or(most),
    }
}

fn least(name: &str, value: Option<u64>, least: u64) -> Result<()> {
    match value {
        Some(value) if value < least => Err(invalid(format!(
            "{name} must be at least {least}, not {value}"
        ))),
        _ => Ok(()),
    }
}

fn positive(name: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(value.is_finite() && value > 0.0) => Err(invalid(format!(
            "{name} must be a number above 0, not {value}"
        ))),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}

/// By what a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A control group: for all processes together, and the kernel lets none of them past it.
    Cgroup,
    /// A resource limit: the kernel lets no process past it, but each counts for itself.
    Rlimit,
    /// A resource limit that counts all processes of the same user, those of other commands included.
    RlimitPerUser,
    /// We look at all processes, or files, together several times a second, and end the command that went past it.
    Watch,
}

impl Mechanism {
    /// The text form of the public API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mechanism::Cgroup => "cgroup",
            Mechanism::Rlimit => "rlimit",
            Mechanism::RlimitPerUser => "rlimit-per-user",
            Mechanism::Watch => "watch",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How one limit holds here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// The option's name: `memoryBytes`, or `maxBytes`.
    pub limit: &'static str,
    /// By what; the first is what ends a command. Empty where the limit cannot be kept here.
    pub by: Vec<Mechanism>,
    /// Why nothing better, or nothing; empty at the best.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_ask_for_less_than_the_backend_allows_and_never_for_more() {
        let defaults = Limits {
            memory_bytes: Some(100),
            processes: Some(10),
            cpus: Some(1.0),
            ..Limits::default()
        };
        let own = Limits {
            memory_bytes: Some(50),
            processes: Some(20),
            cpu_seconds: Some(3.0),
            cpus: Some(0.5),
            ..Limits::default()
        };
        assert_eq!(
            own.within(&defaults),
            Limits {
                memory_bytes: Some(50),
                processes: Some(10),
                cpu_seconds: Some(3.0),
                cpus: Some(0.5),
                ..Limits::default()
            }
        );
        assert_eq!(Limits::default().within(&defaults), defaults);
        assert!(!own.is_empty() && Limits::default().is_empty());
    }

    #[test]
    fn a_limit_that_nothing_could_run_with_is_refused_by_name() {
        let refused = |limits: Limits| limits.check().unwrap_err();
        let error = refused(Limits {
            memory_bytes: Some(1),
            ..Limits::default()
        });
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert!(error.message().contains("memoryBytes"), "{error}");
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = refused(Limits {
                cpus: Some(wrong),
                ..Limits::default()
            });
            assert!(error.message().contains("limits.cpus"), "{error}");
        }
        let scope = ScopeLimits {
            processes: Some(0),
            ..ScopeLimits::default()
        };
        let error = scope.check().unwrap_err();
        assert!(error.message().contains("scopeLimits.processes"), "{error}");
        assert!(Limits::default().check().is_ok() && ScopeLimits::default().check().is_ok());
    }
}
