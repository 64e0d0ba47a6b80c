//! Whole files that arrive in pieces. The pieces wait in a file without a name, so that nothing of them is seen before
//! the commit and nothing is left behind, whatever ends the process.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::io::{Errno, pwrite};

use super::calls::{self, Supply};
use super::place::{Effect, Place};
use super::quota::{self, Admission, Change};
use crate::backend::{StagedWrite, WriteMode, WriteOptions, WriteOutcome};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::sys::linux::anonymous;
use crate::sys::linux::halt::Halt;
use crate::sys::linux::source::Source;

/// Bytes that may be staged at a time below one root, by all of its scopes together.
pub const MAX_STAGED_BYTES: u64 = 8 << 30;

/// Bytes that are staged below a root.
#[derive(Debug, Default)]
pub(super) struct StagedBytes(AtomicU64);

impl StagedBytes {
    fn add(&self, more: u64) -> Result<()> {
        let fits = |staged: u64| {
            let staged = staged.checked_add(more)?;
            (staged <= MAX_STAGED_BYTES).then_some(staged)
        };
        let order = (Ordering::AcqRel, Ordering::Acquire);
        match self.0.fetch_update(order.0, order.1, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(
                ErrorCode::LimitExceeded,
                format!(
                    "at most {MAX_STAGED_BYTES} bytes can be on their way into this workspace at a time; try again when other writes have ended"
                ),
            )),
        }
    }

    fn remove(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::AcqRel);
    }
}

pub(super) fn stage(
    place: &Arc<Place>,
    path: &RelPath,
    options: WriteOptions,
) -> Call<Arc<dyn StagedWrite>> {
    let here = Arc::clone(place);
    let path = path.clone();
    place.blocking(move || {
        let file = anonymous_file(&here)?;
        Ok(Arc::new(LocalStaged {
            staged: Arc::new(Staged {
                place: here,
                path,
                options,
                file,
                state: Mutex::default(),
            }),
        }) as Arc<dyn StagedWrite>)
    })
}

/// In the state directory; where there is none, on the root's file system, where nobody can give it a name.
fn anonymous_file(place: &Place) -> Result<OwnedFd> {
    if let Some(state_dir) = place.state_dir() {
        let directory = File::open(&*state_dir)?;
        match anonymous::file(&directory, true) {
            Ok(file) => return Ok(file),
            Err(Errno::ROFS | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    let root = place.now(Effect::Creates, |boundary| {
        boundary.is_there()?;
        Ok(anonymous::file(boundary.root, false)?)
    });
    root.map_err(|halt| match halt {
        Halt::Failed(error) => error,
        Halt::Wait => Errno::AGAIN.into(),
    })
}

#[derive(Debug)]
struct LocalStaged {
    staged: Arc<Staged>,
}

#[derive(Debug)]
struct Staged {
    place: Arc<Place>,
    path: RelPath,
    options: WriteOptions,
    file: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    length: u64,
    /// Bytes that the bounds of the place have been asked about.
    admitted: u64,
    admission: Admission,
    /// What made it useless: a piece is missing.
    failed: Option<Error>,
    committed: bool,
}

impl StagedWrite for LocalStaged {
    fn append(&self, bytes: Bytes) -> Call<()> {
        let staged = Arc::clone(&self.staged);
        (self.staged.place).blocking(move || staged.append(&bytes))
    }

    fn commit(&self) -> Call<WriteOutcome> {
        let staged = Arc::clone(&self.staged);
        let length = match staged.end() {
            Ok(length) => length,
            Err(error) => return Call::err(error),
        };
        let change = Change {
            growth: quota::of_file(length),
            replaces: staged.replaces(),
        };
        quota::within(&self.staged.place, &self.staged.path, change, move || {
            let (place, path) = (Arc::clone(&staged.place), staged.path.clone());
            let options = staged.options.clone();
            calls::write(&place, &path, Whole { staged, length }, options)
        })
    }
}

/// All the pieces.
struct Whole {
    staged: Arc<Staged>,
    length: u64,
}

impl Supply for Whole {
    fn source(&self) -> Source<'_> {
        Source::File {
            file: self.staged.file.as_fd(),
            length: self.length,
        }
    }
}

impl Staged {
    fn append(&self, bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        state.check()?;
        let appended = self.add(&mut state, bytes);
        if let Err(error) = &appended {
            state.failed = Some(error.clone());
        }
        appended
    }

    fn add(&self, state: &mut State, bytes: &[u8]) -> Result<()> {
        let more = bytes.len() as u64;
        let end = state.length.saturating_add(more);
        let needed = quota::of_file(end);
        if needed > state.admitted {
            let change = Change {
                growth: needed - state.admitted,
                replaces: self.replaces(),
            };
            (state.admission).extend(&self.place, &self.path, change)?;
            state.admitted = needed;
        }
        self.place.staged_bytes().add(more)?;
        state.length = end;
        let mut at = end - more;
        while at < end {
            let done = bytes.len() - usize::try_from(end - at).unwrap_or(0);
            match pwrite(&self.file, &bytes[done..], at) {
                Ok(0) => return Err(Errno::IO.into()),
                Ok(count) => at += count as u64,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// No more pieces; gives the length. What the bounds were asked for is asked for anew by the write itself.
    fn end(&self) -> Result<u64> {
        let mut state = self.state();
        state.check()?;
        state.committed = true;
        state.admission.withdraw();
        Ok(state.length)
    }

    fn replaces(&self) -> bool {
        self.options.mode != WriteMode::Append
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.committed => Err(Error::new(
                ErrorCode::Conflict,
                "the file was committed already; begin another write",
            )),
            None => Ok(()),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.admission.withdraw();
        self.place.staged_bytes().remove(state.length);
    }
}
