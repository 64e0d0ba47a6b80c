//! Memory that a caller makes a door hold: answers that wait until they are read in pieces, listings, standard input of
//! commands that have not started.

use super::Workspace;
use super::slots::{Bounds, Slot};
use crate::error::{Limit, Result};

/// Bytes that count as somebody's until this is dropped.
#[derive(Debug)]
#[must_use = "the bytes count as free when this is dropped"]
pub struct Reserved(Slot);

impl Reserved {
    /// Counts more.
    ///
    /// # Errors
    /// As [`Workspace::reserve`]; what was counted before stays.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        (self.0.grow(bytes)).map_err(|error| error.with_limit(Limit::Memory))
    }
}

impl Workspace {
    /// Counts bytes that wait in memory for whoever acts here.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` beyond [`super::WorkspaceOptions::max_waiting_bytes`].
    pub fn reserve(&self, bytes: usize) -> Result<Reserved> {
        let options = &self.inner.options;
        let bounds = Bounds {
            total: options.max_waiting_bytes,
            per_tenant: options.max_waiting_bytes_per_principal,
        };
        (self.inner.held.bytes)
            .take_many(&self.inner.tenant, bounds, bytes)
            .map(Reserved)
            .map_err(|error| error.with_limit(Limit::Memory))
    }
}
