//! From an HTTP connection to a WebSocket: who we are, what a daemon or a proxy in front of it answers.

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::checks::invalid;
use super::options::RemoteOptions;
use crate::error::{Error, ErrorCode, Printable, Result};
use crate::websocket;

/// Where a daemon speaks SSH.
const PATH: &str = "/ssh";
/// The scope that is asked for.
const SCOPE: &str = "x-scope-path";
/// So much of an answer is shown in an error.
const SHOWN_CHARS: usize = 200;
/// Headers that a caller's have no say in: what says who asks and for what, and the handshake's own.
const OURS: [&str; 12] = [
    "authorization",
    "x-scope-path",
    "x-root-dir",
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

/// Asks for the WebSocket.
///
/// # Errors
/// `UNAUTHORIZED` for 401, `CONNECTION_FAILED` for any other answer, with its status and the beginning of its text.
pub(super) async fn upgrade<S>(options: &RemoteOptions, stream: S) -> Result<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = request(options)?;
    match client_async_with_config(request, stream, Some(websocket::config())).await {
        Ok((socket, _)) => Ok(socket),
        Err(WsError::Http(response)) => Err(refused(&response)),
        Err(error @ WsError::Protocol(_)) if !options.is_secure() => Err(Error::new(
            ErrorCode::ConnectionFailed,
            "the server does not answer in HTTP; if it wants TLS, set `secure: true`",
        )
        .with_source(error)),
        Err(error) => Err(Error::new(
            ErrorCode::ConnectionFailed,
            format!("the server does not answer as a daemon does: {error}"),
        )
        .with_source(error)),
    }
}

fn request(options: &RemoteOptions) -> Result<Request<()>> {
    let host = options.effective_host();
    let port = options.effective_port();
    let authority = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let scheme = if options.is_secure() { "wss" } else { "ws" };
    let mut request = Request::get(format!("{scheme}://{authority}{PATH}"))
        .header(HOST, &authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .body(())
        .map_err(|_| invalid("host", "cannot stand in a URL"))?;
    let headers = request.headers_mut();
    for (name, value) in &options.headers {
        if is_ours(name) {
            continue;
        }
        if let (Ok(name), Ok(mut value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    if let Some(token) = &options.auth_token {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| invalid("authToken", "cannot stand in a header"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(scope) = &options.scope {
        let value = HeaderValue::from_str(scope)
            .map_err(|_| invalid("scope", "cannot stand in a header"))?;
        headers.insert(SCOPE, value);
    }
    Ok(request)
}

/// Whether a header is one that a caller cannot set.
pub(super) fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

fn refused(response: &Response<Option<Vec<u8>>>) -> Error {
    let status = response.status();
    let body = response.body().as_deref().unwrap_or_default();
    let text = excerpt(body);
    let text = if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    };
    match status {
        StatusCode::UNAUTHORIZED => Error::new(
            ErrorCode::Unauthorized,
            format!("the server does not accept the token (401){text}"),
        ),
        StatusCode::NOT_FOUND => Error::new(
            ErrorCode::ConnectionFailed,
            format!("there is no daemon at this address: {PATH} is not found (404){text}"),
        ),
        status => Error::new(
            ErrorCode::ConnectionFailed,
            format!("the server answers {status} instead of opening a connection{text}"),
        ),
    }
}

/// The beginning of a text, on one line, safe to show.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let shown: String = line.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("{}{more}", Printable(&shown))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::backend::remote::options::Secret;

    #[test]
    fn a_callers_headers_do_not_take_the_place_of_ours() {
        let mut options = RemoteOptions::new("/w", "::1");
        options.auth_token = Some(Secret::new("token"));
        options.scope = Some("tenants/1".into());
        for (name, value) in [
            ("AUTHORIZATION", "Bearer other"),
            ("X-Scope-Path", "tenants/2"),
            ("x-root-dir", "/other"),
            ("Host", "other"),
            ("Sec-WebSocket-Key", "other"),
            ("X-Route", "blue"),
        ] {
            options.headers.push((name.into(), value.into()));
        }
        let request = request(&options).unwrap();
        let value = |name: &str| {
            let all: Vec<_> = request.headers().get_all(name).iter().collect();
            assert!(all.len() <= 1, "{name}");
            all.first().map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(value("authorization").as_deref(), Some("Bearer token"));
        assert_eq!(value("x-scope-path").as_deref(), Some("tenants/1"));
        assert_eq!(value("x-root-dir"), None);
        assert_eq!(value("host").as_deref(), Some("[::1]:3001"));
        assert_eq!(value("x-route").as_deref(), Some("blue"));
        assert_eq!(request.uri().path(), "/ssh");
        assert!(!format!("{request:?}").contains("token"), "{request:?}");
    }

    #[test]
    fn an_answer_is_shown_by_status_and_a_printable_beginning() {
        let answer = |status: u16, body: &str| {
            let response = Response::builder().status(status);
            refused(&response.body(Some(body.as_bytes().to_vec())).unwrap())
        };
        assert_eq!(answer(401, "").code(), ErrorCode::Unauthorized);
        let proxy = answer(
            502,
            &format!("<html>\r\n\u{1b}[31mBad Gateway {}", "x".repeat(500)),
        );
        assert_eq!(proxy.code(), ErrorCode::ConnectionFailed);
        assert!(proxy.message().contains("502") && proxy.message().contains("Bad Gateway"));
        assert!(
            proxy.message().len() < 400 && !proxy.message().contains('\u{1b}'),
            "{proxy}"
        );
        assert!(answer(404, "").message().contains("/ssh"));
        assert!(answer(403, "no").message().contains("403"));
    }
}
