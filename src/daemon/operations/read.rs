//! Reading a file of any size in one operation: what is small comes at once, of what is large the beginning comes with a
//! handle on the rest. However large it is, no more than a message of it is in memory here.

use super::Handles;
use crate::backend::{OpenOptions, ReadOptions};
use crate::error::Result;
use crate::path::RelPath;
use crate::wire::operations::{Answer, Handle, INLINE_BYTES};
use crate::workspace::Workspace;

pub(super) async fn read(
    workspace: &Workspace,
    path: &RelPath,
    options: ReadOptions,
    handles: &dyn Handles,
) -> Result<Answer> {
    let inline = INLINE_BYTES as u64;
    if options.max_bytes.is_some_and(|most| most <= inline) {
        return whole(workspace, path, options).await;
    }
    let asked = options.range.clone().unwrap_or(0..u64::MAX);
    let beginning = asked.start..asked.end.min(asked.start.saturating_add(inline));
    let first = ReadOptions {
        range: Some(beginning),
        max_bytes: None,
    };
    let mut outcome = workspace.read(path.as_bytes(), first).await?;
    let end = asked.end.min(outcome.stat.size);
    let wanted = end.saturating_sub(asked.start);
    if wanted <= inline {
        // A file that says that it is empty and is not, as those of the kernel do, is read as a whole.
        return match outcome.bytes.len() as u64 == inline && wanted < inline {
            true => whole(workspace, path, options).await,
            false => Ok(Answer::Read {
                outcome,
                rest: None,
            }),
        };
    }
    if options.max_bytes.is_some_and(|most| most < wanted) {
        // For its refusal.
        return whole(workspace, path, options).await;
    }
    let for_reading = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    let file = workspace.open(path.as_bytes(), for_reading).await?;
    let stat = file.stat().await?;
    if stat.etag() != outcome.stat.etag() {
        // Another one by now, or changed: the beginning must be of the file that the rest is of.
        outcome.bytes = file.read_at(asked.start, INLINE_BYTES).await?;
        outcome.stat = stat;
    }
    let is_all = asked.end.min(stat.size).saturating_sub(asked.start) <= outcome.bytes.len() as u64;
    let rest = match is_all {
        true => None,
        false => Some(Handle(handles.keep_file(file)?)),
    };
    Ok(Answer::Read { outcome, rest })
}

async fn whole(workspace: &Workspace, path: &RelPath, options: ReadOptions) -> Result<Answer> {
    let outcome = workspace.read(path.as_bytes(), options).await?;
    Ok(Answer::Read {
        outcome,
        rest: None,
    })
}
