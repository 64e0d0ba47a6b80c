//! An MCP session in this process: JSON text in and out, served in Rust.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_backend::call::{BoxFuture, Call};
use agent_backend::error::Result;
use agent_backend::mcp::ToolServer;
use agent_backend::mcp::protocol::{Outbox, Session};
use bytes::Bytes;
use napi::bindgen_prelude::{Env, ToNapiValue};
use napi::sys;
use napi_derive::napi;

use super::Native;
use crate::arguments::Arguments;
use crate::delivery::{Callback, Payload};
use crate::environment::Environment;
use crate::error;
use crate::executor::start;
use crate::js::Js;
use crate::text::Text;

/// A session of the MCP server in this process.
#[napi]
#[derive(Debug)]
pub struct NativeMcpSession {
    session: Session,
    /// Whether the process is kept alive for an answer.
    waits: Arc<AtomicBool>,
}

#[napi]
impl NativeMcpSession {
    /// Takes a JSON-RPC message. A malformed one is answered by the server. While an answer is due the process stays
    /// alive; an idle session does not keep it.
    #[napi]
    pub fn send(&self, env: Env, json: String) -> napi::Result<()> {
        let js = Js(env.raw());
        let environment = Environment::of(js);
        match self.session.receive(json.into_bytes()) {
            Ok(()) => {
                if let Some(environment) = environment {
                    self.stay_alive(&environment);
                }
                Ok(())
            }
            Err(failure) => {
                error::throw(js, &failure);
                Err(napi::Error::new(napi::Status::PendingException, ""))
            }
        }
    }

    /// Ends the session and the calls in it. Idempotent.
    #[napi]
    pub fn close(&self) {
        self.session.close();
    }

    fn stay_alive(&self, environment: &Environment) {
        if self.waits.swap(true, Ordering::AcqRel) {
            return;
        }
        let (idle, waits) = (self.session.idle(), Arc::clone(&self.waits));
        let call = Call::pending(async move {
            idle.await;
            waits.store(false, Ordering::Release);
            Ok(())
        });
        // Its promise is for nobody: what counts is that the environment knows of a pending call.
        start(environment, call, |environment, ()| {
            environment.js.undefined()
        });
    }
}

/// Hands the server's messages to JavaScript.
struct Callbacks {
    on_message: Option<Arc<Callback>>,
    on_close: Option<Arc<Callback>>,
}

impl Outbox for Callbacks {
    fn send(&self, json: Vec<u8>) -> BoxFuture<io::Result<()>> {
        if let Some(callback) = &self.on_message {
            // Decoded here, on a thread of the runtime, rather than on that of JavaScript.
            callback.send(Payload::Text(Text::decode(Bytes::from(json))));
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn ended(&self) {
        if let Some(callback) = &self.on_close {
            callback.send(Payload::Nothing);
        }
    }
}

/// `connectMcp(onMessage, onClose): NativeMcpSession`
pub fn connect_mcp(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let outbox = Callbacks {
        on_message: arguments.callback(0),
        on_close: arguments.callback(1),
    };
    let server = ToolServer::new(native.workspace.clone());
    let session = NativeMcpSession {
        session: Session::start(server, Arc::new(outbox))?,
        waits: Arc::default(),
    };
    // SAFETY: we are on the thread of the environment.
    let instance = unsafe { ToNapiValue::to_napi_value(arguments.js.0, session) };
    Ok(instance.unwrap_or(std::ptr::null_mut()))
}
