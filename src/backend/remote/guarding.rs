//! Where the access policy is asked: by the path that the other side says a path really is. Between its answer and the
//! operation somebody there may change what leads where, so that this is no wall against them; the daemon's own rules
//! are.

use super::backend::RemoteBackend;
use crate::access::{Access, Guard, View};
use crate::backend::search::{Query, SearchLimits, SearchOutcome, SearchRequest};
use crate::backend::{Backend as _, DirEntry, FileKind, ListOptions};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// Where a path leads, below the root workspace; with `follow` unset a final link is not followed.
async fn place(backend: &RemoteBackend, path: &RelPath, follow: bool) -> Result<RelPath> {
    let below = match (follow, path.split_last()) {
        (false, Some((parent, name))) => backend.real_path(&parent).await?.child(name),
        _ => backend.real_path(path).await?,
    };
    Ok(backend.scope.join(&below))
}

/// Whether something may be done with a path, and the directories made that this takes.
pub(super) async fn check(
    backend: &RemoteBackend,
    path: &RelPath,
    access: Access,
    follow: bool,
) -> Result<()> {
    let Some(guard) = &backend.guard else {
        return Ok(());
    };
    let place = place(backend, path, follow).await?;
    guard.check(&place, access)?;
    if access == Access::Write {
        check_missing(backend, &**guard, &place).await?;
    }
    Ok(())
}

/// Directories on the way that may not be made must be there already.
async fn check_missing(backend: &RemoteBackend, guard: &dyn Guard, place: &RelPath) -> Result<()> {
    let parent = |path: &RelPath| path.split_last().map(|(parent, _)| parent);
    let mut above = parent(place);
    while let Some(directory) = above {
        if !directory.starts_with(&backend.scope) || directory == backend.scope {
            break;
        }
        if let Err(refused) = guard.check(&directory, Access::Pass) {
            let below = below_scope(backend, &directory)?;
            let mut unguarded = backend.clone();
            unguarded.guard = None;
            match unguarded.stat(&below, false).await {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == ErrorCode::NotFound => return Err(refused),
                Err(error) => return Err(error),
            }
        }
        above = parent(&directory);
    }
    Ok(())
}

/// A place as the backend calls it.
fn below_scope(backend: &RemoteBackend, place: &RelPath) -> Result<RelPath> {
    let root = backend.scope.beneath(b"/");
    RelPath::parse(&place.beneath(b"/"), &root)
}

pub(super) async fn check_removal(
    backend: &RemoteBackend,
    path: &RelPath,
    recursive: bool,
) -> Result<()> {
    check(backend, path, Access::Write, false).await?;
    match recursive {
        true => check_below(backend, path, None).await,
        false => Ok(()),
    }
}

pub(super) async fn check_rename(
    backend: &RemoteBackend,
    from: &RelPath,
    to: &RelPath,
) -> Result<()> {
    check(backend, from, Access::Write, false).await?;
    check(backend, to, Access::Write, false).await?;
    check_below(backend, from, Some(to)).await
}

/// Whether what is below a path may be taken away, and come below another.
async fn check_below(backend: &RemoteBackend, path: &RelPath, to: Option<&RelPath>) -> Result<()> {
    let Some(guard) = &backend.guard else {
        return Ok(());
    };
    let from = place(backend, path, false).await?;
    let to = match to {
        Some(to) => Some(place(backend, to, false).await?),
        None => None,
    };
    let names: Vec<&RelPath> = std::iter::once(&from).chain(&to).collect();
    if !names.iter().any(|name| guard.may_protect_below(name)) {
        return Ok(());
    }
    let mut unguarded = backend.clone();
    unguarded.guard = None;
    let found = match unguarded.search_all(everything(path)).await {
        Ok(found) => found,
        // A file has nothing below it, and what is not there neither.
        Err(error) if matches!(error.code(), ErrorCode::NotADirectory | ErrorCode::NotFound) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if found.truncated {
        return Err(Error::new(
            ErrorCode::PolicyDenied,
            "it holds more than can be judged entry by entry; move or remove it in parts",
        ));
    }
    let depth = path.components().count();
    for entry in found.entries {
        for name in &names {
            let below = entry.path.components().skip(depth);
            let whole = below.fold((*name).clone(), |at, name| at.child(name));
            guard.check(&whole, Access::WriteBelow)?;
        }
    }
    Ok(())
}

fn everything(base: &RelPath) -> SearchRequest {
    SearchRequest {
        base: base.clone(),
        query: Query::Tree { max_depth: None },
        exclude: Vec::new(),
        respect_gitignore: false,
        hidden: true,
        names_only: true,
        limits: SearchLimits {
            max_results: 1_000_000,
            ..SearchLimits::default()
        },
        cancel: tokio_util::sync::CancellationToken::new(),
    }
}

/// A listing without what does not exist for callers.
pub(super) fn list(
    backend: &RemoteBackend,
    path: &RelPath,
    options: ListOptions,
) -> Call<Vec<DirEntry>> {
    let (backend, path) = (backend.clone(), path.clone());
    Call::pending(async move {
        let here = place(&backend, &path, true).await?;
        if let Some(guard) = &backend.guard {
            guard.check(&here, Access::List)?;
        }
        let mut entries = backend.list_all(&path, options).await?;
        if let Some(guard) = &backend.guard {
            entries.retain(|entry| {
                let is_directory = entry.kind == FileKind::Directory;
                !guard.hides(&here.child(&entry.name), is_directory)
            });
        }
        Ok(entries)
    })
}

/// What a search found, without what does not exist for callers. Links are not followed by searches, so that what is
/// found is called as it really is below where the search began.
pub(super) fn search(backend: &RemoteBackend, request: SearchRequest) -> Call<SearchOutcome> {
    let backend = backend.clone();
    Call::pending(async move {
        let base = request.base.clone();
        let here = place(&backend, &base, true).await?;
        let access = match request.query {
            Query::Grep(_) => Access::Read,
            _ => Access::List,
        };
        let Some(guard) = backend.guard.clone() else {
            return backend.search_all(request).await;
        };
        // A content search may begin at a directory, which is listed, or at a file, which is read.
        guard
            .check(&here, Access::List)
            .or_else(|refused| match access {
                Access::Read => guard.check(&here, Access::Read),
                _ => Err(refused),
            })?;
        let depth = base.components().count();
        let really = |path: &RelPath| {
            let below = path.components().skip(depth);
            below.fold(here.clone(), |at, name| at.child(name))
        };
        let mut found = backend.search_all(request).await?;
        found.entries.retain(|entry| {
            let is_directory = entry.kind == FileKind::Directory;
            !guard.hides(&really(&entry.path), is_directory)
        });
        found.lines.retain(|line| {
            let place = really(&line.path);
            !guard.hides(&place, false) && guard.check(&place, Access::Read).is_ok()
        });
        Ok(found)
    })
}

/// Commands of another machine cannot be kept from what rules of this one protect.
pub(super) fn refuses_commands(backend: &RemoteBackend) -> Option<Error> {
    let guard = backend.guard.as_ref()?;
    let free =
        guard.view(&backend.scope) == View::Writable && !guard.may_differ_below(&backend.scope);
    (!free).then(|| {
        Error::new(
            ErrorCode::PolicyDenied,
            "the rules of the access policy protect something in this scope, and commands of another machine cannot be kept from it; give the rules to the daemon (--policy-file)",
        )
    })
}
