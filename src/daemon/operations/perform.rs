//! Each operation as the call of the workspace that it is.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Inner, read};
use crate::backend::search::{Query, SearchLimits, SearchOutcome, SearchRequest};
use crate::backend::{BackendKind, Content};
use crate::error::{Error, ErrorCode, Result};
use crate::wire::operations::{Answer, OfFile, Operation};
use crate::workspace::{SearchOptions, TreeOutcome, Workspace};

/// The longest that a search may take here, in milliseconds, whatever was asked for.
const LONGEST_SEARCH: u64 = 600_000;
/// The most results.
const MOST_RESULTS: usize = 1_000_000;

impl Inner {
    pub(super) async fn one(
        &self,
        workspace: &Workspace,
        operation: Operation,
        cancel: &CancellationToken,
    ) -> Result<Answer> {
        self.check_session()?;
        match operation {
            Operation::Read { path, options } => {
                read::read(workspace, &path, options, &*self.handles).await
            }
            Operation::Write {
                path,
                content,
                options,
            } => {
                let content = Content::owned(to_keep(workspace, content));
                let outcome = workspace.write(path.as_bytes(), content, options).await?;
                Ok(Answer::Written(outcome))
            }
            Operation::Stage { path, options } => {
                let stage = workspace.stage(path.as_bytes(), options).await?;
                let handle = self.handles.keep_stage(stage)?;
                Ok(Answer::Staged { handle })
            }
            Operation::Commit { handle } => {
                let stage = self.handles.take_stage(&handle)?;
                Ok(Answer::Written(stage.commit().await?))
            }
            Operation::Open { path, options } => {
                let file = workspace.open(path.as_bytes(), options).await?;
                let handle = self.handles.keep_file(file)?;
                Ok(Answer::Opened { handle })
            }
            Operation::OfFile { handle, what } => self.of_file(&handle, what).await,
            Operation::Edit {
                path,
                edits,
                options,
            } => {
                let outcome = workspace.edit(path.as_bytes(), edits, options).await?;
                Ok(Answer::Edited(Box::new(outcome)))
            }
            Operation::Search(request) => search(workspace, *request, cancel).await,
            Operation::Batch(_) => Err(Error::new(
                ErrorCode::InvalidConfiguration,
                "a batch cannot hold a batch",
            )),
            other => on_path(workspace, other).await,
        }
    }

    async fn of_file(&self, handle: &Bytes, what: OfFile) -> Result<Answer> {
        let file = self.handles.file(handle)?;
        match what {
            OfFile::Stat => return Ok(Answer::Stat(file.stat().await?)),
            OfFile::SetAttributes(attributes) => file.set_attributes(attributes).await?,
            OfFile::Sync => file.sync().await?,
        }
        Ok(Answer::Done)
    }
}

/// What neither carries content nor opens anything.
async fn on_path(workspace: &Workspace, operation: Operation) -> Result<Answer> {
    match operation {
        Operation::Stat { path, follow: true } => {
            return Ok(Answer::Stat(workspace.stat(path.as_bytes()).await?));
        }
        Operation::Stat { path, .. } => {
            return Ok(Answer::Stat(workspace.lstat(path.as_bytes()).await?));
        }
        Operation::RealPath { path } => {
            return Ok(Answer::RealPath(
                workspace.real_path(path.as_bytes()).await?,
            ));
        }
        Operation::List { path, options } => {
            return Ok(Answer::List(
                workspace.list(path.as_bytes(), options).await?,
            ));
        }
        Operation::ReadLink { path } => {
            return Ok(Answer::Link(workspace.read_link(path.as_bytes()).await?));
        }
        Operation::Space => return Ok(Answer::Space(workspace.space().await?)),
        Operation::CreateDir { path, recursive } => {
            workspace.create_dir(path.as_bytes(), recursive).await?;
        }
        Operation::Remove { path, options } => {
            workspace.remove(path.as_bytes(), options).await?;
        }
        Operation::Rename { from, to, options } => {
            let call = workspace.rename(from.as_bytes(), to.as_bytes(), options);
            call.await?;
        }
        Operation::Touch { path } => workspace.touch(path.as_bytes()).await?,
        Operation::SetAttributes {
            path,
            follow,
            attributes,
        } => {
            let call = workspace.set_attributes(path.as_bytes(), follow, attributes);
            call.await?;
        }
        Operation::Symlink { path, target } => {
            workspace.symlink(path.as_bytes(), &target).await?;
        }
        _ => {
            return Err(Error::new(
                ErrorCode::NotImplemented,
                "an operation that this version does not know",
            ));
        }
    }
    Ok(Answer::Done)
}

async fn search(
    workspace: &Workspace,
    request: SearchRequest,
    cancel: &CancellationToken,
) -> Result<Answer> {
    let most = SearchLimits::default();
    let asked = request.limits;
    let options = SearchOptions {
        exclude: request.exclude,
        respect_gitignore: request.respect_gitignore,
        hidden: request.hidden,
        names_only: request.names_only,
        // What one connection asks for, all others pay for.
        limits: SearchLimits {
            max_results: asked.max_results.min(MOST_RESULTS),
            max_entries: asked.max_entries.min(most.max_entries),
            max_result_bytes: asked.max_result_bytes.min(most.max_result_bytes),
            timeout_ms: asked.timeout_ms.min(LONGEST_SEARCH),
            ..asked
        },
        cancel: Some(cancel.clone()),
    };
    let base = request.base;
    let outcome = match request.query {
        Query::Glob {
            pattern,
            directories,
        } => {
            let call = workspace.glob(base.as_bytes(), pattern, directories, options);
            call.await?
        }
        Query::Grep(query) => workspace.grep(base.as_bytes(), query, options).await?,
        Query::Tree { max_depth } => {
            flat(workspace.tree(base.as_bytes(), max_depth, options).await?)
        }
    };
    Ok(Answer::Search(Box::new(outcome)))
}

/// The other side counts depths for itself.
fn flat(tree: TreeOutcome) -> SearchOutcome {
    SearchOutcome {
        entries: tree.entries.into_iter().map(|found| found.entry).collect(),
        lines: Vec::new(),
        truncated: tree.truncated,
    }
}

/// Content that a backend may keep for long: a map in memory would keep with each small value the whole buffer that it
/// was received in.
fn to_keep(workspace: &Workspace, content: Bytes) -> Bytes {
    match workspace.backend().kind() {
        BackendKind::Memory => Bytes::copy_from_slice(&content),
        _ => content,
    }
}
