//! Searching over plain SFTP: what is to be looked through is fetched, and the search itself is the one of values in
//! memory. Slow for large trees, and bounded: what does not fit is left out, and the result says so.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::Inner;
use super::files::not_found;
use super::places::stat_of;
use crate::backend::remote::progress::Progress;
use crate::backend::search::{Query, SearchOutcome, SearchRequest};
use crate::backend::{FileKind, ReadOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::pool;
use crate::search::{Excludes, FileGlobs, IGNORE_FILE_NAMES, SearchEntry, search_entries};
use crate::wire::sftp::FileAttributes;

/// Directories or files that are fetched at once.
const AT_ONCE: usize = 16;
/// Bytes of files that are held for a search of content.
const MAX_CONTENT: u64 = 256 << 20;

/// What has been fetched, and how much may still be.
struct Fetched {
    entries: Vec<SearchEntry>,
    /// Something was left out.
    cut: bool,
    deadline: Option<Instant>,
    content_left: u64,
}

impl Fetched {
    fn is_over(&mut self, request: &SearchRequest) -> Result<bool> {
        if request.cancel.is_cancelled() {
            return Err(Error::new(ErrorCode::Aborted, "the search was cancelled"));
        }
        let over = self.entries.len() > request.limits.max_entries
            || self.deadline.is_some_and(|end| Instant::now() >= end);
        self.cut |= over;
        Ok(over)
    }
}

/// Which names are worth entering or fetching; what it lets through, the search judges again.
struct Filter {
    excludes: Excludes,
    globs: Option<FileGlobs>,
    max_depth: usize,
}

impl Filter {
    fn new(request: &SearchRequest) -> Result<Self> {
        let (globs, max_depth) = match &request.query {
            Query::Grep(grep) => (Some(FileGlobs::new(&grep.globs)?), usize::MAX),
            Query::Tree { max_depth } => (None, max_depth.unwrap_or(usize::MAX)),
            Query::Glob { .. } => (None, usize::MAX),
        };
        Ok(Self {
            excludes: Excludes::new(&request.exclude)?,
            globs,
            max_depth,
        })
    }

    fn admits(&self, request: &SearchRequest, below: &[u8], name: &[u8], directory: bool) -> bool {
        let is_ignore_file = request.respect_gitignore && IGNORE_FILE_NAMES.contains(&name);
        let hidden = !request.hidden && name.first() == Some(&b'.');
        is_ignore_file
            || !(hidden
                || self.excludes.is_match(below, directory)
                || (request.respect_gitignore && name == b".git"))
    }

    fn reads(&self, request: &SearchRequest, below: &[u8], name: &[u8]) -> bool {
        (request.respect_gitignore && IGNORE_FILE_NAMES.contains(&name))
            || self
                .globs
                .as_ref()
                .is_some_and(|globs| !globs.leaves_out(below, false))
    }
}

fn entry(path: RelPath, attributes: &FileAttributes) -> SearchEntry {
    let stat = stat_of(attributes);
    SearchEntry {
        path,
        kind: stat.kind,
        size: stat.size,
        mtime_ns: stat.mtime_ns,
        bytes: Bytes::new(),
    }
}

impl Inner {
    pub(super) async fn search(
        &self,
        scope: &RelPath,
        request: SearchRequest,
    ) -> Result<SearchOutcome> {
        let filter = Filter::new(&request)?;
        let base = self.place(scope, &request.base, true).await?;
        let found = self.look(&base).await?.ok_or_else(not_found)?;
        let mut fetched = Fetched {
            entries: vec![entry(request.base.clone(), &found)],
            cut: false,
            deadline: Instant::now().checked_add(Duration::from_millis(request.limits.timeout_ms)),
            content_left: MAX_CONTENT,
        };
        if found.kind() == Some(FileKind::Directory) {
            self.fetch_tree(base, &request, &filter, &mut fetched)
                .await?;
        }
        if request.respect_gitignore {
            self.fetch_rules_above(scope, &request.base, &mut fetched)
                .await;
        }
        self.fetch_content(scope, &request, &filter, &mut fetched)
            .await?;
        let Fetched { entries, cut, .. } = fetched;
        let mut outcome = pool::run(move || search_entries(entries, &request)).await?;
        outcome.truncated |= cut;
        Ok(outcome)
    }

    /// All entries below a directory, links as links.
    async fn fetch_tree(
        &self,
        base: Vec<u8>,
        request: &SearchRequest,
        filter: &Filter,
        fetched: &mut Fetched,
    ) -> Result<()> {
        let mut waiting = VecDeque::from([(RelPath::root(), 1_usize)]);
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((below, depth)) = waiting.pop_front()
            {
                let place = below.beneath(&base);
                running.push(async move { (below, depth, self.entries(&place).await) });
            }
            let Some((below, depth, listed)) = running.next().await else {
                return Ok(());
            };
            if fetched.is_over(request)? {
                return Ok(());
            }
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) if error.code() == ErrorCode::ConnectionClosed => return Err(error),
                // Gone meanwhile, or not to be read: as for a local search, the rest is found.
                Err(_) => continue,
            };
            for child in listed {
                let path = below.child(&child.name);
                let directory = child.attributes.kind() == Some(FileKind::Directory);
                if !filter.admits(request, path.as_bytes(), &child.name, directory) {
                    continue;
                }
                if directory && depth < filter.max_depth {
                    waiting.push_back((path.clone(), depth + 1));
                }
                let from_root = request.base.join(&path);
                fetched.entries.push(entry(from_root, &child.attributes));
            }
        }
    }

    /// The ignore files of the directories above the base.
    async fn fetch_rules_above(&self, scope: &RelPath, base: &RelPath, fetched: &mut Fetched) {
        let mut at = base.clone();
        while let Some((parent, _)) = at.split_last() {
            for name in IGNORE_FILE_NAMES {
                let path = parent.child(name);
                if let Ok(place) = self.place(scope, &path, false).await
                    && let Ok(Some(found)) = self.look(&place).await
                {
                    fetched.entries.push(entry(path, &found));
                }
            }
            at = parent;
        }
    }

    /// The content of the files that are to be searched, and of ignore files.
    async fn fetch_content(
        &self,
        scope: &RelPath,
        request: &SearchRequest,
        filter: &Filter,
        fetched: &mut Fetched,
    ) -> Result<()> {
        let mut wanted = VecDeque::new();
        for (at, entry) in fetched.entries.iter().enumerate() {
            let below = super::places::below(&entry.path, &request.base).unwrap_or_default();
            let name = entry.path.split_last().map_or(&b""[..], |(_, name)| name);
            let is_base = entry.path == request.base && matches!(request.query, Query::Grep(_));
            if entry.kind == FileKind::File
                && (is_base || filter.reads(request, below.as_bytes(), name))
                && entry.size <= request.limits.max_file_bytes
            {
                wanted.push_back((at, entry.path.clone(), entry.size));
            }
        }
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_ONCE
                && let Some((at, path, size)) = wanted.pop_front()
            {
                if size > fetched.content_left {
                    fetched.cut = true;
                    continue;
                }
                fetched.content_left -= size;
                let options = ReadOptions {
                    range: None,
                    // It may have grown since it was listed, within reason.
                    max_bytes: Some(size.saturating_mul(2).max(64 << 10)),
                };
                running.push(async move {
                    let unheard = Progress::default();
                    (at, self.read(scope, &path, options, &unheard).await)
                });
            }
            let Some((at, read)) = running.next().await else {
                return Ok(());
            };
            match read {
                Ok(outcome) => fetched.entries[at].bytes = outcome.bytes,
                Err(error) if error.code() == ErrorCode::ConnectionClosed => return Err(error),
                Err(_) => {}
            }
            if fetched.is_over(request)? {
                return Ok(());
            }
        }
    }
}
