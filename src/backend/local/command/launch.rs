//! What is started through our own binary: a program, and an order that says what is done before it begins.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Launcher;
use super::servers::Kind;
use super::sources::{Sources, memory_file};
use super::staged::Group;
use crate::error::Result;
use crate::sys::linux::launcher::{self, client::Server, order::Order};
use crate::sys::linux::spawn::Child;

/// A command that is being put together, and the descriptors that it is passed, numbered from 3 on.
pub(super) struct Launch {
    pub(super) sources: Sources,
    kind: Kind,
    server: Arc<Server>,
}

/// What is to be started.
pub(super) struct Launched {
    kind: Kind,
    server: Arc<Server>,
    order: Order,
    passed: Vec<OwnedFd>,
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
            kind,
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
            kind: self.kind,
            server: self.server,
            order,
            passed: self.sources.passed.0,
            staged: self.sources.staged,
        }
    }
}

impl Launched {
    /// Starts it with these as standard input, output and error. Where its launcher turns out to be gone, for want of
    /// memory perhaps, another one takes its place.
    ///
    /// # Errors
    /// Those of [`Server::launch`].
    pub(super) fn start(&self, launcher: &Launcher, standard: &[OwnedFd; 3]) -> io::Result<Child> {
        let started = self.server.launch(&self.order, standard, &self.passed);
        match started {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                let Ok(another) = launcher.servers.get(launcher, self.kind) else {
                    return Err(error);
                };
                another.launch(&self.order, standard, &self.passed)
            }
            started => started,
        }
    }
}

fn number(descriptor: usize) -> Result<i32> {
    i32::try_from(descriptor).map_err(|error| std::io::Error::other(error).into())
}
