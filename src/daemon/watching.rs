//! What changes while a daemon runs: the file of tokens, and both files of TLS when it is told to look.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::http::Open;
use crate::pool;

/// How often the file of tokens is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads tokens again whenever their file changes, for ever.
pub(super) async fn tokens(open: Arc<Open>) {
    let Some(file) = open.door().authority.file().cloned() else {
        return std::future::pending().await;
    };
    let mut seen = stamp(&file);
    loop {
        sleep(LOOK_EVERY).await;
        let now = stamp(&file);
        if now != seen {
            seen = now;
            reload_tokens(&open).await;
        }
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
    if open.door().authority.file().is_none() {
        return;
    }
    let reloading = Arc::clone(open);
    match pool::run(move || reloading.door().authority.reload()).await {
        Ok(revoked) => tracing::info!(revoked, "the tokens were read again"),
        Err(error) => tracing::error!(%error, "the tokens stay as they are"),
    }
}

/// What tells one state of a file from another.
fn stamp(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime() * 1_000_000_000 + found.mtime_nsec(),
        found.ctime() * 1_000_000_000 + found.ctime_nsec(),
    ))
}
