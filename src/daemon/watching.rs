//! What changes while a daemon runs: the file of tokens, and both files of TLS when it is told to look.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::http::Open;
use crate::pool;

/// How often the file of tokens is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
