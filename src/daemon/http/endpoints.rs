//! Requests: who may ask, where each goes, and its line in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, DATE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::sleep;

use super::body::{self, Answer, refusal};
use super::{Counted, Open};
use crate::daemon::authority::{Admitted, Refusal};
use crate::daemon::metrics::Endpoint;
use crate::error::Printable;
use crate::mcp::protocol::Kept;

/// Of a path that is logged.
const MAX_LOGGED: usize = 256;

impl Open {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        connection: Arc<Counted>,
    ) -> Answer {
        let begun = Instant::now();
        let method = request.method().clone();
        // Without the query, which may hold a token.
        let path = logged(request.uri().path());
        let mut line = Line {
            endpoint: Endpoint::Other,
            principal: Arc::from("-"),
        };
        let mut answer = self.route(request, peer, connection, &mut line).await;
        let status = answer.status();
        answer.headers_mut().insert(
            http::header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if let Some(now) = date() {
            answer.headers_mut().insert(DATE, now);
        }
        self.door.metrics.answered(line.endpoint, status.as_u16());
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            method = %logged(method.as_str()),
            path = %path,
            status = status.as_u16(),
            ms,
            principal = %Printable(&line.principal),
            peer = %peer,
            "request"
        );
        answer
    }

    async fn route(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        connection: Arc<Counted>,
        line: &mut Line,
    ) -> Answer {
        let endpoint = match request.uri().path() {
            "/health" => Endpoint::Health,
            "/metrics" => Endpoint::Metrics,
            "/mcp" => Endpoint::Mcp,
            "/ssh" => Endpoint::Ssh,
            _ => Endpoint::Other,
        };
        line.endpoint = endpoint;
        let names = &self.door.names;
        if let Err((is_malformed, why)) = names.check(request.uri(), request.headers()) {
            let status = if is_malformed {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::FORBIDDEN
            };
            return last(refusal(status, why));
        }
        match endpoint {
            Endpoint::Health => self.health(&request, peer).await,
            Endpoint::Metrics => self.metrics(&request, peer).await,
            Endpoint::Mcp => match self.admitted(&request, peer, &connection, line).await {
                Ok(admitted) => self.mcp(request, admitted).await,
                Err(refused) => refused,
            },
            Endpoint::Ssh => match self.admitted(&request, peer, &connection, line).await {
                Ok(admitted) => self.ssh(request, admitted, peer, connection),
                Err(refused) => refused,
            },
            Endpoint::Other => refusal(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    async fn health(&self, request: &Request<Incoming>, peer: SocketAddr) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        let is_draining = self.door.draining.is_cancelled();
        let (status, word) = if is_draining {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else {
            (StatusCode::OK, "ok")
        };
        let mut told = json!({ "status": word, "version": env!("CARGO_PKG_VERSION") });
        let (headers, query) = (request.headers(), request.uri().query());
        // Whoever asks with a token that is none is told no more than others, and held up as at every other endpoint.
        let knows = match self.door.authority.knows(headers, query, peer.ip()) {
            Ok(knows) => knows,
            Err(wait) => {
                self.hold_up(wait).await;
                false
            }
        };
        if knows {
            told["uptimeSeconds"] = self.door.started.elapsed().as_secs().into();
            let connections = &self.door.metrics.open_connections;
            told["connections"] = connections.load(Ordering::Relaxed).into();
            if let Some(launcher) = &self.door.launcher {
                told["runningCommands"] = launcher.running_count().into();
            }
        }
        body::json(status, &told)
    }

    async fn metrics(&self, request: &Request<Incoming>, peer: SocketAddr) -> Answer {
        if *request.method() != Method::GET {
            return not_allowed("GET");
        }
        let authority = &self.door.authority;
        if authority.is_open() && !peer.ip().to_canonical().is_loopback() {
            let why = "metrics are for this machine, or need a token";
            return refusal(StatusCode::FORBIDDEN, why);
        }
        let admitted = authority.admit(request.headers(), request.uri().query(), peer.ip());
        match admitted {
            Ok(admitted) if authority.is_whole(&admitted.session.workspace) => {}
            Ok(_) => {
                let why =
                    "metrics are of the whole daemon, and for a token that is bound to no scope";
                return refusal(StatusCode::FORBIDDEN, why);
            }
            Err(refused) => return self.refused(refused).await,
        }
        let running = self.door.launcher.as_ref();
        let text = self
            .door
            .metrics
            .text(running.map(|launcher| launcher.running_count()));
        body::text(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            text,
        )
    }

    async fn mcp(&self, request: Request<Incoming>, admitted: Admitted) -> Answer {
        let patience = self.door.idle_timeout;
        let own = admitted.used.room();
        let (parts, incoming) = request.into_parts();
        let (content, held) = match self.room.read(own, incoming, patience).await {
            Ok(read) => read,
            Err(refused) => return last(refused),
        };
        let request = Request::from_parts(parts, content);
        let workspace = &admitted.session.workspace;
        let answer = tokio::select! {
            biased;
            () = admitted.session.closed.cancelled() => {
                return last(match self.door.stopped.is_cancelled() {
                    true => refusal(StatusCode::SERVICE_UNAVAILABLE, "this daemon has stopped"),
                    false => unauthorized(),
                });
            }
            answer = self.mcp.answer(workspace, request) => answer,
        };
        drop(held);
        let kept: Option<Kept> = answer.extensions().get().cloned();
        let answer = self.room.hold(own, answer, patience).await;
        body::keeping(answer, (admitted.used, kept))
    }

    /// Lets a request in, or gives the answer that refuses it.
    async fn admitted(
        &self,
        request: &Request<Incoming>,
        peer: SocketAddr,
        connection: &Counted,
        line: &mut Line,
    ) -> Result<Admitted, Answer> {
        let (headers, query) = (request.headers(), request.uri().query());
        match self.door.authority.admit(headers, query, peer.ip()) {
            Ok(admitted) => {
                connection.is_known();
                // Where there are no tokens nobody has a name.
                if !admitted.principal.is_empty() {
                    line.principal = Arc::clone(&admitted.principal);
                }
                Ok(admitted)
            }
            Err(refused) => Err(self.refused(refused).await),
        }
    }

    /// Lets an answer to a guess take its time. However many wait, none is answered sooner: what they hold is their
    /// connections, which are bounded.
    async fn hold_up(&self, wait: Duration) {
        if !wait.is_zero() {
            tokio::select! {
                () = sleep(wait) => {}
                () = self.door.draining.cancelled() => {}
            }
        }
    }

    async fn refused(&self, refused: Refusal) -> Answer {
        if refused.status == StatusCode::UNAUTHORIZED {
            let counter = &self.door.metrics.unauthorized;
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.hold_up(refused.wait).await;
        let mut answer = refusal(refused.status, &refused.message);
        if refused.status == StatusCode::UNAUTHORIZED {
            answer = unauthorized();
        }
        last(answer)
    }
}

/// What is only known once a request was looked at.
struct Line {
    endpoint: Endpoint,
    principal: Arc<str>,
}

fn unauthorized() -> Answer {
    let mut answer = refusal(
        StatusCode::UNAUTHORIZED,
        "a valid bearer token is needed: Authorization: Bearer TOKEN",
    );
    let challenge = HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}

pub(super) fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "another method is needed");
    let allowed = HeaderValue::from_static(allowed);
    answer.headers_mut().insert(http::header::ALLOW, allowed);
    answer
}

/// An answer that is the last of its connection, since of what comes after it nothing is wanted.
pub(super) fn last(mut answer: Answer) -> Answer {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

/// A text of a request as the log shows it.
fn logged(text: &str) -> String {
    let text: String = text.chars().take(MAX_LOGGED).collect();
    Printable(&text).to_string().replace('\n', "\\n")
}

/// The time for the header `Date`. hyper has one of its own, which after a jump of the clock backwards stands still until
/// the clock has caught up with it.
fn date() -> Option<HeaderValue> {
    let now = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT");
    HeaderValue::try_from(now.to_string()).ok()
}
