//! Calls that are in flight, by the ids that their callers gave them: so that another request of the same caller can
//! cancel one, and nobody else's can.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::Workspace;
use super::held::{CallInFlight, Held, Owner};
use crate::error::Result;

/// How many calls of one principal may be in flight at a time in one scope.
pub const MAX_IN_FLIGHT: usize = 1_024;

/// Says that a call is in flight, until it is dropped.
#[derive(Debug)]
#[must_use = "the call counts as ended when this is dropped"]
pub struct InFlight {
    held: Arc<Held>,
    owner: Arc<Owner>,
    id: Box<str>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.held.finish(&self.owner, &self.id, Instant::now());
    }
}

impl Workspace {
    /// Makes a call known under its id, so that [`Workspace::cancel_call`] of the same principal in the same scope, and
    /// [`Workspace::destroy`] of this workspace or one above it, cancel its token.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` for an id that is in flight, `LIMIT_EXCEEDED` beyond [`MAX_IN_FLIGHT`], `DESTROYED`.
    pub fn begin_call(&self, id: &str, cancel: CancellationToken) -> Result<InFlight> {
        let (held, owner) = (&self.inner.held, &self.inner.owner);
        let call = CallInFlight {
            cancel,
            ended: self.inner.ended.clone(),
        };
        held.begin(owner, id, call, Instant::now())?;
        Ok(InFlight {
            held: Arc::clone(held),
            owner: Arc::clone(owner),
            id: id.into(),
        })
    }

    /// Cancels the call with this id, if the same principal has it in flight in the same scope; gives whether.
    pub fn cancel_call(&self, id: &str) -> bool {
        (self.inner.held).cancel(&self.inner.owner, id, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory::{MemoryBackend, MemoryOptions};
    use crate::error::ErrorCode;
    use crate::workspace::{ScopeOptions, WorkspaceOptions};

    fn root() -> Workspace {
        Workspace::new(
            MemoryBackend::new(MemoryOptions::default()).unwrap(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        )
    }

    fn scope(parent: &Workspace, path: &str, principal: Option<&str>) -> Workspace {
        let options = ScopeOptions {
            principal: principal.map(Arc::from),
            ..ScopeOptions::default()
        };
        parent.scope(path, options).unwrap()
    }

    fn begin(workspace: &Workspace, id: &str) -> (InFlight, CancellationToken) {
        let token = CancellationToken::new();
        let call = workspace.begin_call(id, token.clone()).unwrap();
        (call, token)
    }

    #[test]
    fn a_call_is_cancelled_by_its_own_principal_in_its_own_scope_only() {
        let root = root();
        let (call, token) = begin(&scope(&root, "a/b", Some("one")), "7");
        for other in [
            root.clone(),
            scope(&root, "a/b", None),
            scope(&root, "a/b", Some("two")),
            scope(&root, "a", Some("one")),
            scope(&root, "a/c", Some("one")),
            scope(&root, "a/b/c", Some("one")),
        ] {
            assert!(!other.cancel_call("7"));
        }
        let same = scope(&scope(&root, "a", Some("one")), "b", None);
        assert!(!same.cancel_call("8"));
        assert!(!token.is_cancelled());
        assert!(same.cancel_call("7"));
        assert!(token.is_cancelled());
        drop(call);
        assert!(!same.cancel_call("7"));
    }

    #[test]
    fn a_principal_holds_for_the_scopes_below_until_another_is_named() {
        let root = root();
        assert_eq!(root.principal(), "");
        let one = scope(&root, "a", Some("one"));
        assert_eq!(scope(&one, "b", None).principal(), "one");
        assert_eq!(scope(&one, "b", Some("two")).principal(), "two");
        assert_eq!(scope(&one, "b", Some("")).principal(), "");
    }

    #[test]
    fn an_id_is_in_flight_once_and_free_again_afterwards() {
        let root = root();
        let (call, token) = begin(&root, "7");
        let again = root.begin_call("7", CancellationToken::new()).unwrap_err();
        assert_eq!(again.code(), ErrorCode::AlreadyExists);
        // Elsewhere it is another call.
        let elsewhere = begin(&scope(&root, "a", None), "7");
        let somebody = begin(&scope(&root, ".", Some("one")), "7");
        drop(call);
        let _later = begin(&root, "7");
        assert!(!token.is_cancelled() && !elsewhere.1.is_cancelled() && !somebody.1.is_cancelled());
    }

    #[test]
    fn only_so_many_calls_are_in_flight_at_a_time() {
        let root = root();
        let mut calls: Vec<_> = (0..MAX_IN_FLIGHT)
            .map(|number| begin(&root, &number.to_string()))
            .collect();
        let more = root.begin_call("more", CancellationToken::new());
        assert_eq!(more.unwrap_err().code(), ErrorCode::LimitExceeded);
        let _other = begin(&scope(&root, ".", Some("one")), "more");
        calls.pop();
        let _more = begin(&root, "more");
    }

    #[test]
    fn destroy_cancels_the_calls_of_the_workspace_and_of_those_below_it() {
        let root = root();
        let (one, two) = (scope(&root, "a", None), scope(&root, "a", None));
        let below = scope(&one, "b", Some("one"));
        let calls = [&root, &one, &two, &below]
            .map(|workspace| begin(workspace, &format!("{:p}", workspace)));
        let cancelled = || calls.each_ref().map(|(_, token)| token.is_cancelled());
        drop(one.destroy());
        assert_eq!(cancelled(), [false, true, false, true]);
        let late = below.begin_call("late", CancellationToken::new());
        assert_eq!(late.unwrap_err().code(), ErrorCode::Destroyed);
        drop(root.destroy());
        assert_eq!(cancelled(), [true; 4]);
    }
}
