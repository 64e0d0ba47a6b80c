//! What is told to JavaScript while calls go on: log entries, refused commands, pieces of output.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use agent_backend::backend::remote::status::StatusChange;
use agent_backend::workspace::{CommandOutput, Observer, OperationRecord, may_change};
use bytes::Bytes;
use napi::bindgen_prelude::ToNapiValue;
use napi::sys;

use crate::environment::Environment;
use crate::error;
use crate::js::Js;
use crate::queue::Queue;
use crate::text::Text;
use crate::workspace::NativeAccessQuestion;

/// A function of the caller's, held until the last owner on any thread drops it.
#[derive(Debug)]
pub struct Callback {
    reference: Reference,
    queue: Arc<Queue>,
}

/// A reference to a JavaScript value. Used on the thread of its environment alone; others only carry it.
#[derive(Debug)]
pub struct Reference(pub sys::napi_ref);

// SAFETY: other threads only carry it, see above.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Callback {
    /// Holds a function of this environment.
    pub fn new(environment: &Environment, function: sys::napi_value) -> Arc<Self> {
        Arc::new(Self {
            reference: Reference(environment.js.retain(function)),
            queue: Arc::clone(&environment.queue),
        })
    }

    /// Queues a call of the function, from any thread.
    pub fn send(self: &Arc<Self>, payload: Payload) {
        self.queue
            .push_delivery(Delivery::Call(Arc::clone(self), payload));
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let reference = Reference(self.reference.0);
        self.queue.push_delivery(Delivery::Release(reference));
    }
}

/// Something for the JavaScript thread to do.
#[derive(Debug)]
pub enum Delivery {
    /// Call a function.
    Call(Arc<Callback>, Payload),
    /// Let a value go.
    Release(Reference),
}

/// The argument of a callback.
#[derive(Debug)]
pub enum Payload {
    /// A piece of output.
    Output(Bytes),
    /// A command that the policy refused.
    Command(String),
    /// An operation that ended.
    Record(Box<Record>),
    /// A question of access.
    Question(Box<NativeAccessQuestion>),
    /// A message.
    Text(Text),
    /// A change of a connection.
    Status(Box<StatusChange>),
    /// That it happened says all.
    Nothing,
}

/// An [`OperationRecord`] that owns what it says.
#[derive(Debug)]
pub struct Record {
    operation: &'static str,
    target: String,
    scope: String,
    root_dir: String,
    error: Option<agent_backend::error::Error>,
    output: Option<CommandOutput>,
    duration_ms: f64,
}

impl Delivery {
    /// Does it, on the JavaScript thread.
    pub fn deliver(self, js: Js) {
        match self {
            Delivery::Release(reference) => js.release(reference.0),
            Delivery::Call(callback, payload) => js.scoped(|| {
                let function = js.referenced(callback.reference.0);
                let argument = match payload {
                    Payload::Output(bytes) => js.buffer(bytes),
                    Payload::Command(command) => js.utf8(command.as_bytes()),
                    Payload::Record(record) => record.to_js(js),
                    Payload::Question(question) => question_to_js(js, *question),
                    Payload::Text(text) => text.into_js(js),
                    Payload::Status(change) => status_to_js(js, &change),
                    Payload::Nothing => js.undefined(),
                };
                js.call(function, &[argument]);
            }),
        }
    }
}

/// A question as an object; where Node makes none any more, it is refused.
fn question_to_js(js: Js, question: NativeAccessQuestion) -> sys::napi_value {
    // SAFETY: we are on the thread of the environment.
    let instance = unsafe { ToNapiValue::to_napi_value(js.0, question) };
    instance.unwrap_or(std::ptr::null_mut())
}

/// The object `NativeStatusChange` of the declarations.
fn status_to_js(js: Js, change: &StatusChange) -> sys::napi_value {
    let object = js.object();
    js.set(object, c"from", js.latin1(change.from.as_str().as_bytes()));
    js.set(object, c"to", js.latin1(change.to.as_str().as_bytes()));
    let since = change.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    #[allow(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit into a double"
    )]
    js.set(object, c"timestamp", js.number(since.as_millis() as f64));
    if let Some(failure) = &change.error {
        js.set(object, c"error", error::to_js(js, failure));
    }
    object
}

impl Record {
    fn to_js(&self, js: Js) -> sys::napi_value {
        let object = js.object();
        js.set(object, c"operation", js.latin1(self.operation.as_bytes()));
        js.set(object, c"target", js.utf8(self.target.as_bytes()));
        js.set(object, c"scope", js.utf8(self.scope.as_bytes()));
        js.set(object, c"rootDir", js.utf8(self.root_dir.as_bytes()));
        js.set(object, c"durationMs", js.number(self.duration_ms));
        if let Some(failure) = &self.error {
            js.set(object, c"error", error::to_js(js, failure));
        }
        if let Some(output) = &self.output {
            js.set(object, c"stdout", js.utf8(&output.stdout));
            js.set(object, c"stderr", js.utf8(&output.stderr));
            if let Some(code) = output.exit_code {
                js.set(object, c"exitCode", js.number(code.into()));
            }
        }
        object
    }
}

/// Passes what happens in a workspace on to JavaScript.
#[derive(Debug, Default)]
pub struct JsObserver {
    /// Told of operations.
    pub on_operation: Option<Arc<Callback>>,
    /// Leave out operations that change nothing.
    pub modifying_only: bool,
    /// Told of refused commands.
    pub on_dangerous: Option<Arc<Callback>>,
}

impl Observer for JsObserver {
    fn operation(&self, record: &OperationRecord<'_>) {
        let Some(callback) = &self.on_operation else {
            return;
        };
        if self.modifying_only && !may_change(record.operation) {
            return;
        }
        callback.send(Payload::Record(Box::new(Record {
            operation: record.operation,
            target: record.target.to_owned(),
            scope: record.scope.to_string(),
            root_dir: String::from_utf8_lossy(record.root_dir).into_owned(),
            error: record.error.cloned(),
            output: record.output.cloned(),
            duration_ms: record.duration.as_secs_f64() * 1000.0,
        })));
    }

    fn dangerous(&self, command: &str) {
        if let Some(callback) = &self.on_dangerous {
            callback.send(Payload::Command(command.to_owned()));
        }
    }
}
