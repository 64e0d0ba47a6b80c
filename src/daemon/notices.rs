//! What an operator is told at the start: what should be otherwise, by name, and which wall there is.

use std::net::IpAddr;

use crate::backend::local::LocalBackend;
use crate::error::Printable;
use crate::workspace::Workspace;

/// What an operator should know.
pub(super) struct Warnings {
    pub(super) is_open: bool,
    pub(super) has_tls: bool,
    pub(super) is_host_network: bool,
    /// The names of tokens that could be guessed.
    pub(super) short: Vec<String>,
}

impl Warnings {
    pub(super) fn say(&self, listened_on: IpAddr) {
        let is_loopback = listened_on.to_canonical().is_loopback();
        if !is_loopback && !self.has_tls {
            tracing::warn!(
                warning = "no-tls",
                "tokens and content travel unencrypted: give --tls-cert and --tls-key, or put a proxy with TLS in front"
            );
        }
        if self.is_open && self.is_host_network {
            tracing::warn!(
                warning = "open-to-commands",
                "there is no token, and commands reach this machine's loopback: a command can call this daemon; set a token, or --network none"
            );
        }
        for name in &self.short {
            tracing::warn!(
                warning = "short-token",
                token = %Printable(name),
                "a token is so short that it can be guessed; take 32 random characters"
            );
        }
    }
}

/// Says which wall there is and as whom commands run, once it was tried.
pub(super) fn isolation(local: &LocalBackend, workspace: &Workspace) {
    let launcher = local.launcher();
    let root = String::from_utf8_lossy(workspace.root_dir());
    let root = Printable(&root);
    let found = launcher.isolation().and_then(|level| {
        let runs_as = local.runs_as(workspace.scope_path())?;
        Ok((level, runs_as))
    });
    match found {
        Ok((level, runs_as)) => {
            tracing::info!(
                %root,
                isolation = level.as_str(),
                uid = runs_as.uid,
                gid = runs_as.gid,
                "commands run"
            );
            if !level.is_kernel_wall() {
                tracing::warn!(
                    warning = "no-wall",
                    "no wall of the kernel keeps commands inside the workspace"
                );
            }
        }
        Err(error) => {
            tracing::warn!(warning = "no-commands", %root, "commands do not run here: {error}");
        }
    }
}
