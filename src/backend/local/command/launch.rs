//! What is started through our own binary: a program, and an order that says what is done before it begins.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use super::Launcher;
use super::sources::{Sources, memory_file};
use super::staged::Group;
use crate::error::Result;
use crate::sys::linux::launcher::{self, order::Order};

/// Descriptors of a launch: our binary, the order, then whatever the program needs.
pub(super) struct Launch {
    pub(super) sources: Sources,
    binary: usize,
    order: usize,
}

/// What is to be started for one.
pub(super) struct Launched {
    pub(super) program: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) passed: Vec<OwnedFd>,
    /// What must stay reachable until it ends.
    pub(super) staged: Option<Group>,
}

impl Launch {
    /// Takes the first two descriptors.
    ///
    /// # Errors
    /// `MISSING_UTILITIES` without our binary.
    pub(super) fn new(launcher: &Launcher) -> Result<Self> {
        let mut sources = Sources::default();
        let binary = launcher.own_binary()?.handle.try_clone()?;
        let binary = sources.passed.push(binary);
        // What it says is known last.
        let order = sources.passed.push(memory_file(&[])?);
        Ok(Self {
            sources,
            binary,
            order,
        })
    }

    /// The number of a descriptor that is passed, as an order names it.
    pub(super) fn push(&mut self, descriptor: OwnedFd) -> Result<i32> {
        number(self.sources.passed.push(descriptor))
    }

    #[expect(
        dead_code,
        reason = "for limits and sockets that belong inside the namespaces"
    )]
    /// A program that carries out another order once this one's program has made its namespaces: the program's
    /// arguments. Both of its descriptors must be kept.
    pub(super) fn inner(&mut self, order: &Order) -> Result<(Vec<CString>, [i32; 2])> {
        let at = self.sources.passed.push(memory_file(&order.to_bytes())?);
        let mut arguments = launcher::arguments(at);
        arguments[0] = by_descriptor(self.binary);
        Ok((arguments, [number(self.binary)?, number(at)?]))
    }

    /// What the program gets of the descriptors: all that were pushed so far but the first two.
    pub(super) fn pushed(&self) -> Result<Vec<i32>> {
        (self.order + 1..self.sources.passed.0.len() + 3)
            .map(number)
            .collect()
    }

    pub(super) fn finish(mut self, order: &Order) -> Result<Launched> {
        let content = memory_file(&order.to_bytes())?;
        self.sources.passed.replace(self.order, content);
        Ok(Launched {
            program: by_descriptor(self.binary),
            arguments: launcher::arguments(self.order),
            passed: self.sources.passed.0,
            staged: self.sources.staged,
        })
    }
}

fn by_descriptor(descriptor: usize) -> CString {
    CString::new(format!("/proc/self/fd/{descriptor}")).unwrap_or_default()
}

pub(super) fn number(descriptor: usize) -> Result<i32> {
    i32::try_from(descriptor).map_err(|error| std::io::Error::other(error).into())
}
