//! Requests and answers as bytes: a head in postcard's form, and behind it the content of files as it is, so that
//! neither side copies it to encode or decode it.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Answer, Encoded, Handle, Hello, MAX_BATCH, Operation, Request};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::{Failure, MAX_MESSAGE, malformed};

/// What comes back for a request.
#[derive(Debug)]
pub enum Reply {
    /// The answer.
    Answer(Result<Answer>),
    /// The answer is too long for one message: so many bytes are read from a handle, which is closed afterwards, and
    /// decoded as a reply.
    Spilled {
        /// Where.
        handle: Bytes,
        /// How many bytes.
        length: u64,
    },
}

/// What came of one operation.
type Part<T> = std::result::Result<T, Box<Failure>>;

/// One, or the parts of a batch. A batch cannot hold another, since neither side's [`Operation::Batch`] is encoded.
#[derive(Serialize)]
enum FormOut<'a, T> {
    One(T),
    Many(&'a [T]),
}

#[derive(Deserialize)]
enum FormIn<T> {
    One(T),
    Many(
        #[serde(
            bound(deserialize = "T: Deserialize<'de>"),
            deserialize_with = "bounded"
        )]
        Vec<T>,
    ),
}

#[derive(Serialize)]
enum ReplyOut<'a> {
    Answer(FormOut<'a, Part<&'a Answer>>),
    Spilled { handle: Handle, length: u64 },
}

#[derive(Deserialize)]
enum ReplyIn {
    Answer(FormIn<Part<Answer>>),
    Spilled { handle: Handle, length: u64 },
}

/// The greeting of a daemon.
///
/// # Errors
/// None of its own; encoding cannot fail.
pub fn encode_hello(hello: &Hello) -> Result<Vec<u8>> {
    encode(hello)
}

/// Reads one; `IO_ERROR` where it is none.
///
/// # Errors
/// `IO_ERROR`.
pub fn decode_hello(data: &[u8]) -> Result<Hello> {
    Ok(decode(data)?.0)
}

/// # Errors
/// `TOO_LARGE` for more than one message holds, `INVALID_CONFIGURATION` for a batch that is none.
pub fn encode_request(request: &Request) -> Result<Encoded> {
    let head = match &request.operation {
        Operation::Batch(operations) => {
            check_batch(operations)?;
            encode(&(&request.scope, FormOut::Many(operations)))?
        }
        one => encode(&(&request.scope, FormOut::One(one)))?,
    };
    let contents = match &request.operation {
        Operation::Batch(operations) => operations.iter().filter_map(content).collect(),
        one => content(one).into_iter().collect(),
    };
    let encoded = with_contents(head, contents)?;
    if encoded.len() > MAX_MESSAGE {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("a request of more than {MAX_MESSAGE} bytes; make several of it"),
        ));
    }
    Ok(encoded)
}

/// # Errors
/// `IO_ERROR` for what is no request, `TOO_LARGE`.
pub fn decode_request(data: &Bytes) -> Result<Request> {
    if data.len() > MAX_MESSAGE {
        return Err(malformed("a request that is too long"));
    }
    let ((scope, form), at): ((RelPath, FormIn<Operation>), usize) = decode(data)?;
    let mut contents = Contents::new(data, at)?;
    let operation = match form {
        FormIn::One(mut one) => {
            fill(&mut one, &mut contents)?;
            one
        }
        FormIn::Many(mut operations) => {
            for operation in &mut operations {
                fill(operation, &mut contents)?;
            }
            Operation::Batch(operations)
        }
    };
    contents.end()?;
    Ok(Request { scope, operation })
}

/// # Errors
/// None of its own: an answer that cannot be encoded is an error of the operation.
pub fn encode_reply(answer: &Result<Answer>) -> Result<Encoded> {
    let one = |answer: &'_ Result<Answer>| -> Result<Vec<u8>> {
        encode(&ReplyOut::Answer(FormOut::One(part(answer))))
    };
    let (head, contents) = match answer {
        Ok(Answer::Batch(answers)) => {
            let parts: Vec<_> = answers.iter().map(part).collect();
            let head = encode(&ReplyOut::Answer(FormOut::Many(&parts)))?;
            (head, answers.iter().filter_map(told).collect())
        }
        answer => (one(answer)?, told(answer).into_iter().collect()),
    };
    with_contents(head, contents)
}

/// An answer that is read from a handle.
///
/// # Errors
/// None of its own.
pub fn encode_spilled(handle: Bytes, length: u64) -> Result<Encoded> {
    let handle = Handle(handle);
    let head = encode(&ReplyOut::Spilled { handle, length })?;
    with_contents(head, Vec::new())
}

