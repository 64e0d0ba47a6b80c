//! The native command as a server: opens a workspace and serves it. It is a door like any other: every check is behind
//! [`Workspace`](crate::workspace::Workspace), and what it adds is how a process that has nothing but its arguments speaks of
//! what went wrong.

pub mod arguments;
pub mod authority;
pub mod command_channel;
mod http;
mod log;
pub mod metrics;
mod newcomers;
mod notices;
mod opening;
pub mod operations;
mod policy;
mod serving;
pub mod session;
pub mod sftp;
pub mod slowing;
pub mod ssh;
mod ssh_door;
mod stdio;
mod tenants;
mod tls;
mod watching;

use std::io::{self, Write as _};
use std::process::ExitCode;

pub use arguments::{DaemonOptions, ServedBackend};

use crate::backend::local::command::Network;
use crate::error::{Error, Result};

/// Serves until the client ends, or a signal says so. Fails with one line on standard error where it cannot.
#[must_use]
pub fn run(options: DaemonOptions) -> ExitCode {
    let served = if options.local_only {
        serve_standard_streams(options)
    } else {
        serving::serve(options)
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn serve_standard_streams(options: DaemonOptions) -> Result<()> {
    let network = match &options.commands.network {
        Some(flag) => opening::network(flag)?,
        None => Network::Host,
    };
    stdio::serve(opening::open(options, network, None)?.workspace)
}

/// Says what is wrong, in one line on standard error, and gives the exit status of a command that failed.
#[must_use]
pub fn failed(error: &Error) -> ExitCode {
    let text = error.to_string().replace('\n', " ");
    // Nothing is left to be done where standard error is closed.
    let _ = writeln!(io::stderr(), "agent-backend: {text}");
    ExitCode::FAILURE
}
