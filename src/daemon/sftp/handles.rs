//! What a connection has open. A handle is a number that is never given twice, so that an old one names nothing.
//!
//! What is asked about one open file is done as if one after another, in the order in which it arrived, except that
//! reads which follow each other run at once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::sync::RwLock;

use super::super::operations::Handles;
use super::directories::Listing;
use crate::backend::{Attributes, FileStat, OpenFile, StagedWrite, WriteOutcome};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};

/// Files and directories that one connection has open at once.
pub(super) const MAX_OPEN: usize = 256;
/// Entries of directories that one connection is listing, together.
pub(super) const MAX_LISTED: usize = 1 << 20;

/// The handles of one connection.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    open: HashMap<u64, Open>,
    /// Handles of what is being opened.
    reserved: usize,
    listed: usize,
}

/// What a handle stands for.
#[derive(Clone, Debug)]
pub(super) enum Open {
    File(Arc<InOrder>),
    Stage(Arc<Stage>),
    Directory(Arc<Listing>),
}

/// A place in the table for what is being opened; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Table>);

impl Table {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// `LIMIT_EXCEEDED` where too much is open.
    pub(super) fn reserve(self: &Arc<Self>) -> Result<Slot> {
        let mut inner = self.lock();
        inner.check_room()?;
        inner.reserved += 1;
        Ok(Slot(Arc::clone(self)))
    }

    /// # Errors
    /// `INVALID_PATH` where there is no such handle.
    pub(super) fn get(&self, handle: &[u8]) -> Result<Open> {
        let found = number(handle).and_then(|number| self.lock().open.get(&number).cloned());
        found.ok_or_else(no_handle)
    }

    /// # Errors
    /// As [`Table::get`].
    pub(super) fn remove(&self, handle: &[u8]) -> Result<Open> {
        let mut inner = self.lock();
        let open = number(handle)
            .and_then(|number| inner.open.remove(&number))
            .ok_or_else(no_handle)?;
        if let Open::Directory(listing) = &open {
            inner.listed -= listing.count();
        }
        Ok(open)
    }

    /// # Errors
    /// `INVALID_PATH` where the handle is none of a file.
    pub(super) fn opened_file(&self, handle: &[u8]) -> Result<Arc<InOrder>> {
        match self.get(handle)? {
            Open::File(file) => Ok(file),
            Open::Stage(_) | Open::Directory(_) => Err(Error::new(
                ErrorCode::InvalidPath,
                "the handle is none of a file",
            )),
        }
    }
}

impl Inner {
    fn check_room(&self) -> Result<()> {
        if self.open.len() + self.reserved < MAX_OPEN {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::LimitExceeded,
            format!("more than {MAX_OPEN} files and directories are open; close some"),
        ))
    }

    fn add(&mut self, open: Open) -> Bytes {
        self.last += 1;
        self.open.insert(self.last, open);
        Bytes::copy_from_slice(&self.last.to_be_bytes())
    }
}

impl Slot {
    /// Puts what was opened there, and gives its handle.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where directories with too many entries are being listed.
    pub(super) fn fill(self, open: Open) -> Result<Bytes> {
        // It stays reserved until self is dropped, behind this lock.
        let mut inner = self.0.lock();
        if let Open::Directory(listing) = &open {
            let listed = inner.listed + listing.count();
            if listed > MAX_LISTED {
                return Err(Error::new(
                    ErrorCode::LimitExceeded,
                    format!("directories with more than {MAX_LISTED} entries are being listed"),
                ));
            }
            inner.listed = listed;
        }
        Ok(inner.add(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.lock().reserved -= 1;
    }
}

impl Handles for Table {
    fn keep_file(&self, file: Arc<dyn OpenFile>) -> Result<Bytes> {
        let mut inner = self.lock();
        inner.check_room()?;
        Ok(inner.add(Open::File(Arc::new(InOrder::new(file)))))
    }

    fn keep_stage(&self, stage: Arc<dyn StagedWrite>) -> Result<Bytes> {
        let mut inner = self.lock();
        inner.check_room()?;
        Ok(inner.add(Open::Stage(Arc::new(Stage::new(stage)))))
    }

    fn take_stage(&self, handle: &[u8]) -> Result<Arc<dyn StagedWrite>> {
        let mut inner = self.lock();
        let number = number(handle).ok_or_else(no_handle)?;
        match inner.open.get(&number) {
            Some(Open::Stage(stage)) => {
                let stage = Arc::clone(stage);
                inner.open.remove(&number);
                stage.check()?;
                Ok(stage)
            }
            _ => Err(Error::new(
                ErrorCode::InvalidPath,
                "the handle is none of a write in pieces",
            )),
        }
    }

    fn file(&self, handle: &[u8]) -> Result<Arc<dyn OpenFile>> {
        Ok(self.opened_file(handle)?)
    }

    fn close(&self, handle: &[u8]) {
        // It may have been closed meanwhile by whoever guessed its number, who had no need to.
        drop(self.remove(handle));
    }
}

fn number(handle: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(handle.try_into().ok()?))
}

fn no_handle() -> Error {
    Error::new(ErrorCode::InvalidPath, "there is no such handle")
}

/// Calls on one open file, whose order is that in which they were made.
#[derive(Debug, Default)]
struct Turns(Arc<RwLock<()>>);

impl Turns {
    /// Together with others that are shared.
    fn shared<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Call<T> + Send + 'static,
    ) -> Call<T> {
        in_turn(Arc::clone(&self.0).read_owned(), call)
    }

