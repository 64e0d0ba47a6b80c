//! The tools behind stateless HTTP: one request, one answer, as JSON or as a stream of events.
//!
//! rmcp speaks the protocol here too. What it does not do without sessions is done before it is asked: a call is cancelled
//! by a second request of the same principal in the same scope, either form of answer may be asked for alone, and tools
//! are listed as the raw JSON of [`ToolServer::list_json`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult, ErrorData, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer, TxJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::result::ToolResult;
use super::super::{ToolServer, failure, json_text};
use super::handler;
use crate::workspace::{Reserved, Workspace, unguessable};

/// What is given back.
pub type HttpAnswer = Response<BoxBody<Bytes, Infallible>>;

/// How rmcp writes no tools: what [`listed`] puts ours in the place of. In a string it would be escaped.
const NO_TOOLS: &[u8] = br#""tools":[]"#;

/// A shorter result is not counted.
const SHORT_RESULT: usize = 64 << 10;

/// `POST /mcp` of a daemon, for any number of workspaces.
#[derive(Clone)]
pub struct HttpService {
    json: StreamableHttpService<HttpHandler, NeverSessionManager>,
    events: StreamableHttpService<HttpHandler, NeverSessionManager>,
    ids: Arc<Ids>,
}

impl std::fmt::Debug for HttpService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}

/// The room that an answer takes in memory, which comes with it as an extension: to be kept until the answer is sent.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Option<Reserved>>>);

impl Kept {
    /// Counts a result, which is told in several copies, unless it is short or there is no room for it.
    fn hold(&self, workspace: &Workspace, result: ToolResult) -> ToolResult {
        let length = result.length();
        if length < SHORT_RESULT {
            return result;
        }
        match workspace.reserve(length) {
            Ok(reserved) => {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reserved);
                result
            }
            Err(error) => failure::plain(&error),
        }
    }
}

/// Just enough of a message to know what it asks for.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
}

impl HttpService {
    /// A service that ends its streams when `stop` is cancelled. Whoever asks it has checked `Host`, `Origin`, the token
    /// and the length of the body, at most `max_body_bytes`.
    #[must_use]
    pub fn new(stop: CancellationToken, max_body_bytes: usize) -> Self {
        let ids = Arc::new(Ids::default());
        let service = |json_response: bool| {
            let mut config = StreamableHttpServerConfig::default()
                .disable_allowed_hosts()
                .with_legacy_session_mode(false)
                .with_json_response(json_response)
                .with_cancellation_token(stop.clone());
            config.max_request_body_bytes = max_body_bytes;
            let ids = Arc::clone(&ids);
            let make = move || {
                Ok(HttpHandler {
                    ids: Arc::clone(&ids),
                })
            };
            StreamableHttpService::new(make, Arc::default(), config)
        };
        Self {
            json: service(true),
            events: service(false),
            ids,
        }
    }

    /// Answers a request with the tools of this workspace. Dropping the future, or the answer before its end, cancels the
    /// call.
    pub async fn answer(&self, workspace: &Workspace, request: Request<Bytes>) -> HttpAnswer {
        let (mut parts, mut body) = request.into_parts();
        if parts.method != Method::POST {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            let allow = HeaderValue::from_static("POST");
            answer.headers_mut().insert(http::header::ALLOW, allow);
            return answer;
        }
        let Some(as_json) = accepted(&parts.headers) else {
            return plain(
                StatusCode::NOT_ACCEPTABLE,
                "Not Acceptable: the client must accept application/json or text/event-stream",
            );
        };
        let both = HeaderValue::from_static("application/json, text/event-stream");
        parts.headers.insert(ACCEPT, both);
        if !is_json(&parts.headers) {
            return plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported Media Type: Content-Type must be application/json",
            );
        }
        // What rmcp reads has no place for halves of characters.
        if let Some(repaired) = json_text::without_lone_surrogates(&body) {
            body = repaired.into();
        }
        let method = match serde_json::from_slice::<Glance<'_>>(&body) {
            Ok(glance) => glance.method.map(Cow::into_owned),
            Err(error) if error.is_data() => {
                return invalid(ErrorData::invalid_request("Invalid Request", None));
            }
            Err(error) => {
                return invalid(ErrorData::parse_error(
                    format!("Parse error: {error}"),
                    None,
                ));
            }
        };
        if method.as_deref() == Some("notifications/cancelled") {
            self.ids.cancel(workspace, &body);
        }
        let kept = Kept::default();
        parts.extensions.insert(workspace.clone());
        parts.extensions.insert(kept.clone());
        let request = Request::from_parts(parts, Full::new(body));
        let service = if as_json { &self.json } else { &self.events };
        let mut answer = service.handle(request).await;
        answer.extensions_mut().insert(kept);
        if answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // It is JSON, but no message.
            return invalid(ErrorData::invalid_request("Invalid Request", None));
        }
        if method.as_deref() == Some("tools/list") {
            return listed(workspace, answer).await;
        }
        answer
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The answer to what is no message of the protocol, with 400.
fn invalid(error: ErrorData) -> HttpAnswer {
    let message = TxJsonRpcMessage::<RoleServer>::error(error, None);
    let json = serde_json::to_vec(&message).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(json)).boxed());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    let kind = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// Whether JSON is acceptable, else events; `None` where neither is. Nothing said is anything.
