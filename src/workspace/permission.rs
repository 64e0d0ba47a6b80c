//! The access policy at the front: what the rules say of a path as the caller wrote it, and the question to the
//! application. What the path turns out to lead to is judged by the backend, by the guard that it is given here.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Workspace, destroyed};
use crate::access::{Access, AccessPolicy, AccessRequest, Approved, Decision, Guard as _};
use crate::backend::Backend;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// What a call wants to do.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) operation: &'static str,
    pub(super) access: Access,
    /// What else it takes.
    pub(super) also: Option<Access>,
    /// The verbs by which the application is asked, one after another; none: by the operation's own.
    pub(super) asked_as: &'static [&'static str],
    /// Whether it follows a link at the end of its path.
    pub(super) follows: bool,
    /// For a rename: the new name, which is never followed.
    pub(super) to: Option<RelPath>,
    /// For a command: the text.
    pub(super) command: Option<String>,
    /// Cancelled when the caller does not want it any more.
    pub(super) cancel: Option<CancellationToken>,
}

impl Question {
    /// About a path, with what a link at its end leads to.
    pub(super) fn followed(operation: &'static str, access: Access) -> Self {
        Self {
            operation,
            access,
            also: None,
            asked_as: &[],
            follows: true,
            to: None,
            command: None,
            cancel: None,
        }
    }

    /// About a name, whatever is under it.
    pub(super) fn named(operation: &'static str, access: Access) -> Self {
        Self {
            follows: false,
            ..Self::followed(operation, access)
        }
    }
}

/// As little as telling what is there takes; the backend knows whether it is a directory.
pub(super) const LOOK: Access = Access::Stat { directory: true };

