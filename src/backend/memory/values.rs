//! Reading and writing values, within one critical section each.

use bytes::{Bytes, BytesMut};

use super::store::{Place, State, already_exists, is_a_directory, not_a_directory, not_found};
use super::tree::{Body, Location, NodeId, ROOT};
use crate::backend::{Etag, ReadOptions, ReadOutcome, WriteMode, WriteOptions, WriteOutcome};
use crate::error::{Error, ErrorCode, Result};

impl State {
    /// The value under a path, or a range of it; shared with the store, not copied.
    pub(super) fn read(&self, place: Place<'_>, options: &ReadOptions) -> Result<ReadOutcome> {
        let id = self.find(place)?;
        let Body::File { bytes, .. } = &self.tree.node(id).body else {
            return Err(is_a_directory());
        };
        let bytes = match &options.range {
            None => bytes.clone(),
            Some(range) => {
                let end =
                    usize::try_from(range.end).map_or(bytes.len(), |end| end.min(bytes.len()));
                let start = usize::try_from(range.start).map_or(end, |start| start.min(end));
                bytes.slice(start..end)
            }
        };
        if let Some(bound) = options.max_bytes
            && bytes.len() as u64 > bound
        {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "it has {} bytes, more than the {bound} that this call takes; read a range of it",
                    bytes.len()
                ),
            ));
        }
        Ok(ReadOutcome {
            bytes,
            stat: self.stat(id),
        })
    }

    /// Writes a value; on failure nothing has changed, not even a parent directory.
    pub(super) fn write(
        &mut self,
        place: Place<'_>,
        value: Bytes,
        options: &WriteOptions,
    ) -> Result<WriteOutcome> {
        let id = match self.tree.locate(place.names()) {
            Location::Blocked => return Err(not_a_directory()),
            Location::Found(id) => self.overwrite(id, value, options)?,
            Location::Missing { parent, depth } => {
                if let WriteMode::IfMatch(_) = options.mode {
                    return Err(conflict("the file is gone"));
                }
                self.reserve(value.len(), 0)?;
                let now = self.tick();
                let id = self.add_file(parent, place.names().skip(depth), now);
                self.set_value(id, value, self.expiry(options.ttl_ms));
                id
            }
        };
        if let Some(permissions) = options.permissions {
            self.tree.node_mut(id).permissions = (permissions & 0o1777) as u16;
        }
        Ok(WriteOutcome {
            stat: self.stat(id),
        })
    }

    fn overwrite(&mut self, id: NodeId, value: Bytes, options: &WriteOptions) -> Result<NodeId> {
        let Body::File { bytes, expires } = &self.tree.node(id).body else {
            return Err(match options.mode {
                WriteMode::CreateNew => already_exists(),
                _ => is_a_directory(),
            });
        };
        let (old_length, old_expiry) = (bytes.len(), *expires);
        match &options.mode {
            WriteMode::CreateNew => return Err(already_exists()),
            WriteMode::IfMatch(etag) => self.check(id, etag)?,
            WriteMode::Replace | WriteMode::Append => {}
        }
        if options.mode == WriteMode::Append {
            self.reserve(old_length.saturating_add(value.len()), old_length)?;
            let value = self.appended(id, value);
            // A value that grows keeps the expiry it has, unless this write or the backend has its own.
            let expires = self.expiry(options.ttl_ms).or(old_expiry);
            self.set_value(id, value, expires);
        } else {
            // Those who have it open keep it.
            let is_open = self.is_open(id);
            self.reserve(value.len(), if is_open { 0 } else { old_length })?;
            if is_open {
                self.leave_to_handles(id);
                // `set_value` takes it off the account.
                self.resized(0, old_length);
            }
            self.set_value(id, value, self.expiry(options.ttl_ms));
        }
        self.changed(id);
        Ok(id)
    }

    /// The old value with more at its end. In place and amortised, unless a reader still holds the old one.
    fn appended(&mut self, id: NodeId, more: Bytes) -> Bytes {
        let Body::File { bytes, .. } = &mut self.tree.node_mut(id).body else {
            return more;
        };
        let length = bytes.len();
        let mut grown = match std::mem::take(bytes).try_into_mut() {
            Ok(alone) => alone,
            Err(read_elsewhere) => {
                let mut copy = BytesMut::with_capacity(length + more.len());
                copy.extend_from_slice(&read_elsewhere);
                copy
            }
        };
        grown.extend_from_slice(&more);
        // It was taken out of the node: the account must not count it twice.
        self.forget_bytes(length);
        grown.freeze()
    }

    /// Creates an empty file, or sets the times of what is there to now.
    pub(super) fn touch(&mut self, place: Place<'_>) -> Result<()> {
        match self.tree.locate(place.names()) {
            Location::Blocked => Err(not_a_directory()),
            Location::Found(id) => {
                let now = self.changed(id);
                self.tree.node_mut(id).times.accessed = now;
                Ok(())
            }
            Location::Missing { parent, depth } => {
                let now = self.tick();
                if place.path.is_root() {
                    // A scope's own directory is a directory.
                    return Err(not_found());
                }
                let id = self.add_file(parent, place.names().skip(depth), now);
                self.set_value(id, Bytes::new(), self.expiry(None));
                Ok(())
            }
        }
    }

    /// Adds the missing directories and in the last of them an empty file.
    pub(super) fn add_file<'a>(
        &mut self,
        mut parent: NodeId,
        names: impl Iterator<Item = &'a [u8]>,
        now: i64,
    ) -> NodeId {
        let mut names = names.peekable();
        let mut id = ROOT;
        while let Some(name) = names.next() {
            let body = if names.peek().is_some() {
                Body::directory(false)
            } else {
                Body::File {
                    bytes: Bytes::new(),
                    expires: None,
                }
            };
            id = self.tree.add(parent, name, body, now);
            parent = id;
        }
        id
    }

    fn changed(&mut self, id: NodeId) -> i64 {
        let now = self.tick();
        let times = &mut self.tree.node_mut(id).times;
        times.modified = now;
        times.changed = now;
        now
    }

    fn check(&self, id: NodeId, etag: &Etag) -> Result<()> {
        if self.stat(id).etag() == *etag {
            Ok(())
        } else {
            Err(conflict("the file has changed since it was read"))
        }
    }
}

fn conflict(what: &str) -> Error {
    Error::new(
        ErrorCode::Conflict,
        format!("{what}; read it again and repeat the change"),
    )
}