fn accepted(headers: &HeaderMap) -> Option<bool> {
    let mut said = false;
    let mut events = false;
    for value in headers.get_all(ACCEPT) {
        said = true;
        for range in value.to_str().ok()?.split(',') {
            let mut parts = range.split(';');
            let kind = parts.next().unwrap_or_default().trim();
            let refused = parts.any(|part| {
                let quality = part.trim().strip_prefix("q=");
                quality.is_some_and(|quality| quality.trim_matches(['0', '.']).is_empty())
            });
            if refused {
                continue;
            }
            match kind.to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" => return Some(true),
                "text/event-stream" | "text/*" => events = true,
                _ => {}
            }
        }
    }
    if said {
        events.then_some(false)
    } else {
        Some(true)
    }
}

/// The answer with our tools where rmcp wrote none.
async fn listed(workspace: &Workspace, answer: HttpAnswer) -> HttpAnswer {
    let (mut parts, body) = answer.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let body = match memchr::memmem::find(&body, NO_TOOLS) {
        Some(at) => {
            let server = ToolServer::new(workspace.clone());
            // `{"tools":[...]}` without its braces.
            let list = server.list_json();
            let tools = &list.as_bytes()[1..list.len() - 1];
            [&body[..at], tools, &body[at + NO_TOOLS.len()..]]
                .concat()
                .into()
        }
        None => body,
    };
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Full::new(body).boxed())
}

fn plain(status: StatusCode, text: &'static str) -> HttpAnswer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *answer.status_mut() = status;
    answer
}

/// What rmcp asks for one request.
struct HttpHandler {
    ids: Arc<Ids>,
}

impl ServerHandler for HttpHandler {
    fn get_info(&self) -> ServerConfig {
        handler::info()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let parts = context.extensions.get::<http::request::Parts>();
        let extensions = parts.map(|parts| &parts.extensions);
        let found = extensions.and_then(|found| Some((found.get::<Workspace>()?, found.get()?)));
        let Some((workspace, kept)): Option<(_, &Kept)> = found else {
            return Err(ErrorData::internal_error("no workspace", None));
        };
        let id = serde_json::to_string(&context.id).unwrap_or_default();
        let named = self.ids.begin(workspace, &id);
        let call_id = match &named {
            Ok(named) => named.call_id.clone(),
            Err(error) => return Ok(handler::failed(error).into()),
        };
        let server = ToolServer::new(workspace.clone());
        let result = handler::result(&server, &call_id, request, context.ct).await;
        drop(named);
        Ok(handler::to_rmcp(kept.hold(workspace, result)).into())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(handler::unreadable(&request.method))
    }
}

/// The ids of calls in flight. Clients without sessions count from the same number, so two of one principal may use the
/// same id at once: neither is then cancelled by it, since nobody can tell which was meant.
#[derive(Debug, Default)]
struct Ids(Mutex<HashMap<String, usize>>);

/// One use of an id, until it is dropped.
struct Named {
    ids: Arc<Ids>,
    key: String,
    call_id: String,
}

impl Ids {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, workspace: &Workspace, id: &str) -> crate::error::Result<Named> {
        let key = key(workspace, id);
        let uses = {
            let mut ids = self.lock();
            let uses = ids.entry(key.clone()).or_default();
            *uses += 1;
            *uses
        };
        let mut named = Named {
            ids: Arc::clone(self),
            key,
            call_id: call_id(id),
        };
        if uses > 1 {
            named.call_id = format!("{}/{}", named.call_id, unguessable()?);
        }
        Ok(named)
    }

    fn cancel(&self, workspace: &Workspace, notification: &[u8]) {
        let id = serde_json::from_slice::<Value>(notification).ok();
        let Some(id) = id.as_ref().and_then(|told| told["params"].get("requestId")) else {
            return;
        };
        let id = id.to_string();
        let is_one = self.lock().get(&key(workspace, &id)) == Some(&1);
        if is_one {
            workspace.cancel_call(&call_id(&id));
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut ids = self.ids.lock();
        if let Some(uses) = ids.get_mut(&self.key) {
            *uses -= 1;
            if *uses == 0 {
                ids.remove(&self.key);
            }
        }
    }
}

fn call_id(id: &str) -> String {
    format!("http/{id}")
}

fn key(workspace: &Workspace, id: &str) -> String {
    let scope = String::from_utf8_lossy(workspace.root_dir());
    format!("{}\0{scope}\0{id}", workspace.principal())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        accepted(&headers)
    }

    #[test]
    fn json_is_given_to_all_who_take_it_and_events_to_who_takes_only_them() {
        for (values, expected) in [
            (&[][..], Some(true)),
            (&["application/json, text/event-stream"], Some(true)),
            (&["text/event-stream", "application/json"], Some(true)),
            (&["*/*"], Some(true)),
            (&["text/event-stream"], Some(false)),
            (&["Text/Event-Stream; q=0.5"], Some(false)),
            (&["application/json;q=0, text/event-stream"], Some(false)),
            (&["application/json;q=0.0"], None),
            (&["text/html"], None),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }
}
