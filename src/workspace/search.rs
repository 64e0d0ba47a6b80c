//! Finding by name and by content. The backend searches where the files are; here are the defaults, and the ways a
//! search ends early: the caller's token, and the end of the workspace.

use tokio_util::sync::CancellationToken;

use super::permission::Question;
use super::tree::TreeOutcome;
use super::{Workspace, destroyed};
use crate::access::Access;
use crate::backend::search::{GrepQuery, Query, SearchLimits, SearchOutcome, SearchRequest};
use crate::call::{BoxFuture, Call};
use crate::error::{Error, ErrorCode, Result};

/// What all searches have in common.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// What to leave out, in gitignore syntax, relative to where the search starts. Default: nothing.
    pub exclude: Vec<String>,
    /// Leave out what `.gitignore` and `.ignore` files name, and `.git` itself. Default: false.
    pub respect_gitignore: bool,
    /// Also entries whose name begins with a dot. Default: true.
    pub hidden: bool,
    /// Nobody will ask for the sizes and times of found entries: they may be told as 0, which takes half the time.
    /// Default: false.
    pub names_only: bool,
    /// Bounds; see [`SearchLimits`] for their defaults. What exceeds them is left out, and the outcome says so.
    pub limits: SearchLimits,
    /// Ends the search with `ABORTED`. Default: none.
    pub cancel: Option<CancellationToken>,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            respect_gitignore: false,
            hidden: true,
            names_only: false,
            limits: SearchLimits::default(),
            cancel: None,
        }
    }
}

impl Workspace {
    /// Finds files (and with `directories`, directories) below `base` whose path matches a pattern, in path order.
    /// The pattern follows gitignore: without a slash it matches at any depth, with one from `base` on.
    ///
    /// Errors: `INVALID_CONFIGURATION` (the pattern), `NOT_FOUND`, `NOT_A_DIRECTORY` (the base), `ABORTED`.
    pub fn glob(
        &self,
        base: impl AsRef<[u8]>,
        pattern: impl Into<String>,
        directories: bool,
        options: SearchOptions,
    ) -> Call<SearchOutcome> {
        let query = Query::Glob {
            pattern: pattern.into(),
            directories,
        };
        self.search("glob", base.as_ref(), query, options)
    }

    /// Finds lines that match below `base`, or in `base` itself where it is a file, by path and line. Binary files
    /// (those with a NUL byte) and links are passed over.
    ///
    /// Errors: `INVALID_CONFIGURATION` (the pattern, with what is wrong with it), `NOT_FOUND`, `ABORTED`.
    pub fn grep(
        &self,
        base: impl AsRef<[u8]>,
        query: GrepQuery,
        options: SearchOptions,
    ) -> Call<SearchOutcome> {
        self.search("grep", base.as_ref(), Query::Grep(query), options)
    }

    /// Lists all that is below `base`, parents before children, down to `max_depth` levels (`None`: all).
    ///
    /// Errors: `NOT_FOUND`, `NOT_A_DIRECTORY` (the base), `INVALID_CONFIGURATION` (an exclude), `ABORTED`.
    pub fn tree(
        &self,
        base: impl AsRef<[u8]>,
        max_depth: Option<usize>,
        options: SearchOptions,
    ) -> Call<TreeOutcome> {
        let base = base.as_ref();
        let levels_above = self
            .parse("tree", base)
            .map_or(0, |path| path.components().count());
        self.search("tree", base, Query::Tree { max_depth }, options)
            .map(move |found| TreeOutcome::new(found, levels_above))
    }

    fn search(
        &self,
        operation: &'static str,
        base: &[u8],
        query: Query,
        options: SearchOptions,
    ) -> Call<SearchOutcome> {
        let question = Question {
            cancel: options.cancel.clone(),
            ..Question::followed(operation, Access::List)
        };
        let ended = self.inner.ended.clone();
        self.operate_asking(question, base, move |backend, base| {
            let caller = options.cancel;
            if caller.as_ref().is_some_and(CancellationToken::is_cancelled) {
                return Call::err(aborted());
            }
            let token = ended.child_token();
            let call = backend.search(SearchRequest {
                base,
                query,
                exclude: options.exclude,
                respect_gitignore: options.respect_gitignore,
                hidden: options.hidden,
                names_only: options.names_only,
                limits: options.limits,
                cancel: token.clone(),
            });
            match call {
                Call::Pending(search) => Call::pending(until_ended(search, token, caller)),
                ready @ Call::Ready(_) => ready,
            }
        })
    }
}

/// Waits for a search no longer than its caller or its workspace wants, and stops it when nobody waits any more.
async fn until_ended(
    search: BoxFuture<Result<SearchOutcome>>,
    token: CancellationToken,
    caller: Option<CancellationToken>,
) -> Result<SearchOutcome> {
    let _stop_when_dropped = token.clone().drop_guard();
    let caller_gave_up = async {
        match &caller {
            Some(caller) => caller.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = caller_gave_up => Err(aborted()),
        () = token.cancelled() => Err(destroyed()),
        outcome = search => outcome,
    }
}

fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "the caller cancelled the search")
}
