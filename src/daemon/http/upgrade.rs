//! `WS /ssh`: a request becomes a WebSocket, and the WebSocket a stream of bytes for the SSH server. The token was checked
//! at the upgrade; whoever comes through is that session for as long as it is open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::body::{Answer, refusal};
use super::endpoints::{last, not_allowed};
use super::{Counted, Open};
use crate::daemon::authority::Admitted;
use crate::websocket::ByteStream;

/// How often a daemon that drains looks whether commands run.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Open {
    pub(super) fn ssh(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        admitted: Admitted,
        peer: SocketAddr,
        connection: Arc<Counted>,
    ) -> Answer {
        if self.door.ssh.is_none() {
            let why = "SSH in a WebSocket is switched off";
            return refusal(StatusCode::NOT_FOUND, why);
        }
        if *request.method() != Method::GET {
            return not_allowed("GET");
        }
        let accept = match key(request.headers()) {
            Ok(key) => derive_accept_key(key.as_bytes()),
            Err(refused) => return last(*refused),
        };
        let Ok(accept) = HeaderValue::from_str(&accept) else {
            return refusal(StatusCode::BAD_REQUEST, "the key is malformed");
        };
        let upgraded = hyper::upgrade::on(&mut request);
        let open = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Ok(upgraded) = upgraded.await {
                open.converse(TokioIo::new(upgraded), admitted, peer).await;
            }
            drop(connection);
        });
        let mut answer = Response::new(Empty::<Bytes>::new().boxed());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        answer
    }

    async fn converse(
        &self,
        upgraded: TokioIo<hyper::upgrade::Upgraded>,
        admitted: Admitted,
        peer: SocketAddr,
    ) {
        let Some(ssh) = &self.door.ssh else { return };
        let (stream, closer) = ByteStream::of_server(upgraded).await;
        let closed = admitted.session.closed.clone();
        let stopping = &self.door.draining;
        let (code, why) = tokio::select! {
            served = ssh.serve(admitted.session, stream, peer) => match served {
                Ok(()) => (CloseCode::Normal, ""),
                Err(error) => {
                    tracing::debug!(%error, "an SSH session ended badly");
                    (CloseCode::Normal, "")
                }
            },
            () = closed.cancelled() => (CloseCode::Policy, "the token is not good any more"),
            () = self.drained() => (CloseCode::Normal, "the daemon ends"),
        };
        // Both reasons may be there at once, or the server may have seen it first.
        let (code, why) = match (stopping.is_cancelled(), closed.is_cancelled()) {
            (true, _) => (CloseCode::Normal, "the daemon ends"),
            (false, true) => (CloseCode::Policy, "the token is not good any more"),
            (false, false) => (code, why),
        };
        closer.close(code, why).await;
        drop(admitted.used);
    }

    /// Resolves when the daemon drains and nothing runs any more that a client of a WebSocket might wait for.
    pub(in crate::daemon) async fn drained(&self) {
        self.door.draining.cancelled().await;
        let Some(launcher) = &self.door.launcher else {
            return;
        };
        while launcher.running_count() > 0 {
            sleep(LOOK_EVERY).await;
        }
        // What has just ended is told.
        sleep(LOOK_EVERY).await;
    }
}

/// The key of a handshake.
fn key(headers: &HeaderMap) -> Result<&HeaderValue, Box<Answer>> {
    let refuse = |why| Err(Box::new(refusal(StatusCode::BAD_REQUEST, why)));
    if !lists(headers, &CONNECTION, "upgrade") || !lists(headers, &UPGRADE, "websocket") {
        let mut answer = refusal(
            StatusCode::UPGRADE_REQUIRED,
            "this endpoint speaks WebSocket: Upgrade: websocket",
        );
        let websocket = HeaderValue::from_static("websocket");
        answer.headers_mut().insert(UPGRADE, websocket);
        return Err(Box::new(answer));
    }
    let mut versions = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    if versions.next().map(HeaderValue::as_bytes) != Some(b"13") || versions.next().is_some() {
        let mut answer = refusal(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket version 13 is needed",
        );
        let version = HeaderValue::from_static("13");
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
        return Err(Box::new(answer));
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.len() == 24 => Ok(key),
        _ => refuse("one Sec-WebSocket-Key of 16 bytes in base64 is needed"),
    }
}

/// Whether a header has a word in its lists.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers.get_all(name).iter().any(|value| {
        let words = value.to_str().unwrap_or_default().split(',');
        words
            .into_iter()
            .any(|found| found.trim().eq_ignore_ascii_case(word))
    })
}