    /// Alone.
    fn alone<T: Send + 'static>(&self, call: impl FnOnce() -> Call<T> + Send + 'static) -> Call<T> {
        in_turn(Arc::clone(&self.0).write_owned(), call)
    }
}

/// The lock is fair: whoever asks later waits for whoever asked before.
fn in_turn<G: Send + 'static, T: Send + 'static>(
    turn: impl Future<Output = G> + Send + 'static,
    call: impl FnOnce() -> Call<T> + Send + 'static,
) -> Call<T> {
    let mut turn = Box::pin(turn);
    // Asked for now, not when it is first awaited: that is what keeps the order.
    match turn.as_mut().now_or_never() {
        Some(turn) => match call() {
            Call::Ready(result) => Call::Ready(result),
            Call::Pending(future) => Call::pending(async move {
                let result = future.await;
                drop(turn);
                result
            }),
        },
        None => Call::pending(async move {
            let turn = turn.await;
            let result = call().await;
            drop(turn);
            result
        }),
    }
}

/// An open file whose calls keep their order.
#[derive(Debug)]
pub(super) struct InOrder {
    file: Arc<dyn OpenFile>,
    turns: Turns,
}

impl InOrder {
    pub(super) fn new(file: Arc<dyn OpenFile>) -> Self {
        Self {
            file,
            turns: Turns::default(),
        }
    }

    /// Ends when all that was asked before has ended.
    pub(super) fn finished(&self) -> Call<()> {
        self.turns.alone(|| Call::ok(()))
    }
}

impl OpenFile for InOrder {
    fn stat(&self) -> Call<FileStat> {
        let file = Arc::clone(&self.file);
        self.turns.shared(move || file.stat())
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        let file = Arc::clone(&self.file);
        self.turns.shared(move || file.read_at(offset, length))
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        let file = Arc::clone(&self.file);
        self.turns.alone(move || file.write_at(offset, bytes))
    }

    fn set_attributes(&self, attributes: Attributes) -> Call<()> {
        let file = Arc::clone(&self.file);
        self.turns.alone(move || file.set_attributes(attributes))
    }

    fn sync(&self) -> Call<()> {
        let file = Arc::clone(&self.file);
        self.turns.alone(move || file.sync())
    }
}

/// A write in pieces. One piece that fails, or is missing, spoils it all.
#[derive(Debug)]
pub(super) struct Stage {
    stage: Arc<dyn StagedWrite>,
    turns: Turns,
    /// Where the next piece begins.
    next: AtomicU64,
    spoiled: Arc<AtomicBool>,
}

impl Stage {
    fn new(stage: Arc<dyn StagedWrite>) -> Self {
        Self {
            stage,
            turns: Turns::default(),
            next: AtomicU64::new(0),
            spoiled: Arc::default(),
        }
    }

    /// # Errors
    /// `IO_ERROR` where a piece failed or is missing.
    fn check(&self) -> Result<()> {
        check(&self.spoiled)
    }

    /// Adds a piece that begins at this offset.
    pub(super) fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.next.load(Ordering::Relaxed) != offset {
            self.spoiled.store(true, Ordering::Relaxed);
            return Call::err(Error::new(
                ErrorCode::InvalidConfiguration,
                "the piece does not begin where the one before it ended",
            ));
        }
        self.next.fetch_add(length, Ordering::Relaxed);
        self.append(bytes)
    }
}

impl StagedWrite for Stage {
    fn append(&self, bytes: Bytes) -> Call<()> {
        let (stage, spoiled) = (Arc::clone(&self.stage), Arc::clone(&self.spoiled));
        self.turns.alone(move || match check(&spoiled) {
            Ok(()) => stage.append(bytes).map_err(move |error| {
                spoiled.store(true, Ordering::Relaxed);
                error
            }),
            Err(error) => Call::err(error),
        })
    }

    fn commit(&self) -> Call<WriteOutcome> {
        let (stage, spoiled) = (Arc::clone(&self.stage), Arc::clone(&self.spoiled));
        self.turns.alone(move || match check(&spoiled) {
            Ok(()) => stage.commit(),
            Err(error) => Call::err(error),
        })
    }
}

fn check(spoiled: &AtomicBool) -> Result<()> {
    if spoiled.load(Ordering::Relaxed) {
        return Err(Error::new(
            ErrorCode::IoError,
            "a piece of the file could not be written",
        ));
    }
    Ok(())
}
