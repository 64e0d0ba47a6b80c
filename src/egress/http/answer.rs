//! What the proxy itself says to an HTTP client: short, in words that tell a person what to do.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Duration, timeout};

use crate::egress::decision::{Failure, Reason};
use crate::egress::gate::{Refusal, Wish};

/// A client may still be sending when it is refused; so much of that, for so long, is read, lest the answer be lost.
const LINGER_BYTES: u64 = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Status line and text for a refusal. `wish` is what was asked for, where that is known.
pub(super) fn answer(wish: Option<&Wish>, refusal: Refusal) -> String {
    let (status, phrase) = status(refusal);
    let mut text = String::from("agent-backend: ");
    let asked = wish.map(|wish| wish.host.with_port(wish.port));
    match refusal {
        Refusal::Denied(reason) => {
            match &asked {
                Some(asked) => text.push_str(&format!("{asked} is refused: {reason}.")),
                None => text.push_str(&format!("the request is refused: {reason}.")),
            }
            if let (Reason::NotListed | Reason::PortNotListed, Some(asked)) = (reason, &asked) {
                text.push_str(&format!(
                    " Whoever runs this sandbox allows it by an entry '{asked}' in the list of allowed hosts."
                ));
            }
        }
        Refusal::Failed(failure) => {
            text.push_str(&format!("{}: {failure}.", asked.unwrap_or_default()));
        }
    }
    text.push('\n');
    format!(
        "HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n{text}",
        text.len()
    )
}

fn status(refusal: Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::Denied(reason) => match reason {
            Reason::InvalidRequest(_) | Reason::Unsupported(_) => (400, "Bad Request"),
            Reason::HeaderTooLarge => (431, "Request Header Fields Too Large"),
            Reason::HeaderTooSlow => (408, "Request Timeout"),
            Reason::NotListed | Reason::PortNotListed => (403, "Host not in the allow list"),
            _ => (403, "Forbidden"),
        },
        Refusal::Failed(
            Failure::ResolveTimeout | Failure::ConnectTimeout | Failure::ResponseTimeout,
        ) => (504, "Gateway Timeout"),
        Refusal::Failed(_) => (502, "Bad Gateway"),
    }
}

/// Sends an answer, then ends the connection in such a way that the client gets to read it.
pub(super) async fn send_last(
    text: &str,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) {
    let _ = timeout(LINGER_TIME, async {
        to.write_all(text.as_bytes()).await?;
        to.shutdown().await?;
        tokio::io::copy(&mut from.take(LINGER_BYTES), &mut tokio::io::sink()).await
    })
    .await;
}
