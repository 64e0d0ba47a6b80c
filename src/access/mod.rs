//! Who may do what with which path: ordered rules, and a question to the application where rules are not enough.
//!
//! Rules are about names, and an agent chooses names: it plants links, moves directories, swaps one for another while a
//! call runs. So a path is judged twice, both times here: by [`crate::workspace::Workspace`] as the caller wrote it,
//! before anything is touched, and by the backend as the handle that it has opened is really called
//! ([`Guard`]), so that there is nothing between the judgement and the use. An answer of the application holds for the
//! place that it was asked about, and the backend compares ([`Approved`]).
//!
//! This module knows paths and errors alone: it opens nothing.

mod approved;
mod glob;
mod guard;
mod hook;
mod rules;

use std::sync::Arc;
use std::time::Duration;

pub use approved::Approved;
pub use guard::{Access, Guard, View};
pub use hook::{AccessHook, AccessRequest, Decision};
pub use rules::{AccessRule, Allow, MAX_RULES, Rules};

/// How long an answer may take where nobody says otherwise.
pub const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// What holds for a root and all scopes below it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessPolicy {
    /// The rules; without any, only the hook decides.
    pub rules: Arc<Rules>,
    /// Asked about each operation that the rules allow.
    pub hook: Option<Arc<dyn AccessHook>>,
    /// An answer that takes longer is a refusal. Default: [`HOOK_TIMEOUT`].
    pub hook_timeout: Duration,
}

impl AccessPolicy {
    /// A policy of rules alone.
    ///
    /// # Errors
    /// Those of [`Rules::new`].
    pub fn new(rules: Vec<AccessRule>) -> crate::error::Result<Self> {
        Ok(Self {
            rules: Arc::new(Rules::new(rules)?),
            hook: None,
            hook_timeout: HOOK_TIMEOUT,
        })
    }

    /// The same policy with somebody to ask.
    #[must_use]
    pub fn with_hook(self, hook: Arc<dyn AccessHook>) -> Self {
        Self {
            hook: Some(hook),
            ..self
        }
    }

    /// The rules as the backend keeps them; `None` where there are none to keep.
    #[must_use]
    pub fn guard(&self) -> Option<Arc<dyn Guard>> {
        (!self.rules.is_empty()).then(|| Arc::clone(&self.rules) as Arc<dyn Guard>)
    }
}

#[cfg(test)]
mod tests;
