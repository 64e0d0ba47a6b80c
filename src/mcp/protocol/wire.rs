//! Between JSON text and rmcp: what it is given is well-formed, what is not is answered here, and the session goes on.

use std::future::Future;
use std::sync::Arc;

use rmcp::model::{ClientNotification, ErrorData, JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize as _;
use serde_json::Value;
use serde_json::error::Category;
use tokio::sync::{Mutex, mpsc};

use super::super::json_text;
use super::outstanding::Outstanding;
use super::session::Outbox;

/// A larger message is refused.
pub const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// The transport of one session. A clone is another hand on the same, for a handshake that begins anew.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) inbox: Arc<Mutex<mpsc::Receiver<Vec<u8>>>>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) outstanding: Arc<Outstanding>,
}

impl Wire {
    /// Looks at a message; gives it on, or answers it.
    fn take(&self, json: &[u8]) -> Option<RxJsonRpcMessage<RoleServer>> {
        match decode(json) {
            Decoded::Nothing => None,
            Decoded::Refused(answer) => {
                self.answer(*answer);
                None
            }
            Decoded::Message(message) => self.admit(*message),
        }
    }

    fn admit(&self, message: RxJsonRpcMessage<RoleServer>) -> Option<RxJsonRpcMessage<RoleServer>> {
        match &message {
            JsonRpcMessage::Request(request) if !self.outstanding.begin(&request.id) => {
                let why = "Invalid Request: a request with this id is in flight";
                self.answer(refusal(why, Some(request.id.clone())));
                return None;
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.outstanding.cancel(id);
                }
            }
            _ => {}
        }
        Some(message)
    }

    fn answer(&self, answer: TxJsonRpcMessage<RoleServer>) {
        if let Ok(json) = serde_json::to_vec(&answer) {
            tokio::spawn(self.outbox.send(json));
        }
    }
}

impl Transport<RoleServer> for Wire {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (outbox, outstanding) = (Arc::clone(&self.outbox), Arc::clone(&self.outstanding));
        async move {
            let _answering = answered(&message).map(|id| Answering::begin(outstanding, &id));
            let json = serde_json::to_vec(&message)?;
            drop(message);
            outbox.send(json).await
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let json = self.inbox.lock().await.recv().await?;
            // Nothing waits from here to the end of the turn, so a message that was taken is not lost.
            let message = self.take(&json);
            self.outstanding.read();
            if message.is_some() {
                return message;
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// An answer on its way out, until it is dropped.
struct Answering(Arc<Outstanding>);

impl Answering {
    fn begin(outstanding: Arc<Outstanding>, id: &RequestId) -> Self {
        outstanding.answering(id);
        Self(outstanding)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// The request that a message answers.
fn answered(message: &TxJsonRpcMessage<RoleServer>) -> Option<RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(response.id.clone()),
        JsonRpcMessage::Error(error) => error.id.clone(),
        _ => None,
    }
}

enum Decoded {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    Refused(Box<TxJsonRpcMessage<RoleServer>>),
    /// An empty line.
    Nothing,
}

fn decode(json: &[u8]) -> Decoded {
    if json.trim_ascii().is_empty() {
        return Decoded::Nothing;
    }
    let refused = |error: ErrorData, id| {
        Decoded::Refused(Box::new(TxJsonRpcMessage::<RoleServer>::error(error, id)))
    };
    if json.len() > MAX_MESSAGE_BYTES {
        let why = format!("Invalid Request: the message is longer than {MAX_MESSAGE_BYTES} bytes");
        return refused(ErrorData::invalid_request(why, None), None);
    }
    match json_text::parse(json) {
        Ok(message) => Decoded::Message(Box::new(message)),
        Err(error) if error.classify() == Category::Data => {
            let id = json_text::parse::<Value>(json)
                .ok()
                .and_then(|value| RequestId::deserialize(value.get("id")?).ok());
            Decoded::Refused(Box::new(refusal("Invalid Request", id)))
        }
        Err(error) => refused(
            ErrorData::parse_error(format!("Parse error: {error}"), None),
            None,
        ),
    }
}

fn refusal(why: &'static str, id: Option<RequestId>) -> TxJsonRpcMessage<RoleServer> {
    TxJsonRpcMessage::<RoleServer>::error(ErrorData::invalid_request(why, None), id)
}
