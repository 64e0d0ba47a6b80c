//! What changes while a daemon runs: the file of tokens, and both files of TLS when it is told to look.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::http::Open;
use crate::pool;
use crate::sys::linux::trusted_file;

/// How often the file of tokens is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads tokens again whenever their file changes, for ever.
pub(super) async fn tokens(open: Arc<Open>) {
    let Some(file) = open.door().authority.file().cloned() else {
        return std::future::pending().await;
    };
    let mut seen = trusted_file::stamp(&file);
    loop {
        sleep(LOOK_EVERY).await;
        let now = trusted_file::stamp(&file);
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
