//! A bound on the bytes that a scope takes of the disk. The kernel keeps none for a directory, so it is measured: our own
//! writes are admitted against a running sum that is never below what they add up to, and only where that says no is the
//! tree measured again. While commands run, a watch measures.
//!
//! What counts is what the disk gives up: allocated blocks, and a little for each inode, since a million empty files fill
//! a disk too.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::io::Errno;

use super::place::{Effect, Place};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::sys::linux::beneath::{self, How};
use crate::sys::linux::halt::Halt;
use crate::sys::linux::usage::{self, Bounds, Usage};

/// Bytes that an inode counts for, besides its blocks.
const INODE: u64 = 512;

/// Bytes that a file is rounded up to.
pub(super) const BLOCK: u64 = 4096;

/// A new directory.
pub(super) const DIRECTORY: Change = Change {
    growth: BLOCK + INODE,
    replaces: false,
};

/// A new file without content.
pub(super) const EMPTY_FILE: Change = Change {
    growth: INODE,
    replaces: false,
};

/// What a new file of so many bytes takes at most on an ordinary file system.
pub(super) const fn of_file(bytes: u64) -> u64 {
    bytes
        .div_ceil(BLOCK)
        .saturating_mul(BLOCK)
        .saturating_add(INODE)
}

/// What counts of a measurement.
pub(super) const fn counted(usage: Usage) -> u64 {
    usage
        .bytes
        .saturating_add(usage.inodes.saturating_mul(INODE))
}

/// The bound of one scope. Shared by everything that was made from the scope that has it.
#[derive(Debug)]
pub(super) struct Quota {
    measured: Place,
    max_bytes: u64,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// At least what the scope takes, as far as we know; `None` where somebody else may have added to it.
    used: Option<u64>,
    last_measured: u64,
    /// How often it became unknown: what was measured meanwhile may be out of date.
    forgotten: u64,
    /// Admitted, and perhaps not written yet.
    in_flight: u64,
    /// It may be less than `used`: measuring again is worth it.
    may_be_less: bool,
}

/// The right to add to a scope. What is measured while it is held may or may not have it in it.
#[derive(Debug, Default)]
pub(super) struct Admission {
    held: Vec<(Arc<Quota>, u64)>,
}

impl Quota {
    pub(super) fn new(measured: Place, max_bytes: u64) -> Self {
        Self {
            measured,
            max_bytes,
            account: Mutex::default(),
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something was removed or replaced.
    pub(super) fn may_have_shrunk(&self) {
        self.account().may_be_less = true;
    }

    /// Says that others than us may have written.
    pub(super) fn is_unknown(&self) {
        let mut account = self.account();
        account.used = None;
        account.forgotten += 1;
    }

    /// The bound.
    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// What the scope takes, as far as it is known without measuring.
    pub(super) fn known(&self) -> Option<u64> {
        self.account().used
    }

    /// A handle on the scope's directory; `None` where there is none.
    ///
    /// # Errors
    /// Those of opening it.
    pub(super) fn directory(&self) -> Result<Option<OwnedFd>> {
        let opened = self.measured.now(Effect::Reads, |boundary| {
            beneath::open_scope(boundary, How::Links).map_err(Halt::from)
        });
        match opened {
            Ok(directory) => Ok(Some(directory)),
            Err(Halt::Failed(error)) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Wait) => Err(Error::from(Errno::AGAIN)),
        }
    }

    /// Measures, and remembers it: gives what counts, or `None` where a bound ended it before it was done. Blocks, for
    /// about 1 µs an inode.
    ///
    /// # Errors
    /// Those of reading the scope's directory; one that is not there takes nothing.
    pub(super) fn measure(&self, bounds: &Bounds) -> Result<Option<u64>> {
        let forgotten = self.account().forgotten;
        let usage = match self.directory()? {
            Some(directory) => usage::tree(directory, bounds)?,
            None => Usage::default(),
        };
        let ended = bounds.cancel.is_cancelled()
            || bounds
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline);
        let mut account = self.account();
        if usage.cut_short && ended {
            account.used = None;
            return Ok(None);
        }
        let mut used = counted(usage);
        if usage.cut_short {
            // What cannot be read has not gone away.
            used = used.max(account.last_measured);
        }
        account.last_measured = used;
        if account.forgotten != forgotten {
            // Others wrote meanwhile, perhaps behind us.
            return Ok(Some(used));
        }
        account.used = Some(used.saturating_add(account.in_flight));
        account.may_be_less = false;
        Ok(Some(used))
    }

