//! Values that stay open. A handle is on the value that was opened, under whatever name it is later: one that is removed
//! or replaced as a whole lives on for those who have it open, and counts as long as they do.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::store::{
    Place, State, Store, already_exists, is_a_directory, not_a_directory, not_found,
};
use super::tree::{Body, Location, Node, NodeId, Times};
use super::{LARGE_COPY, MemoryBackend};
use crate::access::Access;
use crate::backend::{Attributes, FileKind, FileStat, OpenFile, OpenOptions};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// A value that is changed in parts grows no longer than this: each part may mean to copy all of it.
pub const MAX_OPEN_BYTES: u64 = 256 << 20;

/// What permission bits a value can have.
const PERMISSIONS: u32 = 0o777;

/// A value that somebody has open.
#[derive(Debug, Default)]
pub(super) struct Held {
    handles: usize,
    /// The value, where it is in no directory any more.
    orphan: Option<Orphan>,
}

#[derive(Debug)]
struct Orphan {
    bytes: Bytes,
    permissions: u16,
    times: Times,
}

/// Where an open value is.
#[derive(Clone, Copy, Debug)]
struct Handle {
    id: NodeId,
    /// The same as long as it is the same value; the id may be another's by now.
    ino: u64,
}

/// A value, wherever it is.
struct Value<'a> {
    bytes: &'a mut Bytes,
    permissions: &'a mut u16,
    times: &'a mut Times,
}

impl MemoryBackend {
    pub(super) fn open_now(&self, path: &RelPath, options: OpenOptions) -> Result<MemoryFile> {
        options.check()?;
        let access = match options.changes() {
            true => Access::Write,
            false => Access::Read,
        };
        let handle = self.with(path, access, |state| {
            let handle = state.open(self.place(path), options)?;
            state.held.entry(handle.ino).or_default().handles += 1;
            Ok(handle)
        })?;
        Ok(MemoryFile {
            inner: Arc::new(Inner {
                store: Arc::clone(&self.store),
                handle,
                options,
            }),
        })
    }
}

impl State {
    fn open(&mut self, place: Place<'_>, options: OpenOptions) -> Result<Handle> {
        let creates = options.create || options.create_new;
        let id = match self.tree.locate(place.names()) {
            Location::Blocked => return Err(not_a_directory()),
            Location::Found(_) if options.create_new => return Err(already_exists()),
            Location::Found(id) => id,
            Location::Missing { .. } if !creates => return Err(not_found()),
            Location::Missing { parent, depth } => {
                // What leads to a scope is made on the way, and nothing else.
                let scope_depth = place.scope.components().count();
                let full_depth = scope_depth + place.path.components().count();
                if depth.max(scope_depth) + 1 < full_depth {
                    return Err(not_found());
                }
                let now = self.tick();
                let id = self.add_file(parent, place.names().skip(depth), now);
                self.set_value(id, Bytes::new(), self.expiry(None));
                if let Some(mode) = options.permissions {
                    self.tree.node_mut(id).permissions = (mode & PERMISSIONS) as u16;
                }
                id
            }
        };
        let node = self.tree.node(id);
        if !matches!(node.body, Body::File { .. }) {
            return Err(is_a_directory());
        }
        let handle = Handle { id, ino: node.ino };
        if options.truncate {
            self.resize(handle, 0)?;
        }
        Ok(handle)
    }

    /// To be told that a value loses its place: it is kept for those who have it open. Gives whether it is.
    pub(super) fn keep_open(
        held: &mut std::collections::HashMap<u64, Held>,
        node: &Node,
        bytes: &Bytes,
    ) -> bool {
        let Some(held) = held.get_mut(&node.ino) else {
            return false;
        };
        held.orphan = Some(Orphan {
            bytes: bytes.clone(),
            permissions: node.permissions,
            times: node.times,
        });
        true
    }

    /// Makes a file that is about to be replaced as a whole another one than that which is open.
    pub(super) fn leave_to_handles(&mut self, id: NodeId) {
        let node = self.tree.node(id);
        if let Body::File { bytes, .. } = &node.body
            && Self::keep_open(&mut self.held, node, bytes)
        {
            self.tree.renew(id);
        }
    }

    /// Whether somebody has it open.
    pub(super) fn is_open(&self, id: NodeId) -> bool {
        !self.held.is_empty() && self.held.contains_key(&self.tree.node(id).ino)
    }

