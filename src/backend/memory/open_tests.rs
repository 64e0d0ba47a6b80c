use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::backend::memory::MemoryOptions;
use crate::backend::{Backend as _, Content, RemoveOptions, WriteOptions};

const BOTH: OpenOptions = OpenOptions {
    read: true,
    write: true,
    append: false,
    create: true,
    create_new: false,
    truncate: false,
    permissions: None,
};

fn now<T: 'static>(call: Call<T>) -> Result<T> {
    crate::pool::runtime().block_on(call)
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn bounded(max_bytes: u64) -> Arc<MemoryBackend> {
    MemoryBackend::new(MemoryOptions {
        max_bytes: Some(max_bytes),
        ..MemoryOptions::default()
    })
    .unwrap()
}

fn write(backend: &MemoryBackend, key: &str, length: usize) -> Result<()> {
    let content = Content::owned(vec![1; length]);
    now(backend.write(&path(key), content, WriteOptions::default())).map(drop)
}

fn used(backend: &MemoryBackend) -> u64 {
    backend.store.with(|state| Ok(state.used)).unwrap()
}

#[test]
fn a_value_that_lost_its_name_counts_until_it_is_closed() {
    let backend = bounded(1_000);
    write(&backend, "a", 600).unwrap();
    let file = now(backend.open(&path("a"), BOTH)).unwrap();
    let again = now(backend.open(&path("a"), BOTH)).unwrap();
    now(backend.remove(&path("a"), RemoveOptions::default())).unwrap();
    assert_eq!(used(&backend), 600);
    assert_eq!(
        write(&backend, "b", 600).unwrap_err().code(),
        ErrorCode::TooLarge
    );
    now(file.write_at(600, Bytes::from(vec![2; 100]))).unwrap();
    assert_eq!(used(&backend), 700);
    drop(file);
    assert_eq!(used(&backend), 700);
    drop(again);
    assert_eq!(used(&backend), 0);
    write(&backend, "b", 600).unwrap();
}

#[test]
fn a_value_that_is_replaced_while_it_is_open_counts_beside_the_new_one() {
    let backend = bounded(1_000);
    write(&backend, "a", 300).unwrap();
    let file = now(backend.open(&path("a"), BOTH)).unwrap();
    write(&backend, "a", 400).unwrap();
    assert_eq!(used(&backend), 700);
    assert_eq!(
        write(&backend, "a", 701).unwrap_err().code(),
        ErrorCode::TooLarge
    );
    assert_eq!(now(file.stat()).unwrap().size, 300);
    drop(file);
    assert_eq!(used(&backend), 400);
    assert!(
        backend
            .store
            .with(|state| Ok(state.held.is_empty()))
            .unwrap()
    );
}

#[test]
fn a_value_changed_in_parts_keeps_the_bound_and_a_bound_of_its_own() {
    let backend = bounded(1_000);
    let file = now(backend.open(&path("a"), BOTH)).unwrap();
    let beyond = now(file.write_at(990, Bytes::from_static(b"0123456789ab")));
    assert_eq!(beyond.unwrap_err().code(), ErrorCode::TooLarge);
    assert_eq!(used(&backend), 0);
    now(file.write_at(990, Bytes::from_static(b"0123456789"))).unwrap();
    assert_eq!(used(&backend), 1_000);
    let free = MemoryBackend::new(MemoryOptions::default()).unwrap();
    let file = now(free.open(&path("a"), BOTH)).unwrap();
    for offset in [MAX_OPEN_BYTES, u64::MAX] {
        let refused = now(file.write_at(offset, Bytes::from_static(b"x")));
        assert_eq!(refused.unwrap_err().code(), ErrorCode::TooLarge);
    }
    assert_eq!(now(file.stat()).unwrap().size, 0);
}

#[test]
fn a_store_that_was_closed_ends_what_is_open() {
    let backend = bounded(1_000);
    write(&backend, "a", 300).unwrap();
    let file = now(backend.open(&path("a"), BOTH)).unwrap();
    now(backend.close()).unwrap();
    assert_eq!(
        now(file.read_at(0, 1)).unwrap_err().code(),
        ErrorCode::Destroyed
    );
    drop(file);
}

#[test]
fn what_arrives_in_pieces_keeps_the_bound_and_gives_its_room_back() {
    let backend = bounded(1_000);
    write(&backend, "old", 600).unwrap();
    let stage = |key: &str| now(backend.stage(&path(key), WriteOptions::default())).unwrap();
    let piece = |length| Bytes::from(vec![3; length]);
    let staged = stage("new");
    now(staged.append(piece(300))).unwrap();
    let refused = now(staged.append(piece(200))).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TooLarge);
    assert_eq!(
        now(staged.commit()).unwrap_err().code(),
        ErrorCode::TooLarge
    );
    drop(staged);
    // What it replaces makes room.
    let staged = stage("old");
    now(staged.append(piece(900))).unwrap();
    now(staged.commit()).unwrap();
    drop(staged);
    assert_eq!(used(&backend), 900);
    let all = backend.store.with(|state| Ok(state.staged)).unwrap();
    assert_eq!(all, 0);
    let space = now(backend.space()).unwrap();
    assert_eq!((space.blocks, space.blocks_free), (0, 0));
}
