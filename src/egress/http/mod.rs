//! HTTP to the proxy: tunnels by `CONNECT`, and plain requests with the whole URL.

mod answer;
mod body;
mod fields;
mod forward;
mod request;
mod response;

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use self::forward::Forwarded;
use self::request::{Request, glance};
use super::decision::{Protocol, Reason};
use super::gate::{Gate, Refusal, Wish};
use super::incoming::{Incoming, ReadError};
use super::tunnel;

/// Serves the requests of one connection, one after another. `deadline` is that of the first one's head.
pub(super) async fn serve(
    gate: &Gate,
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    deadline: Instant,
) {
    let mut deadline = deadline;
    while let Some(request) = next_request(gate, client, client_out, deadline).await {
        let refusal = match gate.open(&request.wish).await {
            Err(refusal) => refusal,
            Ok(opened) if request.wish.protocol == Protocol::Connect => {
                let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
                if client_out.write_all(established).await.is_ok() {
                    tunnel::run(gate, &request.wish, opened, client, client_out).await;
                }
                return;
            }
            Ok(opened) => {
                let address = opened.address;
                match forward::forward(gate, &request, opened, client, client_out).await {
                    Forwarded::Stay => {
                        match next_deadline(gate, client).await {
                            Some(next) => deadline = next,
                            None => return,
                        }
                        continue;
                    }
                    Forwarded::Close => return finish(client, client_out).await,
                    Forwarded::Refused {
                        refusal,
                        is_answered,
                    } => {
                        gate.report(&request.wish, refusal.into(), Some(address));
                        if is_answered {
                            return;
                        }
                        refusal
                    }
                }
            }
        };
        return refuse(client, client_out, Some(&request.wish), refusal).await;
    }
}

/// The next request that can be judged; what cannot be is answered here.
async fn next_request(
    gate: &Gate,
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    deadline: Instant,
) -> Option<Request> {
    let limit = gate.options.limits.header_bytes;
    let reason = match timeout_at(deadline, client.head(limit)).await {
        Ok(Ok(head)) => match Request::parse(&head) {
            Ok(request) => return Some(request),
            Err(malformed) => {
                gate.report_malformed(malformed.protocol, &malformed.asked, malformed.reason);
                let refusal = Refusal::Denied(malformed.reason);
                refuse(client, client_out, None, refusal).await;
                return None;
            }
        },
        Ok(Err(ReadError::TooLong)) => Reason::HeaderTooLarge,
        Ok(Err(ReadError::BareLineEnd)) => Reason::InvalidRequest("a line end is not CR LF"),
        Ok(Err(ReadError::Ended { amid: true })) => {
            Reason::InvalidRequest("it ends in the middle of its head")
        }
        Ok(Err(ReadError::Ended { amid: false } | ReadError::Failed)) => return None,
        Err(_) => Reason::HeaderTooSlow,
    };
    let (protocol, _) = glance(client.buffered());
    gate.report_malformed(protocol, b"", reason);
    refuse(client, client_out, None, Refusal::Denied(reason)).await;
    None
}

/// Waits for the first byte of another request; from then on its head has its time.
async fn next_deadline(gate: &Gate, client: &mut Incoming<ReadHalf<'_>>) -> Option<Instant> {
    let limits = &gate.options.limits;
    if client.buffered().is_empty() {
        match timeout(limits.idle_time, client.fill()).await {
            Ok(Ok(read)) if read > 0 => {}
            _ => return None,
        }
    }
    Some(Instant::now() + limits.header_time)
}

/// Ends a connection on which the client may still be sending, in such a way that it gets to read its answer.
async fn finish(client: &mut Incoming<ReadHalf<'_>>, client_out: &mut WriteHalf<'_>) {
    answer::send_last("", client.inner(), client_out).await;
}

async fn refuse(
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    wish: Option<&Wish>,
    refusal: Refusal,
) {
    let text = answer::answer(wish, refusal);
    answer::send_last(&text, client.inner(), client_out).await;
}
