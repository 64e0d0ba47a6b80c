//! One plain HTTP request: to a connection of its own and back.
//!
//! The connection to the server is never used again, so that no request can hide in what another left there. That of the
//! client may be, and each request on it is judged anew.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::body::{self, BodyError, Outgoing};
use super::fields::{Fields, Framing};
use super::request::Request;
use super::response::Response;
use crate::egress::decision::{Failure, Reason};
use crate::egress::gate::{Gate, Opened, Refusal};
use crate::egress::incoming::{Incoming, ReadError};
use crate::egress::tunnel::Pace;

const HTTP_PORT: u16 = 80;
/// Interim answers (`100 Continue`, `103 Early Hints`) before the real one.
const MAX_INTERIM: usize = 16;

/// How a request ended.
pub(super) enum Forwarded {
    /// Answered; the client may send another one.
    Stay,
    /// Answered, as far as it could be; the connection is of no more use.
    Close,
    /// Stopped by us. Where nothing of an answer was sent, the proxy has to give one.
    Refused { refusal: Refusal, is_answered: bool },
}

/// What stops an exchange.
enum Stop {
    Client,
    Refused(Refusal),
}

/// Sends a request on and its answer back.
pub(super) async fn forward(
    gate: &Gate,
    request: &Request,
    opened: Opened,
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
) -> Forwarded {
    let mut stream = opened.stream;
    let pace = Pace::new();
    let mut is_answered = false;
    let outcome = tokio::select! {
        outcome = exchange(gate, request, &mut stream, client, client_out, &pace, &mut is_answered) => outcome,
        () = pace.stands_still(gate.options.limits.idle_time) => {
            Err(Stop::Refused(Refusal::Failed(Failure::ResponseTimeout)))
        }
    };
    match outcome {
        Ok(true) => Forwarded::Stay,
        Ok(false) | Err(Stop::Client) => Forwarded::Close,
        Err(Stop::Refused(refusal)) => Forwarded::Refused {
            refusal,
            is_answered,
        },
    }
}

/// Body up and answer down at the same time: a server may answer before it has read everything, and a client may wait for
/// `100 Continue`. Gives back whether the client's connection can be used again.
async fn exchange(
    gate: &Gate,
    request: &Request,
    stream: &mut TcpStream,
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    pace: &Pace,
    is_answered: &mut bool,
) -> Result<bool, Stop> {
    let (server, mut server_out) = stream.split();
    let mut server = Incoming::new(server);
    let up = async {
        // A server that has closed already may have answered before: its answer decides, not this.
        if server_out.write_all(&request_head(request)).await.is_err() {
            return Ok(false);
        }
        pace.moved();
        let out = Outgoing {
            to: &mut server_out,
            in_chunks: request.framing == Framing::Chunked,
            pace,
        };
        match body::copy(request.framing, client, out).await {
            Ok(()) => Ok(true),
            Err(BodyError::Writing) => Ok(false),
            Err(BodyError::Reading) => Err(Stop::Client),
            Err(BodyError::Malformed(why)) => {
                let reason = Reason::InvalidRequest(why);
                Err(Stop::Refused(Refusal::Denied(reason)))
            }
        }
    };
    let down = answer(gate, request, &mut server, client_out, pace, is_answered);
    tokio::pin!(up, down);
    let mut is_sent = None;
    loop {
        tokio::select! {
            biased;
            sent = &mut up, if is_sent.is_none() => is_sent = Some(sent?),
            stays = &mut down => return Ok(stays? && is_sent == Some(true)),
        }
    }
}

fn request_head(request: &Request) -> Vec<u8> {
    let host = match request.wish.port {
        HTTP_PORT => request.wish.host.to_string(),
        port => request.wish.host.with_port(port),
    };
    let first = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\n",
        request.method, request.path
    );
    let mut head = first.into_bytes();
    push_fields(&mut head, &request.fields);
    push_framing(&mut head, request.framing);
    if request.framing == Framing::Empty && request.fields.content_length() == Some(0) {
        head.extend_from_slice(b"Content-Length: 0\r\n");
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    head
}

fn push_fields(head: &mut Vec<u8>, fields: &Fields) {
    for field in fields.end_to_end() {
        head.extend_from_slice(field.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(&field.value);
        head.extend_from_slice(b"\r\n");
    }
}

fn push_framing(head: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        Framing::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Empty | Framing::UntilEnd => {}
    }
}

/// Brings the answer back. Gives back whether the client's connection may stay.
async fn answer(
    gate: &Gate,
    request: &Request,
    server: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    pace: &Pace,
    is_answered: &mut bool,
) -> Result<bool, Stop> {
    let response = final_answer(gate, request, server, client_out, pace).await?;
    // A client of HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    let framing = match response.framing {
        Framing::Chunked if request.minor_version == 0 => Framing::UntilEnd,
        framing => framing,
    };
    let stays = request.wants_to_stay() && framing != Framing::UntilEnd;
    let head = response_head(request, &response, framing, stays);
    *is_answered = true;
    client_out
        .write_all(&head)
        .await
        .map_err(|_| Stop::Client)?;
    pace.moved();
    let out = Outgoing {
        to: client_out,
        in_chunks: framing == Framing::Chunked,
        pace,
    };
    body::copy(response.framing, server, out)
        .await
        .map_err(|_| Stop::Client)?;
    Ok(stays)
}

/// Passes interim answers on and gives back the last one.
async fn final_answer(
    gate: &Gate,
    request: &Request,
    server: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    pace: &Pace,
) -> Result<Response, Stop> {
    let wrong = |why| Stop::Refused(Refusal::Failed(Failure::InvalidResponse(why)));
    for _ in 0..=MAX_INTERIM {
        let head = server
            .head(gate.options.limits.header_bytes)
            .await
            .map_err(|error| {
                wrong(match error {
                    ReadError::TooLong => "its head is too long",
                    ReadError::BareLineEnd => "a line end is not CR LF",
                    ReadError::Ended { .. } | ReadError::Failed => "the connection ended before it",
                })
            })?;
        pace.moved();
        let response = Response::parse(&head, &request.method).map_err(wrong)?;
        match response.status {
            101 => return Err(wrong("it changes the protocol, which was not asked for")),
            100..200 if request.minor_version == 1 => {
                let head = response_head(request, &response, Framing::Empty, true);
                client_out
                    .write_all(&head)
                    .await
                    .map_err(|_| Stop::Client)?;
            }
            100..200 => {}
            _ => return Ok(response),
        }
    }
    Err(wrong("it has too many interim answers"))
}

fn response_head(request: &Request, response: &Response, framing: Framing, stays: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} ", response.status).into_bytes();
    head.extend_from_slice(&response.phrase);
    head.extend_from_slice(b"\r\n");
    push_fields(&mut head, &response.fields);
    push_framing(&mut head, framing);
    if response.status >= 200 {
        if framing == Framing::Empty {
            push_declared_length(&mut head, request, response);
        }
        let connection: &[u8] = if stays { b"keep-alive" } else { b"close" };
        head.extend_from_slice(b"Connection: ");
        head.extend_from_slice(connection);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Where there is no body, the length still says something: how long it would be, or that it is empty.
fn push_declared_length(head: &mut Vec<u8>, request: &Request, response: &Response) {
    let is_head_like = request.method == "HEAD" || response.status == 304;
    let length = match response.fields.content_length() {
        Some(length) if is_head_like || length == 0 => length,
        _ => return,
    };
    if response.status != 204 {
        head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
}
