//! What ends a call before its command ends: its time limit, its caller, and the end of its workspace.

use std::time::{Duration, Instant};

use super::Workspace;
use super::commands::RunOptions;
use super::outcome::Interruption;
use crate::error::Result;

impl Workspace {
    /// Waits for something unless the call must end before.
    pub(super) async fn unless_interrupted<T>(
        &self,
        options: &RunOptions,
        deadline: Option<tokio::time::Instant>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            // A workspace that ended must not start anything, also where both are ready.
            biased;
            interruption = self.interruption(options, deadline) => Err(interruption.into()),
            done = work => done,
        }
    }

    pub(super) fn time_left(
        &self,
        options: &RunOptions,
        started: Instant,
    ) -> Option<tokio::time::Instant> {
        let limit = options
            .timeout_ms
            .or(self.inner.options.command_timeout_ms)?;
        (limit > 0).then(|| tokio::time::Instant::from_std(started) + Duration::from_millis(limit))
    }

    /// Resolves when the call must end before the command does.
    pub(super) async fn interruption(
        &self,
        options: &RunOptions,
        deadline: Option<tokio::time::Instant>,
    ) -> Interruption {
        let passed = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.inner.ended.cancelled() => Interruption::Destroyed,
            () = options.cancel.cancelled() => Interruption::Aborted,
            () = passed => Interruption::TimedOut(options.timeout_ms.or(self.inner.options.command_timeout_ms).unwrap_or_default()),
        }
    }
}