    fn value(&mut self, handle: Handle) -> Result<Value<'_>> {
        if let Some(node) = self.tree.get_mut(handle.id, handle.ino)
            && let Body::File { bytes, .. } = &mut node.body
        {
            return Ok(Value {
                bytes,
                permissions: &mut node.permissions,
                times: &mut node.times,
            });
        }
        let held = self.held.get_mut(&handle.ino);
        let orphan = held.and_then(|held| held.orphan.as_mut());
        let Orphan {
            bytes,
            permissions,
            times,
        } = orphan.ok_or_else(not_found)?;
        Ok(Value {
            bytes,
            permissions,
            times,
        })
    }

    fn stat_open(&mut self, handle: Handle) -> Result<FileStat> {
        if self.tree.get_mut(handle.id, handle.ino).is_some() {
            return Ok(self.stat(handle.id));
        }
        let value = self.value(handle)?;
        let (size, permissions, times) = (value.bytes.len(), *value.permissions, *value.times);
        Ok(FileStat {
            nlink: 0,
            ..self.stat_of(handle.ino, FileKind::File, size as u64, permissions, times)
        })
    }

    /// Changes a value in place; readers keep what they have read.
    fn change(
        &mut self,
        handle: Handle,
        length: impl FnOnce(usize) -> u64,
        fill: impl FnOnce(usize, &mut BytesMut),
    ) -> Result<()> {
        let old_length = self.value(handle)?.bytes.len();
        let new_length = length(old_length);
        let too_large = || {
            Error::new(
                ErrorCode::TooLarge,
                format!("a value that is changed in parts has at most {MAX_OPEN_BYTES} bytes"),
            )
        };
        if new_length > MAX_OPEN_BYTES && new_length > old_length as u64 {
            return Err(too_large());
        }
        let new_length = usize::try_from(new_length).map_err(|_| too_large())?;
        self.reserve(new_length, old_length)?;
        let now = self.tick();
        let value = self.value(handle)?;
        let mut bytes = match std::mem::take(value.bytes).try_into_mut() {
            Ok(alone) => alone,
            Err(read_elsewhere) => BytesMut::from(&read_elsewhere[..]),
        };
        bytes.resize(new_length, 0);
        fill(old_length, &mut bytes);
        *value.bytes = bytes.freeze();
        value.times.modified = now;
        value.times.changed = now;
        self.resized(old_length, new_length);
        Ok(())
    }

    fn resize(&mut self, handle: Handle, size: u64) -> Result<()> {
        self.change(handle, |_| size, |_, _| {})
    }

    fn write_at(&mut self, handle: Handle, at: Option<u64>, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let start = |old_length: usize| at.unwrap_or(old_length as u64);
        self.change(
            handle,
            |old_length| {
                let end = start(old_length).saturating_add(bytes.len() as u64);
                end.max(old_length as u64)
            },
            |old_length, value| {
                // It has just been made long enough.
                let start = usize::try_from(start(old_length)).unwrap_or(usize::MAX);
                if let Some(part) = value.get_mut(start..start.saturating_add(bytes.len())) {
                    part.copy_from_slice(bytes);
                }
            },
        )
    }

    fn set_open(&mut self, handle: Handle, attributes: Attributes) -> Result<()> {
        if let Some(size) = attributes.size {
            self.resize(handle, size)?;
        }
        let now = self.tick();
        let value = self.value(handle)?;
        set(value.permissions, value.times, attributes, now);
        Ok(())
    }

    /// Changes attributes of what is under a path.
    pub(super) fn set_attributes(
        &mut self,
        place: Place<'_>,
        attributes: Attributes,
    ) -> Result<()> {
        let id = self.find(place)?;
        let node = self.tree.node(id);
        if matches!(node.body, Body::File { .. }) {
            let ino = node.ino;
            return self.set_open(Handle { id, ino }, attributes);
        }
        if attributes.size.is_some() {
            return Err(is_a_directory());
        }
        if attributes.permissions.is_some() && place.path.is_root() {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "the workspace's root keeps its permissions",
            ));
        }
        let now = self.tick();
        let Node {
            permissions, times, ..
        } = self.tree.node_mut(id);
        set(permissions, times, attributes, now);
        Ok(())
    }
}

fn set(permissions: &mut u16, times: &mut Times, attributes: Attributes, now: i64) {
    if let Some(mode) = attributes.permissions {
        *permissions = (mode & PERMISSIONS) as u16;
    }
    let time = |nanoseconds: i128| {
        i64::try_from(nanoseconds).unwrap_or(match nanoseconds < 0 {
            true => i64::MIN,
            false => i64::MAX,
        })
    };
    times.accessed = attributes.atime_ns.map_or(times.accessed, time);
    times.modified = attributes.mtime_ns.map_or(times.modified, time);
    times.changed = now;
}

/// An open value.
#[derive(Debug)]
pub(super) struct MemoryFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    handle: Handle,
    options: OpenOptions,
}

impl Inner {
    fn with<T>(&self, act: impl FnOnce(&mut State, Handle) -> Result<T>) -> Result<T> {
        self.store.with(|state| act(state, self.handle))
    }
}

impl MemoryFile {
    /// A change, which for a large value means to copy it: then not on the caller's thread.
    fn changing(
        &self,
        act: impl FnOnce(&mut State, Handle) -> Result<()> + Send + 'static,
    ) -> Call<()> {
        let inner = Arc::clone(&self.inner);
        let work = move || {
            inner.options.check_write()?;
            inner.with(act)
        };
        let length = (self.inner).with(|state, handle| Ok(state.value(handle)?.bytes.len()));
        match length.is_ok_and(|length| length < LARGE_COPY) {
            true => Call::Ready(work()),
            false => Call::blocking(work),
        }
    }
}

impl OpenFile for MemoryFile {
    fn stat(&self) -> Call<FileStat> {
        (self.inner)
            .with(|state, handle| state.stat_open(handle))
            .into()
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        if let Err(refused) = self.inner.options.check_read() {
            return Call::err(refused);
        }
        let read = self.inner.with(|state, handle| {
            let bytes = &state.value(handle)?.bytes;
            let start = usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()));
            let end = start.saturating_add(length).min(bytes.len());
            Ok(bytes.slice(start..end))
        });
        read.into()
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        let at = (!self.inner.options.append).then_some(offset);
        self.changing(move |state, handle| state.write_at(handle, at, &bytes))
    }

    fn set_attributes(&self, attributes: Attributes) -> Call<()> {
        self.changing(move |state, handle| state.set_open(handle, attributes))
    }

    fn sync(&self) -> Call<()> {
        Call::ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.with(|state, handle| {
            state.close_handle(handle.ino);
            Ok(())
        });
    }
}

impl State {
    fn close_handle(&mut self, ino: u64) {
        let Some(held) = self.held.get_mut(&ino) else {
            return;
        };
        held.handles = held.handles.saturating_sub(1);
        if held.handles > 0 {
            return;
        }
        if let Some(orphan) = self.held.remove(&ino).and_then(|held| held.orphan) {
            self.resized(orphan.bytes.len(), 0);
            self.throw_away(orphan.bytes);
        }
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
