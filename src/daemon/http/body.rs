//! Bodies, with bounds: how long one may be, how long it may take, and how much of all of them is in memory at a time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What is answered.
pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The longest body that is taken.
pub(super) const MAX_BODY_BYTES: usize = 64 << 20;
/// Bodies of requests and answers in memory at a time.
const MAX_HELD_BYTES: usize = 256 << 20;
/// Those of one token: whoever lets all of its own lie leaves as much to the others.
pub(in crate::daemon) const MAX_HELD_BYTES_EACH: usize = MAX_HELD_BYTES / 2;
/// What is counted.
const UNIT: usize = 1 << 10;

/// Room for bodies.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Room(Arc<Semaphore>);

/// Some of it, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<OwnedSemaphorePermit>);

impl Held {
    fn add(&mut self, more: [OwnedSemaphorePermit; 2]) {
        if self.0.is_empty() {
            self.0.extend(more);
            return;
        }
        for (permit, more) in self.0.iter_mut().zip(more) {
            permit.merge(more);
        }
    }
}

impl Room {
    /// Room for so many bytes.
    pub(in crate::daemon) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// That of all.
    pub(super) fn of_all() -> Self {
        Self::new(MAX_HELD_BYTES)
    }

    fn units(bytes: usize) -> u32 {
        let units = bytes.div_ceil(UNIT).min(MAX_HELD_BYTES_EACH / UNIT);
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// Takes more, if there is more, here and in the room of whoever asks.
    fn grow(&self, own: &Room, held: &mut Held, bytes: usize) -> bool {
        let more = |room: &Room| Arc::clone(&room.0).try_acquire_many_owned(Self::units(bytes));
        match (more(own), more(self)) {
            (Ok(own), Ok(all)) => held.add([own, all]),
            _ => return false,
        }
        true
    }

    /// Reads a body to its end, for whoever has this room of its own.
    pub(super) async fn read(
        &self,
        own: &Room,
        mut body: Incoming,
        patience: Duration,
    ) -> Result<(Bytes, Held), Answer> {
        const TOO_LONG: &str = "the body is too long";
        let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if told > MAX_BODY_BYTES {
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG));
        }
        let mut held = Held::default();
        let mut whole = BytesMut::new();
        loop {
            let frame = match timeout(patience, body.frame()).await {
                Ok(None) => return Ok((whole.freeze(), held)),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => {
                    let text = "the body is malformed";
                    return Err(refusal(StatusCode::BAD_REQUEST, text));
                }
                Err(_) => {
                    let text = "the body does not come";
                    return Err(refusal(StatusCode::REQUEST_TIMEOUT, text));
                }
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > MAX_BODY_BYTES {
                return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG));
            }
            if !self.grow(own, &mut held, data.len()) {
                let text = "too much is being received and sent; try again";
                return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, text));
            }
            whole.extend_from_slice(&data);
        }
    }

    /// Counts an answer until it is sent, once there is room for it.
    pub(super) async fn hold(&self, own: &Room, answer: Answer, patience: Duration) -> Answer {
        let length = answer.body().size_hint().exact().unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length <= UNIT {
            return answer;
        }
        let room = |room: &Room| Arc::clone(&room.0).acquire_many_owned(Self::units(length));
        // Its own first: whoever waits for that takes nothing from others meanwhile.
        let permits = async { Ok::<_, AcquireError>([room(own).await?, room(self).await?]) };
        match timeout(patience, permits).await {
            Ok(Ok(permits)) => answer.map(|body| {
                Counted {
                    body,
                    _held: Held(permits.into()),
                }
                .boxed()
            }),
            _ => {
                let text = "too much is being received and sent; try again";
                refusal(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }
}

/// A body that takes room, or counts as use of a token, until it is sent.
struct Counted<T> {
    body: BoxBody<Bytes, Infallible>,
    _held: T,
}

impl<T: Unpin> Body for Counted<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer that keeps something until it is sent.
pub(super) fn keeping<T: Unpin + Send + Sync + 'static>(answer: Answer, kept: T) -> Answer {
    answer.map(|body| Counted { body, _held: kept }.boxed())
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Answer {
    text(status, "application/json", value.to_string())
}

/// An answer of any type.
pub(super) fn text(status: StatusCode, kind: &'static str, content: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(content)).boxed());
    *answer.status_mut() = status;
    let kind = http::HeaderValue::from_static(kind);
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    answer
}

/// An answer that says why not.
pub(super) fn refusal(status: StatusCode, why: &str) -> Answer {
    json(status, &serde_json::json!({ "error": why }))
}