/// Reads an answer of any length: whoever asks has bounded it.
///
/// # Errors
/// `IO_ERROR` for what is no answer.
pub fn decode_reply(data: &Bytes) -> Result<Reply> {
    let (reply, at): (ReplyIn, usize) = decode(data)?;
    let mut contents = Contents::new(data, at)?;
    let reply = match reply {
        ReplyIn::Answer(FormIn::One(part)) => Reply::Answer(take(part, &mut contents)?),
        ReplyIn::Answer(FormIn::Many(parts)) => {
            let answers = parts.into_iter().map(|part| take(part, &mut contents));
            Reply::Answer(Ok(Answer::Batch(answers.collect::<Result<_>>()?)))
        }
        ReplyIn::Spilled { handle, length } => Reply::Spilled {
            handle: handle.0,
            length,
        },
    };
    contents.end()?;
    Ok(reply)
}

/// Refuses a batch that is too long or holds another.
///
/// # Errors
/// `INVALID_CONFIGURATION`.
fn check_batch(operations: &[Operation]) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorCode::InvalidConfiguration, message));
    if operations.len() > MAX_BATCH {
        return invalid(format!("a batch has at most {MAX_BATCH} operations"));
    }
    if (operations.iter()).any(|operation| matches!(operation, Operation::Batch(_))) {
        return invalid("a batch cannot hold a batch".to_owned());
    }
    Ok(())
}

fn part(answer: &Result<Answer>) -> Part<&Answer> {
    answer
        .as_ref()
        .map_err(|error| Box::new(Failure::from(error)))
}

fn content(operation: &Operation) -> Option<&Bytes> {
    match operation {
        Operation::Write { content, .. } => Some(content),
        _ => None,
    }
}

fn told(answer: &Result<Answer>) -> Option<&Bytes> {
    match answer {
        Ok(Answer::Read { outcome, .. }) => Some(&outcome.bytes),
        _ => None,
    }
}

fn fill(operation: &mut Operation, contents: &mut Contents) -> Result<()> {
    if let Operation::Write { content, .. } = operation {
        *content = contents.next()?;
    }
    Ok(())
}

/// Outer errors are of the message, inner ones of the operation.
fn take(part: Part<Answer>, contents: &mut Contents) -> Result<Result<Answer>> {
    let mut answer = part.map_err(|failure| Error::from(*failure));
    if let Ok(Answer::Read { outcome, .. }) = &mut answer {
        outcome.bytes = contents.next()?;
    }
    Ok(answer)
}

/// The lengths of the contents in order, and then the contents.
fn with_contents(mut head: Vec<u8>, contents: Vec<&Bytes>) -> Result<Encoded> {
    let lengths: Vec<u32> = (contents.iter())
        .map(|content| u32::try_from(content.len()).map_err(|_| too_long()))
        .collect::<Result<_>>()?;
    if !lengths.is_empty() {
        head = postcard::to_extend(&lengths, head).map_err(|_| too_long())?;
    }
    Ok(Encoded {
        head,
        tail: contents.into_iter().cloned().collect(),
    })
}

fn too_long() -> Error {
    Error::new(ErrorCode::TooLarge, "more content than a message can hold")
}

/// The contents behind a head.
struct Contents<'a> {
    data: &'a Bytes,
    lengths: std::vec::IntoIter<u32>,
    at: usize,
}

impl<'a> Contents<'a> {
    fn new(data: &'a Bytes, at: usize) -> Result<Self> {
        let mut contents = Self {
            data,
            lengths: Vec::new().into_iter(),
            at,
        };
        if at < data.len() {
            let (lengths, read): (Lengths, usize) = decode(&data[at..])?;
            contents.lengths = lengths.0.into_iter();
            contents.at += read;
        }
        Ok(contents)
    }

    fn next(&mut self) -> Result<Bytes> {
        let length = self.lengths.next().map(|length| length as usize);
        let left = self.data.len() - self.at;
        match length {
            Some(length) if length <= left => {
                let content = self.data.slice(self.at..self.at + length);
                self.at += length;
                Ok(content)
            }
            _ => Err(malformed("a message that is cut short")),
        }
    }

    fn end(mut self) -> Result<()> {
        match self.lengths.next().is_none() && self.at == self.data.len() {
            true => Ok(()),
            false => Err(malformed("a message that is too long for what it says")),
        }
    }
}

#[derive(Deserialize)]
struct Lengths(#[serde(deserialize_with = "bounded")] Vec<u32>);

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, Vec::with_capacity(128)).map_err(|error| {
        Error::new(ErrorCode::InvalidConfiguration, "it cannot be sent").with_source(error)
    })
}

/// A value at the beginning of some bytes, and where it ends.
fn decode<T: DeserializeOwned>(data: &[u8]) -> Result<(T, usize)> {
    match postcard::take_from_bytes(data) {
        Ok((value, rest)) => Ok((value, data.len() - rest.len())),
        Err(error) => Err(malformed("a message that is none").with_source(error)),
    }
}

/// A list of at most [`MAX_BATCH`] values.
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<T>, D::Error> {
    struct Bounded<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_BATCH} values")
        }

        fn visit_seq<A: SeqAccess<'de>>(
            self,
            mut sequence: A,
        ) -> std::result::Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = sequence.next_element()? {
                if values.len() == MAX_BATCH {
                    return Err(de::Error::custom("more operations than a batch may have"));
                }
                values.push(value);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_seq(Bounded(PhantomData))
}
