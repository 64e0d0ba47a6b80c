//! Whole files that arrive in pieces.

use std::sync::Arc;

use agent_backend::backend::{
    Durability, ReadOptions, StagedWrite, WriteMode, WriteOptions, WriteOutcome,
};
use agent_backend::call::Call;
use agent_backend::error::ErrorCode as E;
use bytes::Bytes;

use crate::fixture::{Fixture, Verbs, code, mode, wait};

fn stage(fixture: &Fixture, path: &str, options: WriteOptions) -> Arc<dyn StagedWrite> {
    wait(fixture.workspace.stage(path, options)).unwrap()
}

/// All of a write of one piece: what is wrong with its place may be found out at any step.
fn whole(staged: Call<Arc<dyn StagedWrite>>, piece: &'static str) -> Call<WriteOutcome> {
    staged.and_then(|staged| {
        let appended = staged.append(Bytes::from_static(piece.as_bytes()));
        appended.and_then(move |()| staged.commit())
    })
}

fn pieces(staged: &Arc<dyn StagedWrite>, pieces: &[&str]) {
    for piece in pieces {
        wait(staged.append(Bytes::copy_from_slice(piece.as_bytes()))).unwrap();
    }
}

pub fn a_file_in_pieces_is_seen_when_it_is_whole(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("kept/f", "old");
    let staged = stage(fixture, "kept/f", WriteOptions::default());
    let new = stage(fixture, "made/by/it", mode(WriteMode::CreateNew));
    pieces(&staged, &["one ", "", "two"]);
    pieces(&new, &["new"]);
    assert_eq!(workspace.get("kept/f"), "old");
    assert_eq!(workspace.names("kept"), ["f"]);
    assert!(!workspace.has("made"));
    let outcome = wait(staged.commit()).unwrap();
    wait(new.commit()).unwrap();
    assert_eq!(workspace.get("kept/f"), "one two");
    assert_eq!(outcome.stat.etag(), workspace.etag("kept/f"));
    assert_eq!(workspace.get("made/by/it"), "new");
}

pub fn a_file_in_pieces_that_is_dropped_was_never_there(fixture: &Fixture) {
    fixture.workspace.put("f", "old");
    for path in ["f", "g"] {
        let staged = stage(fixture, path, WriteOptions::default());
        pieces(&staged, &["new"]);
        drop(staged);
    }
    assert_eq!(fixture.workspace.get("f"), "old");
    assert_eq!(fixture.workspace.names(""), ["f"]);
}

pub fn an_empty_file_needs_no_pieces(fixture: &Fixture) {
    wait(stage(fixture, "f", WriteOptions::default()).commit()).unwrap();
    assert_eq!(fixture.workspace.get("f"), "");
}

pub fn a_commit_heeds_the_mode_of_the_write(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    let seen = workspace.put("f", "old").etag();
    let commit = |options| whole(workspace.stage("f", options), "+");
    assert_eq!(code(commit(mode(WriteMode::CreateNew))), E::AlreadyExists);
    assert_eq!(workspace.get("f"), "old");
    wait(commit(mode(WriteMode::Append))).unwrap();
    assert_eq!(workspace.get("f"), "old+");
    let late = mode(WriteMode::IfMatch(seen));
    assert_eq!(code(commit(late)), E::Conflict);
    let options = WriteOptions {
        permissions: Some(0o4_600),
        durability: Durability::Disk,
        mode: WriteMode::IfMatch(workspace.etag("f")),
        ttl_ms: None,
    };
    wait(commit(options)).unwrap();
    assert_eq!(workspace.get("f"), "+");
    assert_eq!(workspace.look("f").mode & 0o7777, 0o600);
}

pub fn what_could_not_be_written_is_refused_by_the_commit(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.make("d");
    workspace.put("f", "x");
    let commit = |path| code(whole(workspace.stage(path, WriteOptions::default()), "x"));
    assert_eq!(commit("d"), E::IsADirectory);
    assert_eq!(commit("f/g"), E::NotADirectory);
    for path in ["", "g/"] {
        let refused = workspace.stage(path, WriteOptions::default());
        assert_eq!(code(refused), E::IsADirectory);
    }
}

pub fn a_write_in_pieces_is_committed_once(fixture: &Fixture) {
    let staged = stage(fixture, "f", WriteOptions::default());
    pieces(&staged, &["a"]);
    wait(staged.commit()).unwrap();
    assert_eq!(code(staged.commit()), E::Conflict);
    assert_eq!(code(staged.append(Bytes::from_static(b"b"))), E::Conflict);
    assert_eq!(fixture.workspace.get("f"), "a");
}

pub fn a_large_file_in_pieces_is_kept_byte_for_byte(fixture: &Fixture) {
    let content: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    let staged = stage(fixture, "f", WriteOptions::default());
    for piece in content.chunks(300_007) {
        wait(staged.append(Bytes::copy_from_slice(piece))).unwrap();
    }
    wait(staged.commit()).unwrap();
    let read = wait(fixture.workspace.read("f", ReadOptions::default())).unwrap();
    assert!(read.bytes == content);
}
