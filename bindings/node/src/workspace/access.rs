//! The access policy: rules from JavaScript, and the question to it.
//!
//! A question is an object that is answered once. Whoever forgets it, and an environment that ends with it unanswered,
//! has refused: there is no table of open questions that could keep one.

use std::sync::Arc;
use std::time::Duration;

use agent_backend::access::{
    AccessHook, AccessPolicy, AccessRequest, AccessRule, Allow, Decision, HOOK_TIMEOUT,
};
use agent_backend::call::BoxFuture;
use agent_backend::error::{Error, ErrorCode, Result};
use napi_derive::napi;
use tokio::sync::oneshot;

use super::life::whole;
use crate::arguments::Arguments;
use crate::delivery::{Callback, Payload};

/// A rule of the access policy.
#[napi(object, object_to_js = false)]
#[derive(Debug)]
pub struct NativeAccessRule {
    /// Which paths, relative to the root.
    pub pattern: String,
    /// `none`, `read` or `write`.
    pub allow: String,
    /// Whether commands may begin there. Default: true.
    pub exec: Option<bool>,
}

/// What somebody wants to do. Paths are relative to the root, with links followed.
#[napi(object)]
#[derive(Debug)]
pub struct NativeAccessRequest {
    /// The verb.
    pub operation: String,
    /// What it is about; for commands their working directory.
    pub path: String,
    /// For `rename`: the new name.
    pub to: Option<String>,
    /// For commands: the text.
    pub command: Option<String>,
    /// The scope that asks; the root is empty.
    pub scope: String,
}

/// A question about one operation, to be answered once. Collected without an answer, it has refused.
#[napi]
#[derive(Debug)]
pub struct NativeAccessQuestion {
    request: AccessRequest,
    answer: Option<oneshot::Sender<Decision>>,
}

#[napi]
impl NativeAccessQuestion {
    /// What it is about.
    #[napi]
    pub fn request(&self) -> NativeAccessRequest {
        let asked = &self.request;
        NativeAccessRequest {
            operation: asked.operation.to_owned(),
            path: asked.path.to_string(),
            to: asked.to.as_ref().map(ToString::to_string),
            command: asked.command.clone(),
            scope: asked.scope.to_string(),
        }
    }

    /// Answers; a second answer does nothing, nor does one that comes too late. The reason is told to who asked.
    #[napi]
    pub fn answer(&mut self, allow: bool, reason: Option<String>) {
        if let Some(answer) = self.answer.take() {
            // Nobody may be waiting any more.
            let _ = answer.send(match allow {
                true => Decision::Allow,
                false => Decision::Deny(reason),
            });
        }
    }
}

/// Asks JavaScript.
#[derive(Debug)]
struct JsHook(Arc<Callback>);

impl AccessHook for JsHook {
    fn ask(&self, request: AccessRequest) -> BoxFuture<Decision> {
        let (answer, decision) = oneshot::channel();
        self.0
            .send(Payload::Question(Box::new(NativeAccessQuestion {
                request,
                answer: Some(answer),
            })));
        Box::pin(async move {
            let forgotten = || Decision::Deny(Some("the question was not answered".to_owned()));
            decision.await.unwrap_or_else(|_| forgotten())
        })
    }
}

/// The policy of rules, a time limit in milliseconds, and the hook at an index of the arguments; `None` where there is
/// neither a rule nor a hook.
pub fn policy(
    arguments: &Arguments<'_>,
    rules: Option<Vec<NativeAccessRule>>,
    timeout_ms: Option<f64>,
    hook_at: usize,
) -> Result<Option<AccessPolicy>> {
    let hook = arguments.callback(hook_at);
    if rules.is_none() && hook.is_none() {
        return Ok(None);
    }
    let mut read = Vec::new();
    for (index, rule) in rules.unwrap_or_default().into_iter().enumerate() {
        let allow = Allow::from_name(&rule.allow).ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                format!("accessPolicy.rules[{index}].allow: it must be none, read or write"),
            )
        })?;
        read.push(AccessRule {
            pattern: rule.pattern,
            allow,
            exec: rule.exec.unwrap_or(true),
        });
    }
    Ok(Some(AccessPolicy {
        hook: hook.map(|callback| Arc::new(JsHook(callback)) as Arc<dyn AccessHook>),
        hook_timeout: timeout_ms.map_or(HOOK_TIMEOUT, |limit| Duration::from_millis(whole(limit))),
        ..AccessPolicy::new(read)?
    }))
}
