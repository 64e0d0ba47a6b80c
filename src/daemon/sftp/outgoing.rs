//! What is to be sent: small answers together in one piece of memory, content beside them as it was read.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::operations::Encoded;
use crate::wire::sftp::{Response, encode_reply_head};

/// The least room of a new piece.
const PIECE: usize = 64 << 10;
/// What a packet without content takes at most, most of the time: a page of a directory.
const HEAD: usize = 20 << 10;
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
        let content = match response {
            Response::Data(content) | Response::ExtendedReply(content) => content.len(),
            _ => 0,
        };
        let before = self.room_for_head(content);
        let payload = response.encode_head(id, &mut self.open);
        self.length += self.open.len() - before;
        self.push_content(payload);
    }

    pub(super) fn push_operation(&mut self, id: u32, encoded: Encoded) {
        let before = self.room_for_head(encoded.len());
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

    /// Makes room for a packet that has so much content, in the same piece where it is copied.
    fn room_for_head(&mut self, content: usize) -> usize {
        let copied = if self.takes_pieces { 0 } else { content };
        self.room(HEAD + copied)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn response(number: u32) -> Response {
        match number % 4 {
            0 => Response::ok(),
            1 => Response::Data(vec![number as u8; 9_000].into()),
            2 => Response::Data(vec![number as u8; 300_000].into()),
            _ => Response::Handle(Bytes::from_static(b"handle")),
        }
    }

    #[test]
    fn what_is_added_comes_out_in_order_however_it_is_taken() {
        for takes_pieces in [true, false] {
            for step in [1, 7, 4096, 1 << 20] {
                let mut outgoing = Outgoing::new(takes_pieces);
                let (mut expected, mut taken) = (BytesMut::new(), Vec::new());
                for number in 0..40 {
                    outgoing.push_response(number, &response(number));
                    response(number).encode(number, &mut expected);
                    for _ in 0..3 {
                        let count = step.min(outgoing.chunk().len());
                        taken.extend_from_slice(&outgoing.chunk()[..count]);
                        outgoing.advance(count);
                    }
                    assert_eq!(outgoing.remaining(), expected.len() - taken.len());
                }
                while outgoing.has_remaining() {
                    let mut pieces = [IoSlice::new(&[]); 8];
                    let count = outgoing.chunks_vectored(&mut pieces);
                    let before = taken.len();
                    for piece in &pieces[..count] {
                        taken.extend_from_slice(piece);
                    }
                    let count = taken.len() - before;
                    outgoing.advance(count);
                }
                assert!(taken == expected, "{takes_pieces} {step}");
            }
        }
    }

    #[test]
    fn content_goes_out_as_it_was_read_where_the_stream_takes_pieces() {
        let content = Bytes::from(vec![1; 100_000]);
        let response = Response::Data(content.clone());
        let mut outgoing = Outgoing::new(true);
        outgoing.push_response(1, &response);
        let mut pieces = [IoSlice::new(&[]); 8];
        assert_eq!(outgoing.chunks_vectored(&mut pieces), 2);
        assert_eq!(pieces[1].as_ptr(), content.as_ptr());
        // Elsewhere head and content are one message.
        let mut outgoing = Outgoing::new(false);
        outgoing.push_response(1, &response);
        assert_eq!(outgoing.chunk().len(), outgoing.remaining());
    }

    #[test]
    fn an_answer_of_many_parts_is_one_packet() {
        for takes_pieces in [true, false] {
            let mut outgoing = Outgoing::new(takes_pieces);
            let encoded = Encoded {
                head: vec![1; 10],
                tail: vec![vec![2; 20_000].into(), Bytes::new(), vec![3; 5].into()],
            };
            let mut expected = BytesMut::new();
            let all = [&[1; 10][..], &[2; 20_000], &[3; 5]].concat();
            Response::ExtendedReply(all.into()).encode(9, &mut expected);
            outgoing.push_operation(9, encoded);
            assert_eq!(outgoing.copy_to_bytes(outgoing.remaining()), expected);
        }
    }
}
