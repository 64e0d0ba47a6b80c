//! Cuts what is received into frames.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::MAX_FRAME;
use crate::error::Result;
use crate::wire::malformed;

/// Bytes of a frame's length.
const LENGTH: usize = 4;
/// Bytes of kind and number.
const HEAD: usize = 5;
/// How much is read at once, unless a longer frame has begun.
const READ: usize = 64 << 10;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Of which command.
    pub id: u32,
    /// What the kind says.
    pub payload: Bytes,
}

impl Frame {
    /// Adds the beginning of a frame whose payload, of this length, follows.
    pub(super) fn begin(out: &mut BytesMut, kind: u8, id: u32, length: usize) {
        // No payload is longer than a frame may be.
        out.put_u32(u32::try_from(HEAD + length).unwrap_or(u32::MAX));
        out.put_u8(kind);
        out.put_u32(id);
    }
}

/// What was received and not yet taken. Memory grows with what arrives, not with what a length promises.
#[derive(Debug, Default)]
pub struct Frames {
    received: BytesMut,
}

impl Frames {
    /// Where to add what is received next.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.received.capacity() - self.received.len() < READ / 4 {
            self.received.reserve(READ);
        }
        &mut self.received
    }

    /// The next frame, once it is there as a whole.
    ///
    /// # Errors
    /// `IO_ERROR` for an impossible length, now and for ever.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        let Some(length) = self.received.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(HEAD..=MAX_FRAME).contains(&length) {
            return Err(malformed("a frame of an impossible length"));
        }
        if self.received.len() < LENGTH + length {
            return Ok(None);
        }
        let mut frame = self.received.split_to(LENGTH + length).freeze();
        frame.advance(LENGTH);
        Ok(Some(Frame {
            kind: frame.get_u8(),
            id: frame.get_u32(),
            payload: frame,
        }))
    }
}
