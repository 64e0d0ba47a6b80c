use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::backend::memory::{MemoryBackend, MemoryOptions};
use crate::workspace::{ScopeOptions, WorkspaceOptions};

/// A change that is what a function does, and counts how often.
struct By<F> {
    small: bool,
    times: Arc<AtomicUsize>,
    make: F,
}

impl<F: Fn(usize, &[u8]) -> Result<Vec<u8>> + Send + Sync + 'static> Change for By<F> {
    type Report = usize;

    fn is_small(&self, _before: &[u8]) -> bool {
        self.small
    }

    fn apply(
        &self,
        path: &RelPath,
        before: &[u8],
        _ended: &CancellationToken,
    ) -> Result<Changed<usize>> {
        assert_eq!(path.as_bytes(), b"d/f");
        let time = self.times.fetch_add(1, Ordering::SeqCst) + 1;
        (self.make)(time, before).map(|after| Changed {
            after: after.into(),
            report: time,
        })
    }
}

fn by<F: Fn(usize, &[u8]) -> Result<Vec<u8>> + Send + Sync + 'static>(make: F) -> By<F> {
    By {
        small: true,
        times: Arc::default(),
        make,
    }
}

fn workspace() -> Workspace {
    let backend = MemoryBackend::new(MemoryOptions::default()).unwrap();
    let root = Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    put(&root, b"one");
    root
}

fn put(workspace: &Workspace, content: &[u8]) {
    let content = Content::owned(content.to_vec());
    block(workspace.write("d/f", content, WriteOptions::default())).unwrap();
}

fn get(workspace: &Workspace) -> ReadOutcome {
    block(workspace.read("d/f", ReadOptions::default())).unwrap()
}

fn block<T: 'static>(call: Call<T>) -> Result<T> {
    match call {
        Call::Ready(result) => result,
        pending @ Call::Pending(_) => crate::pool::runtime().block_on(pending),
    }
}

fn louder(before: &[u8]) -> Vec<u8> {
    [before, b"!"].concat()
}

#[test]
fn a_change_gives_the_new_content_its_report_and_the_files_state() {
    for small in [true, false] {
        let workspace = workspace();
        let change = By {
            small,
            ..by(|_, before| Ok(louder(before)))
        };
        let call = workspace.rewrite("/d//f", change, EditOptions::default());
        assert_eq!(matches!(call, Call::Ready(_)), small);
        let done = block(call).unwrap();
        let after = get(&workspace);
        assert_eq!(&after.bytes[..], b"one!");
        assert_eq!(done.stat.etag(), after.stat.etag());
        assert_eq!(done.report, 1);
    }
}

#[test]
fn a_change_that_another_write_overtook_is_made_anew_of_what_was_written() {
    let workspace = workspace();
    let other = workspace.clone();
    let change = by(move |time, before| {
        if time <= 2 {
            put(&other, format!("other {time}").as_bytes());
        }
        Ok(louder(before))
    });
    let done = block(workspace.rewrite("d/f", change, EditOptions::default())).unwrap();
    assert_eq!(done.report, 3);
    assert_eq!(&get(&workspace).bytes[..], b"other 2!");
}

#[test]
fn a_file_that_others_never_stop_writing_is_given_up() {
    let workspace = workspace();
    let other = workspace.clone();
    let change = by(move |time, before| {
        put(&other, format!("other {time}").as_bytes());
        Ok(louder(before))
    });
    let times = Arc::clone(&change.times);
    let error = block(workspace.rewrite("d/f", change, EditOptions::default())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict);
    assert_eq!(times.load(Ordering::SeqCst), MAX_ATTEMPTS);
    assert_eq!(&get(&workspace).bytes[..], b"other 100");
}

#[test]
fn only_the_state_that_was_asked_for_is_changed() {
    let workspace = workspace();
    let seen = EditOptions {
        if_match: Some(get(&workspace).stat.etag()),
        ..EditOptions::default()
    };
    let other = workspace.clone();
    let overtaken = by(move |_, before| {
        put(&other, b"other");
        Ok(louder(before))
    });
    let times = Arc::clone(&overtaken.times);
    let call = workspace.rewrite("d/f", overtaken, seen.clone());
    assert_eq!(block(call).unwrap_err().code(), ErrorCode::Conflict);
    assert_eq!(times.load(Ordering::SeqCst), 1);
    let late = by(|_, before| Ok(louder(before)));
    let times = Arc::clone(&late.times);
    let call = workspace.rewrite("d/f", late, seen);
    assert_eq!(block(call).unwrap_err().code(), ErrorCode::Conflict);
    assert_eq!(times.load(Ordering::SeqCst), 0);
    assert_eq!(&get(&workspace).bytes[..], b"other");
}

#[test]
fn neither_a_trial_nor_an_unchanged_content_is_written() {
    let workspace = workspace();
    let before = get(&workspace).stat.etag();
    let trial = EditOptions {
        dry_run: true,
        ..EditOptions::default()
    };
    let tried = workspace.rewrite("d/f", by(|_, before| Ok(louder(before))), trial);
    assert_eq!(block(tried).unwrap().stat.etag(), before);
    let same = by(|_, before| Ok(before.to_vec()));
    let kept = workspace.rewrite("d/f", same, EditOptions::default());
    assert_eq!(block(kept).unwrap().stat.etag(), before);
    assert_eq!(get(&workspace).stat.etag(), before);
}

#[test]
fn a_change_that_fails_or_grows_too_large_leaves_the_file() {
    let workspace = workspace();
    let refused = by(|_, _| Err(Error::new(ErrorCode::EditNotFound, "not there")));
    let error = block(workspace.rewrite("d/f", refused, EditOptions::default())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::EditNotFound);
    assert_eq!(
        (error.operation(), error.path()),
        (Some("edit"), Some("d/f"))
    );
    let large = by(|_, _| Ok(vec![0; MAX_EDITED_BYTES + 1]));
    let error = block(workspace.rewrite("d/f", large, EditOptions::default())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert_eq!(&get(&workspace).bytes[..], b"one");
}
