//! Cuts what is received into packets.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{MAX_EXTENDED_PACKET, MAX_PACKET, kind};

/// Bytes of a packet's length.
const LENGTH: usize = 4;
/// How much is read at once at most, unless a longer packet has begun.
const READ: usize = 64 << 10;

/// A packet that is longer than allowed: what follows cannot be found, so the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes that it says it has.
    pub length: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an SFTP packet of {} bytes, or of none", self.length)
    }
}

impl std::error::Error for TooLong {}

/// What was received and not yet taken.
///
/// Extended requests and replies may be longer than other packets. Memory grows with what arrives, not with what a
/// length promises.
#[derive(Debug)]
pub struct Splitter {
    received: BytesMut,
    max_packet: usize,
    max_extended: usize,
}

impl Default for Splitter {
    /// With [`MAX_PACKET`] and [`MAX_EXTENDED_PACKET`].
    fn default() -> Self {
        Self::new(MAX_PACKET, MAX_EXTENDED_PACKET)
    }
}

impl Splitter {
    /// With the longest packets of its own, without their length.
    #[must_use]
    pub fn new(max_packet: usize, max_extended: usize) -> Self {
        Self {
            received: BytesMut::new(),
            max_packet,
            max_extended,
        }
    }

    /// Where to add what is received next; it has room for some, as `read_buf` needs it.
    pub fn buffer(&mut self) -> &mut BytesMut {
        let missing = match self.announced() {
            Some(length) if length <= self.max_extended => {
                (LENGTH + length).saturating_sub(self.received.len())
            }
            _ => 0,
        };
        // Of a long packet, as much again as has arrived: whoever only promises gets nothing.
        let room = missing.min(self.received.len().max(READ)).max(4096);
        if self.received.capacity() - self.received.len() < room {
            self.received.reserve(room.max(READ));
        }
        &mut self.received
    }

    /// The next packet, without its length, once it is there as a whole.
    ///
    /// # Errors
    /// [`TooLong`], now and for ever; also for a packet of no bytes.
    pub fn next_packet(&mut self) -> Result<Option<Bytes>, TooLong> {
        let (Some(length), Some(&first)) = (self.announced(), self.received.get(LENGTH)) else {
            // An impossible length is refused before the first byte of the packet is there.
            return match self.announced() {
                Some(length) if length == 0 || length > self.max_extended => {
                    Err(TooLong { length })
                }
                _ => Ok(None),
            };
        };
        let longest = match first {
            kind::EXTENDED | kind::EXTENDED_REPLY => self.max_extended,
            _ => self.max_packet,
        };
        if length == 0 || length > longest {
            return Err(TooLong { length });
        }
        if self.received.len() < LENGTH + length {
            return Ok(None);
        }
        let packet = self.received.split_to(LENGTH + length).freeze();
        Ok(Some(packet.slice(LENGTH..)))
    }

    /// Bytes that wait for the rest of their packet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.received.len()
    }

    fn announced(&self) -> Option<usize> {
        let length = self.received.first_chunk::<LENGTH>()?;
        Some(usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX))
    }
}
