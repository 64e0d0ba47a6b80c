//! What is started through our own binary: a program, and an order that says what is done before it begins.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Launcher;
use super::servers::Kind;
use super::sources::{Sources, memory_file};
use super::staged::Group;
use crate::error::Result;
use crate::sys::linux::launcher::{self, client::Server, order::Order};

/// A command that is being put together, and the descriptors that it is passed, numbered from 3 on.
pub(super) struct Launch {
    pub(super) sources: Sources,
    server: Arc<Server>,
}

/// What is to be started.
pub(super) struct Launched {
    pub(super) server: Arc<Server>,
    pub(super) order: Order,
    pub(super) passed: Vec<OwnedFd>,
    /// What must stay reachable until it ends.
    pub(super) staged: Option<Group>,
}

impl Launch {
    /// Begins one.
    ///
    /// # Errors
    /// `MISSING_UTILITIES` without our binary.
    pub(super) fn new(launcher: &Launcher, kind: Kind) -> Result<Self> {
        Ok(Self {
            sources: Sources::default(),
            server: launcher.servers.get(launcher, kind)?,
        })
    }

    /// The number of a descriptor that is passed, as an order names it.
    pub(super) fn push(&mut self, descriptor: OwnedFd) -> Result<i32> {
        number(self.sources.passed.push(descriptor))
    }

    /// The numbers of several.
    pub(super) fn push_all(&mut self, descriptors: Vec<OwnedFd>) -> Result<Vec<i32>> {
        descriptors
            .into_iter()
            .map(|found| self.push(found))
            .collect()
    }

    /// A program that carries out another order once this one's program has made its namespaces: its arguments.
    pub(super) fn inner(&mut self, launcher: &Launcher, order: &Order) -> Result<Vec<CString>> {
        let binary = launcher.own_binary()?.handle.try_clone()?;
        let binary = self.sources.passed.push(binary);
        let order = self.sources.passed.push(memory_file(&order.to_bytes())?);
        let mut arguments = launcher::arguments(order);
        let path = format!("/proc/self/fd/{binary}");
        arguments[0] = CString::new(path).unwrap_or_default();
        Ok(arguments)
    }

    /// All that was pushed so far.
    pub(super) fn pushed(&self) -> Result<Vec<i32>> {
        (3..self.sources.passed.0.len() + 3).map(number).collect()
    }

    pub(super) fn finish(self, order: Order) -> Launched {
        Launched {
            server: self.server,
            order,
            passed: self.sources.passed.0,
            staged: self.sources.staged,
        }
    }
}

fn number(descriptor: usize) -> Result<i32> {
    i32::try_from(descriptor).map_err(|error| std::io::Error::other(error).into())
}
