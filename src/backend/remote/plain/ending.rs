//! Ending commands for good.

use std::sync::Arc;
use std::time::Duration;

use russh::ChannelMsg;
use tokio::time::timeout;

use super::running::Running;
use super::script;
use crate::backend::remote::ssh_client::SshSession;
use crate::error::{Error, ErrorCode, Result};

/// How long the server has to find and end everything.
const LONGEST: Duration = Duration::from_secs(10);
/// How long it may then take to tell that the command has ended.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// Ends a command and what it started, and waits until that is told.
pub(super) async fn end(running: &Arc<Running>) {
    if running.ended.is_cancelled() {
        return;
    }
    // A command is ended once, however many ask for it.
    let only = running.ending.lock().await;
    if running.ended.is_cancelled() {
        return;
    }
    let asked = timeout(LONGEST, ask(&running.main, running.process)).await;
    let failure = match asked {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.message().to_owned()),
        Err(_) => Some("the server does not answer".to_owned()),
    };
    if timeout(TOLD_WITHIN, running.ended.cancelled())
        .await
        .is_err()
    {
        let why = failure.unwrap_or_else(|| "something of it goes on".to_owned());
        running.give_up(Error::new(
            ErrorCode::ExecError,
            format!("the command could not be ended on the server: {why}"),
        ));
    }
    drop(only);
}

async fn ask(main: &SshSession, process: u32) -> Result<()> {
    let mut channel = main.channel().await?;
    let broken = |error: russh::Error| {
        Error::new(ErrorCode::ConnectionClosed, "the connection is gone").with_source(error)
    };
    channel
        .exec(true, script::end(process))
        .await
        .map_err(broken)?;
    let _ = channel.eof().await;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Failure => {
                return Err(Error::new(
                    ErrorCode::ExecError,
                    "the server runs no further command",
                ));
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    Ok(())
}