impl Workspace {
    /// Does something to a path where it may be done; `act` is given the refusal where not.
    pub(super) fn permitted<T: Send + 'static>(
        &self,
        question: Question,
        path: Result<RelPath>,
        act: impl FnOnce(&Arc<dyn Backend>, Result<RelPath>) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        let backend = &self.inner.backend;
        // No business of `act`: who lacks a right learns nothing else.
        if let Err(refused) = self.check_rights(&question) {
            return Call::err(refused);
        }
        let (Some(policy), Ok(path)) = (&self.inner.options.access, &path) else {
            return act(backend, path);
        };
        if let Err(refused) = self.check_rules(policy, &question, path) {
            return act(backend, Err(refused));
        }
        if policy.hook.is_none() {
            return act(backend, Ok(path.clone()));
        }
        let (workspace, path) = (self.clone(), path.clone());
        Call::spawned(async move {
            match workspace.approved(question, &path).await {
                Ok(backend) => act(&backend, Ok(path)).await,
                Err(refused) => act(&workspace.inner.backend, Err(refused)).await,
            }
        })
    }

    /// What rights and rules say, where nobody has to be asked.
    pub(super) fn check_now(&self, question: &Question, path: &RelPath) -> Result<()> {
        self.check_rights(question)?;
        match &self.inner.options.access {
            Some(policy) => self.check_rules(policy, question, path),
            None => Ok(()),
        }
    }

    pub(super) fn check_rights(&self, question: &Question) -> Result<()> {
        let rights = self.rights();
        rights.check(question.access)?;
        question.also.map_or(Ok(()), |also| rights.check(also))
    }

    /// Whether commands may be run at all; and what the rules say of this one's directory, and of the scope that holds
    /// it.
    pub(super) fn check_start(&self, cwd: &RelPath) -> Result<()> {
        self.rights().check(Access::Exec)?;
        let Some(policy) = &self.inner.options.access else {
            return Ok(());
        };
        let scope = self.scope_path();
        policy.rules.check(scope, Access::Exec)?;
        policy.rules.check(&scope.join(cwd), Access::Exec)
    }

    /// What [`Workspace::real_path`] may tell.
    pub(super) fn check_look(&self, path: &RelPath) -> Result<()> {
        self.check_held(path, LOOK)
    }

    /// Whether what was found under a path before may still be used so.
    pub(super) fn check_held(&self, path: &RelPath, access: Access) -> Result<()> {
        if self.is_destroyed() || self.inner.ended.is_cancelled() {
            return Err(destroyed());
        }
        self.rights().check(access)?;
        match &self.inner.options.access {
            Some(policy) => policy.rules.check(&self.scope_path().join(path), access),
            None => Ok(()),
        }
    }

    /// Whether starting a command has to wait for an answer.
    pub(super) fn asks(&self) -> bool {
        (self.inner.options.access.as_ref()).is_some_and(|policy| policy.hook.is_some())
    }

    fn check_rules(
        &self,
        policy: &AccessPolicy,
        question: &Question,
        path: &RelPath,
    ) -> Result<()> {
        let scope = self.scope_path();
        policy.rules.check(&scope.join(path), question.access)?;
        if let Some(also) = question.also {
            policy.rules.check(&scope.join(path), also)?;
        }
        match &question.to {
            Some(to) => (policy.rules)
                .check(&scope.join(to), question.access)
                .map_err(|error| error.at(to.to_string_lossy())),
            None => Ok(()),
        }
    }

    /// Asks the application, and gives the backend that does what it approved and nothing else.
    pub(super) async fn approved(
        &self,
        question: Question,
        path: &RelPath,
    ) -> Result<Arc<dyn Backend>> {
        let backend = &self.inner.backend;
        let Some((policy, hook)) = (self.inner.options.access.as_ref())
            .and_then(|policy| Some((policy, Arc::clone(policy.hook.as_ref()?))))
        else {
            return Ok(Arc::clone(backend));
        };
        let place = self.place(path, question.follows).await?;
        let to = match &question.to {
            Some(to) => Some(self.place(to, false).await?),
            None => None,
        };
        let places: Vec<RelPath> = [Some(place.clone()), to.clone()]
            .into_iter()
            .flatten()
            .collect();
        // Links may have led elsewhere than the text says.
        for place in &places {
            policy.rules.check(place, question.access)?;
        }
        let request = AccessRequest {
            operation: question.operation,
            path: place,
            to,
            command: question.command,
            scope: self.scope_path().clone(),
            principal: self.principal().to_owned(),
        };
        let verbs = match question.asked_as {
            [] => &[question.operation],
            verbs => verbs,
        };
        for &operation in verbs {
            let request = AccessRequest {
                operation,
                ..request.clone()
            };
            let hook = Arc::clone(&hook);
            // In a task of its own, so that what panics in it is a refusal like any other.
            let answer = Call::spawned(async move { Ok(hook.ask(request).await) });
            let decision = self.answer(policy, answer, question.cancel.as_ref());
            if let Decision::Deny(reason) = decision.await? {
                return Err(refused(reason.as_deref()));
            }
        }
        if self.is_destroyed() {
            // Whoever had to wait may find that the workspace is gone.
            return Err(destroyed());
        }
        let approved = Approved::new(Arc::clone(&policy.rules), places);
        Ok(backend.guarded(Arc::new(approved)))
    }

    /// Waits for an answer, no longer than the caller, the workspace and the time limit want.
    async fn answer(
        &self,
        policy: &AccessPolicy,
        answer: Call<Decision>,
        cancel: Option<&CancellationToken>,
    ) -> Result<Decision> {
        let gave_up = async {
            match cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.inner.ended.cancelled() => Err(destroyed()),
            () = gave_up => Err(Error::new(
                ErrorCode::Aborted,
                "the caller gave up before the access policy had an answer",
            )),
            decision = answer => Ok(decision.unwrap_or_else(|_| Decision::Deny(Some("the hook failed".to_owned())))),
            () = tokio::time::sleep(policy.hook_timeout) => Ok(Decision::Deny(Some(format!(
                "nobody answered within {} ms",
                policy.hook_timeout.as_millis()
            )))),
        }
    }

    /// Where a path leads, below the root workspace; of what is not there, where it would be.
    async fn place(&self, path: &RelPath, follows: bool) -> Result<RelPath> {
        let backend = &self.inner.backend;
        let below = match (follows, path.split_last()) {
            (false, Some((parent, name))) => backend.real_path(&parent).await?.child(name),
            _ => backend.real_path(path).await?,
        };
        Ok(self.scope_path().join(&below))
    }
}

fn refused(reason: Option<&str>) -> Error {
    let message = match reason {
        Some(reason) if !reason.is_empty() => {
            format!("the access policy's hook refused it: {reason}")
        }
        _ => "the access policy's hook refused it".to_owned(),
    };
    Error::new(ErrorCode::PolicyDenied, message)
}
