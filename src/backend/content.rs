//! What is to be written, and whether its owner may still change it.

use bytes::Bytes;

/// Bytes on their way into a workspace.
#[derive(Clone, Debug)]
pub struct Content {
    bytes: Bytes,
    shared: bool,
}

impl Content {
    /// Bytes that nobody else can change.
    #[must_use]
    pub fn owned(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            shared: false,
        }
    }

    /// Bytes in memory that their owner may change while and after the call runs, such as a JS `Buffer`.
    /// Passing them on without a copy keeps a large write off the caller's thread.
    #[must_use]
    pub fn shared(bytes: Bytes) -> Self {
        Self {
            bytes,
            shared: true,
        }
    }

    /// To read from once, now.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// To keep: copied if somebody else could still change it.
    #[must_use]
    pub fn into_owned(self) -> Bytes {
        if self.shared {
            Bytes::copy_from_slice(&self.bytes)
        } else {
            self.bytes
        }
    }

    /// Whether somebody else could still change it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
