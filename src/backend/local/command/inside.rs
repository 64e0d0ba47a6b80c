//! What has to be done once the namespaces of a command are there: limits that count what is in them, the socket of its
//! proxy, and a session with a terminal. Our own binary does it there, and then becomes the shell.

use std::ffi::CString;
use std::sync::Arc;

use rustix::process::Resource;

use super::environment::Environment;
use super::launch::Launch;
use super::limits::ResourceLimit;
use super::options::Network;
use super::programs::{ShellProgram, c_string};
use super::sandbox::shell_line;
use super::way_out::{PORT, WayOut};
use super::{Launcher, Place};
use crate::backend::process::CommandSpec;
use crate::error::Result;
use crate::sys::linux::launcher::order::Order;

/// For one command; nothing for most, which are started by bubblewrap itself.
#[derive(Default)]
pub(super) struct Inside {
    /// What is to be done, without the program.
    pub(super) order: Option<Order>,
    pub(super) way_out: Option<WayOut>,
}

impl Inside {
    pub(super) fn of(
        launcher: &Launcher,
        place: &Place,
        spec: &CommandSpec,
        launch: &mut Launch,
    ) -> Result<Self> {
        let mut inside = Self::default();
        if let Network::Allow(allow) = &launcher.options.network {
            let tag = String::from_utf8_lossy(&place.root_path);
            let (way_out, socket) =
                WayOut::open(Arc::clone(allow), spec.egress_log.clone(), tag.into())?;
            let socket = launch.push(socket)?;
            inside.order.get_or_insert_default().listen = Some((PORT, socket));
            inside.way_out = Some(way_out);
        }
        if spec.terminal.is_some() {
            // Not before: outside, a key would interrupt bubblewrap too, and with it everything.
            inside.order.get_or_insert_default().terminal = true;
        }
        Ok(inside)
    }

    /// Takes the limits that belong inside; gives back the others.
    pub(super) fn limit(&mut self, limits: Vec<ResourceLimit>) -> Vec<ResourceLimit> {
        let (inside, outside): (Vec<_>, Vec<_>) = limits
            .into_iter()
            .partition(|(resource, _)| belongs_inside(*resource));
        if !inside.is_empty() {
            self.order.get_or_insert_default().limits = inside;
        }
        outside
    }
}

/// Whether bubblewrap itself could not live with a limit, or it is counted in the user namespace which that makes.
fn belongs_inside(resource: Resource) -> bool {
    matches!(
        resource,
        Resource::Fsize | Resource::Nofile | Resource::Nproc
    )
}

/// The order that ends in the shell and the text.
pub(super) fn ending_in_shell(
    order: &Order,
    shell: &ShellProgram,
    spec: &CommandSpec,
    environment: &Environment,
) -> Result<Order> {
    let program: CString = c_string(shell.path)?;
    Ok(Order {
        environment: environment.to_strings()?,
        program,
        arguments: shell_line(shell, spec)?,
        ..order.clone()
    })
}
