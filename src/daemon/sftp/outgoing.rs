//! What is to be sent: small answers together in one piece of memory, content beside them as it was read.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::operations::Encoded;
use crate::wire::sftp::{Response, encode_reply_head};

/// The least room of a new piece.
const PIECE: usize = 64 << 10;
/// Content of at least this is not copied, where the stream takes several pieces at once.
const WORTH_A_PIECE: usize = 8 << 10;

/// A queue of bytes.
#[derive(Debug)]
pub(super) struct Outgoing {
    sealed: VecDeque<Bytes>,
    /// What is added next goes to its end.
    open: BytesMut,
    length: usize,
    takes_pieces: bool,
}

impl Outgoing {
    /// `takes_pieces`: whether the stream sends several pieces with one call. To one that does not, a head of a few bytes
    /// alone would be a message of its own, so content is copied behind it: once, since no piece ever moves.
    pub(super) fn new(takes_pieces: bool) -> Self {
        Self {
            sealed: VecDeque::new(),
            open: BytesMut::new(),
            length: 0,
            takes_pieces,
        }
    }

    pub(super) fn push_response(&mut self, id: u32, response: &Response) {
        let before = self.room(PIECE / 4);
        let payload = response.encode_head(id, &mut self.open);
        self.length += self.open.len() - before;
        self.push_content(payload);
    }

    pub(super) fn push_operation(&mut self, id: u32, encoded: Encoded) {
        let before = self.room(PIECE / 4);
        encode_reply_head(id, encoded.len(), &mut self.open);
        self.length += self.open.len() - before;
        self.push_content(encoded.head.into());
        for content in encoded.tail {
            self.push_content(content);
        }
    }

    /// Adds bytes as they are.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        self.open.extend_from_slice(bytes);
        self.length += bytes.len();
    }

    fn push_content(&mut self, content: Bytes) {
        if self.takes_pieces && content.len() >= WORTH_A_PIECE {
            self.seal();
            self.length += content.len();
            self.sealed.push_back(content);
        } else {
            self.push(&content);
        }
    }

    /// Makes room for so many bytes, without moving any; gives the length of the piece that they are added to.
    fn room(&mut self, bytes: usize) -> usize {
        if self.open.capacity() - self.open.len() < bytes {
            self.seal();
            if self.open.capacity() < bytes {
                self.open = BytesMut::with_capacity(bytes.max(PIECE));
            }
        }
        self.open.len()
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.sealed.push_back(self.open.split().freeze());
        }
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self.sealed.front().map_or(&self.open, |first| first)
    }

    fn chunks_vectored<'a>(&'a self, pieces: &mut [IoSlice<'a>]) -> usize {
        let all = (self.sealed.iter().map(|piece| &piece[..]))
            .chain([&self.open[..]])
            .filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (place, piece) in pieces.iter_mut().zip(all) {
            *place = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.length -= count;
        while let Some(first) = self.sealed.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.sealed.pop_front();
        }
        self.open.advance(count);
        if self.open.is_empty() {
            // Its memory is used again where nobody else has a part of it.
            self.open.clear();
        }
    }
}
