//! The parts that packets are made of: numbers, most significant byte first, and byte strings behind their length.

use std::fmt;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The request's number, where the packet was whole up to there: it can be answered, and the rest goes on.
    pub id: Option<u32>,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Malformed {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { id: None, what }
    }

    pub(super) const fn of(self, id: u32) -> Self {
        Self {
            id: Some(id),
            what: self.what,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no SFTP packet: {}", self.what)
    }
}

impl std::error::Error for Malformed {}

const SHORT: Malformed = Malformed::new("it ends too early");

/// What is left of a packet.
#[derive(Debug)]
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(packet: Bytes) -> Self {
        Self(packet)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| SHORT)
    }

    /// A byte string; a slice of the packet.
    pub(super) fn string(&mut self) -> Result<Bytes, Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| SHORT)?;
        if length > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(length))
    }

    /// All that is left; a slice of the packet.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}

/// Adds a byte string.
pub(super) fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Adds the length of a byte string whose bytes follow.
pub(super) fn put_length(out: &mut BytesMut, length: usize) {
    // Nothing as long as 4 GiB is ever given: packets have bounds.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Adds a packet's length, kind and what `fields` adds; `payload` bytes are to follow what was added.
pub(super) fn put_packet(
    out: &mut BytesMut,
    kind: u8,
    payload: usize,
    fields: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(kind);
    fields(out);
    let length = out.len() - start - 4 + payload;
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length);
    }
}
