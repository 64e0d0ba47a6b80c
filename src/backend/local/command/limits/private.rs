//! The bound on what a scope keeps outside its workspace: its private `/tmp` and its caches, which commands fill as they
//! like. Every command has this bound, so it must cost the short ones nothing: only what runs for a while is looked at,
//! and what the short ones leave is measured after them, now and then.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::Launcher;
use super::super::private::ScopeKey;
use super::super::running::Running;
use crate::backend::local::quota::counted;
use crate::error::{Error, ErrorCode};
use crate::pool;
use crate::sys::linux::spawn_tree;
use crate::sys::linux::usage::{self, Bounds};

/// When a command is looked at first, where the scope has room; where it has none, and how often at most from then on.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(50);
const LEAST_BETWEEN: Duration = Duration::from_millis(250);

/// Of the time, no more than one part in so many is spent on measuring.
const SHARE: u32 = 10;

/// Scopes of which something is remembered.
const MAX_REMEMBERED: usize = 4_096;

/// What is remembered of the scopes of a root.
#[derive(Debug, Default)]
pub(in super::super) struct PrivateBounds {
    accounts: Mutex<HashMap<ScopeKey, Account>>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    used: u64,
    /// Not measured again before, except for a command that runs.
    next: Instant,
}

impl PrivateBounds {
    fn accounts(&self) -> MutexGuard<'_, HashMap<ScopeKey, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, scope: &ScopeKey) -> Option<Account> {
        self.accounts().get(scope).copied()
    }

    fn remember(&self, scope: &ScopeKey, used: u64, took: Duration) {
        let pause = (took * SHARE).max(FIRST_LOOK);
        let account = Account {
            used,
            next: Instant::now() + pause,
        };
        let mut accounts = self.accounts();
        if accounts.len() >= MAX_REMEMBERED {
            accounts.clear();
        }
        accounts.insert(scope.clone(), account);
    }
}

/// The watch over one command.
struct Look {
    launcher: Arc<Launcher>,
    scope: ScopeKey,
    max_bytes: u64,
}

/// Looks on while a command runs, and once after it where that is due.
pub(in super::super) async fn look_on(
    launcher: Arc<Launcher>,
    scope: ScopeKey,
    running: Arc<Running>,
) {
    let Some(max_bytes) = launcher.options.tmp_bytes else {
        return;
    };
    let known = launcher.limiter.private.account(&scope);
    let look = Arc::new(Look {
        launcher,
        scope,
        max_bytes,
    });
    // What is remembered may be from before the last command ended: it says when to look, not what to compare with.
    let mut least: Option<u64> = None;
    let mut pause = match known {
        Some(account) if account.used > max_bytes => SOON,
        _ => FIRST_LOOK,
    };
    loop {
        tokio::select! {
            biased;
            () = running.ended().cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        let (this, root) = (Arc::clone(&look), running.root());
        let begun = Instant::now();
        let measured = pool::runtime().spawn_blocking(move || {
            let members = root.map(spawn_tree::members).unwrap_or_default();
            this.measure(&members)
        });
        let Ok(Some(used)) = measured.await else {
            pause = FIRST_LOOK;
            continue;
        };
        // As in a workspace: what is too large already may be made smaller.
        let before = least.map_or(used, |least| least.min(used));
        if used > max_bytes && used > before {
            running.end_for(look.exceeded());
            break;
        }
        least = Some(before);
        pause = (begun.elapsed() * SHARE).max(LEAST_BETWEEN);
    }
    let account = look.launcher.limiter.private.account(&look.scope);
    if account.is_none_or(|account| Instant::now() >= account.next) {
        pool::detach(move || {
            look.measure(&[]);
        });
    }
}

impl Look {
    /// What the directories take, and what the processes hold of their file system without a name. Blocks.
    fn measure(&self, members: &[i32]) -> Option<u64> {
        let begun = Instant::now();
        let directories: Vec<OwnedFd> = self.launcher.store().ok()?.existing(&self.scope);
        let mut used = 0_u64;
        for directory in &directories {
            let found = usage::tree(directory, &Bounds::default()).ok()?;
            used = used.saturating_add(counted(found));
        }
        let bounds = &self.launcher.limiter.private;
        bounds.remember(&self.scope, used, begun.elapsed());
        let unnamed = directories
            .first()
            .map(|directory| usage::unlinked(directory.as_fd(), members).bytes);
        Some(used.saturating_add(unnamed.unwrap_or_default()))
    }

    fn exceeded(&self) -> Error {
        Error::new(
            ErrorCode::QuotaExceeded,
            format!(
                "`/tmp` and the caches of this scope may take {} bytes of the disk (`tmpBytes`); remove files there, or raise it",
                self.max_bytes
            ),
        )
    }
}