    /// Admits so many bytes more, `freed` of which are given back when they are there. Blocks.
    fn admit(&self, growth: u64, freed: impl Fn() -> u64) -> Result<()> {
        let fits = |used: u64| used.saturating_add(growth) <= self.max_bytes;
        {
            let mut account = self.account();
            match account.used {
                Some(used) if fits(used) => {
                    account.used = Some(used + growth);
                    account.in_flight += growth;
                    return Ok(());
                }
                // Nothing has changed since it was measured.
                Some(used) if !account.may_be_less && !fits(used.saturating_sub(freed())) => {
                    return Err(self.exceeded());
                }
                _ => {}
            }
        }
        let measured = self.measure(&Bounds::default())?.unwrap_or_default();
        let freed = freed();
        let mut account = self.account();
        let used = account
            .used
            .unwrap_or(measured.saturating_add(account.in_flight));
        if !fits(used.saturating_sub(freed)) {
            return Err(self.exceeded());
        }
        account.used = account.used.map(|used| used.saturating_add(growth));
        account.in_flight += growth;
        Ok(())
    }

    /// The error of what would exceed it.
    pub(super) fn exceeded(&self) -> Error {
        let at = match self.measured.path() {
            b"" => "/".into(),
            path => String::from_utf8_lossy(path),
        };
        Error::new(
            ErrorCode::QuotaExceeded,
            format!(
                "the workspace {at} may take {} bytes of the disk (`maxBytes`); remove files, or raise it",
                self.max_bytes
            ),
        )
    }
}

impl Admission {
    /// Asks for more. Blocks.
    ///
    /// # Errors
    /// As [`admission`]; what it had it still has.
    pub(super) fn extend(&mut self, place: &Place, path: &RelPath, change: Change) -> Result<()> {
        let freed = || match change.replaces {
            true => replaced(place, path),
            false => 0,
        };
        for quota in place.quotas() {
            quota.admit(change.growth, freed)?;
            self.held.push((Arc::clone(quota), change.growth));
        }
        Ok(())
    }

    /// Gives all of it back: nothing was added.
    pub(super) fn withdraw(&mut self) {
        for (quota, growth) in self.held.drain(..) {
            let mut account = quota.account();
            account.in_flight = account.in_flight.saturating_sub(growth);
            account.used = account.used.map(|used| used.saturating_sub(growth));
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        for (quota, growth) in &self.held {
            let mut account = quota.account();
            account.in_flight = account.in_flight.saturating_sub(*growth);
            // Whatever was replaced is gone, and what failed was not added.
            account.may_be_less = true;
        }
    }
}

/// What an operation does to the sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Bytes that it adds at most.
    pub(super) growth: u64,
    /// Whether what is at its path goes for it.
    pub(super) replaces: bool,
}

/// Does something where the bounds of the place allow. Without bounds it is just done.
pub(super) fn within<T: Send + 'static>(
    place: &Arc<Place>,
    path: &RelPath,
    change: Change,
    act: impl FnOnce() -> Call<T> + Send + 'static,
) -> Call<T> {
    if place.quotas().is_empty() {
        return act();
    }
    let (here, path) = (Arc::clone(place), path.clone());
    let admitted = place.blocking(move || admission(&here, &path, change));
    admitted.and_then(move |admission| {
        act().then(move |outcome| {
            drop(admission);
            outcome
        })
    })
}

/// Asks all bounds of a place. Blocks.
///
/// # Errors
/// `QUOTA_EXCEEDED`, and those of measuring.
pub(super) fn admission(place: &Place, path: &RelPath, change: Change) -> Result<Admission> {
    let mut admission = Admission::default();
    admission.extend(place, path, change)?;
    Ok(admission)
}

/// What a file takes that is to be replaced: it goes when the new one is there.
fn replaced(place: &Place, path: &RelPath) -> u64 {
    use rustix::fs::{FileType, Mode, OFlags, fstat};
    let opened = place.now(Effect::Reads, |boundary| {
        Ok(beneath::open(
            boundary,
            path,
            OFlags::PATH,
            Mode::empty(),
            How::Links,
        )?)
    });
    let Some(stat) = opened.ok().and_then(|file| fstat(file).ok()) else {
        return 0;
    };
    let goes = stat.st_nlink == 1 && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if goes {
        u64::try_from(stat.st_blocks).unwrap_or(0) * 512 + INODE
    } else {
        0
    }
}
