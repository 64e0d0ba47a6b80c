//! What changes while a daemon runs: the file of tokens, both files of TLS when it is told to look, and how much memory
//! it needs, also as a server of one session.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::http::Open;
use crate::pool;
use crate::sys::linux::{allocator, code_pages, own_usage};

/// How often the file of tokens is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Of so much time...
const QUIET: Duration = Duration::from_secs(2);
/// ... so little is spent on a processor where there is nothing to do.
const IDLE: Duration = Duration::from_millis(2);
/// What a process must have grown by before it gives memory back: less is what every call needs again.
const WORTH_WHILE: u64 = 1 << 20;

/// Reads tokens again whenever their file changes, for ever.
pub(super) async fn tokens(open: Arc<Open>) {
    if !open.door().authority.credentials().have_file() {
        return std::future::pending().await;
    }
    loop {
        // At once too: it may have changed while the daemon started.
        let looking = Arc::clone(&open);
        let looked = pool::run(move || Ok(looking.door().authority.credentials().are_outdated()));
        if looked.await.unwrap_or_default() {
            reload_tokens(&open).await;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Gives memory back once it is quiet after a time in which it grew, for ever: without that, a process keeps what a
/// thousand connections needed at a time, and more of it with each such peak, since it lies in pieces.
pub(super) async fn memory() {
    let mut kept = 0;
    let mut used = own_usage::processor_time();
    loop {
        sleep(QUIET).await;
        let before = std::mem::replace(&mut used, own_usage::processor_time());
        if used.saturating_sub(before) > IDLE || own_usage::resident_bytes() < kept + WORTH_WHILE {
            continue;
        }
        let given_back = pool::run(|| {
            allocator::give_back();
            code_pages::let_go();
            Ok(())
        });
        let _ = given_back.await;
        kept = own_usage::resident_bytes();
        used = own_usage::processor_time();
    }
}

/// Reads tokens and certificates again. What is wrong is said, and changes nothing.
pub(super) async fn reload(open: &Arc<Open>) {
    reload_tokens(open).await;
    let reloading = Arc::clone(open);
    let reloaded = pool::run(move || match &reloading.door().tls {
        Some(tls) => tls.reload().map(|()| true),
        None => Ok(false),
    });
    match reloaded.await {
        Ok(true) => tracing::info!("the certificate was read again"),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "the certificate stays as it is"),
    }
}

async fn reload_tokens(open: &Arc<Open>) {
    if !open.door().authority.credentials().have_file() {
        return;
    }
    let reloading = Arc::clone(open);
    match pool::run(move || reloading.door().authority.reload()).await {
        Ok(revoked) => tracing::info!(revoked, "the tokens were read again"),
        Err(error) => tracing::error!(%error, "the tokens stay as they are"),
    }
}
