//! The port of `--conventional-ssh`.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Entry, Server, Users};
use crate::error::{ErrorCode, Printable};

/// How long to wait before accepting again where it failed, which is for want of descriptors.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// How long clients have to leave once `shutdown` is cancelled; their sessions end by [`crate::daemon::session::Session::closed`].
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// Accepts clients and serves them until `shutdown` is cancelled, then waits a little for those that are still there.
pub async fn listen(
    server: Server,
    listener: TcpListener,
    users: Arc<dyn Users>,
    shutdown: CancellationToken,
) {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = clients.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                clients.spawn(client(server.clone(), stream, Arc::clone(&users)));
            }
            Err(error) => {
                tracing::warn!("an SSH client could not be accepted: {error}");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
    drop(listener);
    let leaving = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LEAVE_WITHIN, leaving).await;
    // Dropping the set cuts off whoever is left.
}

async fn client(server: Server, stream: TcpStream, users: Arc<dyn Users>) {
    // Without it small answers wait for the acknowledgement of what went before.
    let _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok();
    if let Err(error) = server.serve(stream, Entry::Users(users), peer).await {
        let text = error.to_string();
        let peer = peer.map(tracing::field::display);
        match error.code() {
            ErrorCode::LimitExceeded => {
                tracing::warn!(peer, "SSH client refused: {}", Printable(&text));
            }
            _ => tracing::debug!(peer, "{}", Printable(&text)),
        }
    }
}
