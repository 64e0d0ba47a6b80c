//! Our tools as rmcp asks for them.

use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientNotification, ClientRequest,
    ContentBlock as RmcpBlock, CustomResult, ErrorCode as RpcCode, ErrorData, Implementation,
    ProtocolVersion, ResourceContents, ServerCapabilities, ServerConfig, ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext, RoleServer, Service};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::result::{ContentBlock, MediaKind, ToolResult};
use super::super::{ToolServer, failure};
use crate::error::{Error, Printable};

/// What one session serves.
pub(super) struct Handler {
    pub(super) server: ToolServer,
    /// Sets the calls of this session apart from those of others; cannot be guessed.
    pub(super) session_id: String,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        info()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call_id = format!("{}/{}", self.session_id, context.id);
        let result = call(&self.server, &call_id, request, context.ct).await;
        Ok(result.into())
    }
}

/// What every door says that it is.
pub(super) fn info() -> ServerConfig {
    ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(
        Implementation::new("agent-backend", env!("CARGO_PKG_VERSION")),
    )
}

/// Calls a tool under an id by which the call can be cancelled.
pub(super) async fn call(
    server: &ToolServer,
    call_id: &str,
    request: CallToolRequestParams,
    cancel: CancellationToken,
) -> CallToolResult {
    to_rmcp(result(server, call_id, request, cancel).await)
}

/// What such a call gives, before it is told.
pub(super) async fn result(
    server: &ToolServer,
    call_id: &str,
    request: CallToolRequestParams,
    cancel: CancellationToken,
) -> ToolResult {
    let result = match server.workspace().begin_call(call_id, cancel.clone()) {
        Ok(_in_flight) => {
            let arguments = request.arguments.unwrap_or_default();
            server.call(&request.name, arguments, cancel).await
        }
        Err(error) => Ok(failure::plain(&error)),
    };
    result.unwrap_or_else(|error| failure::plain(&error))
}

/// The result of a call that did not begin.
pub(super) fn failed(error: &Error) -> CallToolResult {
    to_rmcp(failure::plain(error))
}

/// The handler with what rmcp's types cannot say: the tools are listed as raw JSON, because its `Tool` has no
/// `execution`, and known methods with wrong parameters are told so.
pub(super) struct Front(pub(super) Handler);

impl Service<RoleServer> for Front {
    async fn handle_request(
        &self,
        request: ClientRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerResult, ErrorData> {
        let lists_tools = matches!(request, ClientRequest::ListToolsRequest(_));
        if let ClientRequest::CustomRequest(unread) = &request {
            return Err(unreadable(&unread.method));
        }
        // Also for a list: what the protocol asks of the request, and adds to the result, is rmcp's business.
        let result = Service::handle_request(&self.0, request, context).await?;
        Ok(match result {
            ServerResult::ListToolsResult(result) if lists_tools => {
                let mut value = serde_json::to_value(result).unwrap_or_default();
                value["tools"] = self.0.server.list()["tools"].clone();
                ServerResult::CustomResult(CustomResult::new(value))
            }
            result => result,
        })
    }

    async fn handle_notification(
        &self,
        notification: ClientNotification,
        context: NotificationContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Service::handle_notification(&self.0, notification, context).await
    }

    fn get_info(&self) -> ServerConfig {
        ServerHandler::get_info(&self.0)
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        ServerHandler::supported_protocol_versions(&self.0)
    }
}

/// Why rmcp passes a request on unread: it does not know the method, or could not read its parameters.
pub(super) fn unreadable(method: &str) -> ErrorData {
    let is_known = matches!(method, "initialize" | "ping" | "tools/list" | "tools/call");
    let (code, why) = if is_known {
        (RpcCode::INVALID_PARAMS, "Invalid params")
    } else {
        (RpcCode::METHOD_NOT_FOUND, "Method not found")
    };
    ErrorData::new(code, format!("{why}: {}", Printable(method)), None)
}

pub(super) fn to_rmcp(result: ToolResult) -> CallToolResult {
    let structured: Option<Value> = result.structured_json();
    let content = result.content.into_iter().map(block).collect();
    let mut told = CallToolResult::success(content);
    told.structured_content = structured;
    told.is_error = result.is_error.then_some(true);
    told
}

fn block(block: ContentBlock) -> RmcpBlock {
    let text = |bytes: bytes::Bytes| match String::from_utf8(bytes.into()) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    match block {
        ContentBlock::Text(bytes) => RmcpBlock::text(text(bytes)),
        ContentBlock::Media {
            kind,
            data,
            mime_type,
        } => match kind {
            MediaKind::Image => RmcpBlock::image(text(data), mime_type),
            MediaKind::Audio => RmcpBlock::audio(text(data), mime_type),
        },
        ContentBlock::Resource {
            uri,
            mime_type,
            blob,
        } => RmcpBlock::resource(ResourceContents::blob(text(blob), uri).with_mime_type(mime_type)),
    }
}
