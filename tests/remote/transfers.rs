//! Content of any length: all of it, of one state of the file, whatever happens to the file meanwhile.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_backend::backend::{Content, OpenOptions, ReadOptions, WriteMode, WriteOptions};
use agent_backend::error::ErrorCode;
use bytes::Bytes;

use crate::world::{World, get, put, wait};

/// Bytes that are nowhere the same.
fn pattern(length: usize) -> Bytes {
    let words = (0..length.div_ceil(8) as u64).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(length);
    bytes.into()
}

#[test]
fn files_of_all_lengths_around_the_bounds_come_back_as_they_were_written() {
    let world = World::new();
    let (client, _connector) = world.client();
    for length in [
        0, 1, 65_535, 65_536, 262_144, 1_048_575, 1_048_576, 1_048_577, 1_310_721, 9_000_000,
    ] {
        let content = pattern(length);
        let options = WriteOptions {
            permissions: Some(0o640),
            ..WriteOptions::default()
        };
        let write = client.write("f", Content::owned(content.clone()), options);
        let written = wait(write).unwrap().stat;
        let read = wait(client.read("f", ReadOptions::default())).unwrap();
        assert!(read.bytes == content, "{length}");
        assert_eq!(read.stat.size, length as u64);
        assert_eq!(read.stat.etag(), written.etag());
        assert_eq!(read.stat.mode & 0o777, 0o640);
        for range in [10..20, 1_048_000..1_400_000, 100..8_000_000, 3..u64::MAX] {
            let from = usize::try_from(range.start).unwrap().min(length);
            let to = usize::try_from(range.end).unwrap().min(length).max(from);
            let options = ReadOptions {
                range: Some(range),
                max_bytes: None,
            };
            let part = wait(client.read("f", options)).unwrap().bytes;
            assert!(part == content.slice(from..to), "{length}");
        }
    }
    let bounded = ReadOptions {
        range: None,
        max_bytes: Some(8_999_999),
    };
    let error = wait(client.read("f", bounded)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
}

#[test]
fn a_large_write_keeps_the_rules_of_its_mode() {
    let world = World::new();
    let (client, _connector) = world.client();
    let large = || Content::owned(pattern(2_000_000));
    let with = |mode| WriteOptions {
        mode,
        ..WriteOptions::default()
    };
    let first = wait(client.write("f", large(), with(WriteMode::CreateNew))).unwrap();
    let again = wait(client.write("f", large(), with(WriteMode::CreateNew)));
    assert_eq!(again.unwrap_err().code(), ErrorCode::AlreadyExists);
    let matched = with(WriteMode::IfMatch(first.stat.etag()));
    wait(client.write("f", large(), matched.clone())).unwrap();
    let stale = wait(client.write("f", large(), matched)).unwrap_err();
    assert_eq!(stale.code(), ErrorCode::Conflict);
    wait(client.write("f", large(), with(WriteMode::Append))).unwrap();
    let appended = wait(client.stat("f")).unwrap();
    assert_eq!(appended.size, 4_000_000);
    wait(client.create_dir("d", false)).unwrap();
    let onto = wait(client.write("d", large(), WriteOptions::default()));
    assert_eq!(onto.unwrap_err().code(), ErrorCode::IsADirectory);
    // Nothing of what failed is left.
    let left = std::fs::read_dir(world.root()).unwrap().count();
    assert_eq!(left, 2);
}

#[test]
fn a_read_of_a_file_that_is_replaced_meanwhile_is_of_one_of_its_states() {
    let world = Arc::new(World::new());
    let states: Vec<String> = ["a", "b"].map(|letter| letter.repeat(3 << 20)).into();
    world.put("f", &states[0]);
    let done = Arc::new(AtomicBool::new(false));
    let writing = std::thread::spawn({
        let (world, done, states) = (Arc::clone(&world), Arc::clone(&done), states.clone());
        move || {
            let mut turn = 0;
            while !done.load(Ordering::Relaxed) {
                turn += 1;
                world.put("f", &states[turn % 2]);
            }
        }
    });
    let (client, _connector) = world.client();
    for _ in 0..30 {
        let text = get(&client, "f").unwrap();
        assert!(states.contains(&text));
    }
    done.store(true, Ordering::Relaxed);
    writing.join().unwrap();
}

#[test]
fn a_read_of_a_file_that_is_cut_or_grows_meanwhile_says_what_it_is_of() {
    let world = Arc::new(World::new());
    world.put("f", &"x".repeat(6 << 20));
    let done = Arc::new(AtomicBool::new(false));
    let path = world.root().join("f");
    let changing = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            while !done.load(Ordering::Relaxed) {
                file.set_len(2 << 20).unwrap();
                let _ = file.write_all_at(b"x", (6 << 20) - 1);
            }
        }
    });
    let (client, _connector) = world.client();
    for _ in 0..100 {
        let outcome = wait(client.read("f", ReadOptions::default())).unwrap();
        assert!(!outcome.bytes.is_empty());
        assert!(outcome.bytes.len() <= 6 << 20);
    }
    done.store(true, Ordering::Relaxed);
    changing.join().unwrap();
    let outcome = wait(client.read("f", ReadOptions::default())).unwrap();
    assert_eq!(outcome.bytes.len() as u64, outcome.stat.size);
}

#[test]
fn a_file_stays_open_and_a_write_in_pieces_is_seen_at_its_commit() {
    let world = World::new();
    let (client, _connector) = world.client();
    put(&client, "d/f", "0123456789").unwrap();
    let options = OpenOptions {
        read: true,
        write: true,
        ..OpenOptions::default()
    };
    let file = wait(client.open("d/f", options)).unwrap();
    std::fs::rename(world.root().join("d/f"), world.root().join("g")).unwrap();
    assert_eq!(wait(file.read_at(2, 3)).unwrap(), b"234"[..]);
    assert_eq!(wait(file.read_at(8, 300_000)).unwrap(), b"89"[..]);
    assert!(wait(file.read_at(10, 5)).unwrap().is_empty());
    wait(file.write_at(4, Bytes::from_static(b"x"))).unwrap();
    let long = pattern(700_000);
    wait(file.write_at(10, long.clone())).unwrap();
    assert_eq!(wait(file.stat()).unwrap().size, 700_010);
    assert!(wait(file.read_at(10, 700_000)).unwrap() == long);
    wait(file.sync()).unwrap();
    let cut = agent_backend::backend::Attributes {
        size: Some(5),
        ..Default::default()
    };
    wait(file.set_attributes(cut)).unwrap();
    assert_eq!(world.get("g"), "0123x");

    let staged = wait(client.stage("s", WriteOptions::default())).unwrap();
    for piece in [&long[..300_000], &long[300_000..300_001], &long[300_001..]] {
        wait(staged.append(Bytes::copy_from_slice(piece))).unwrap();
        assert!(!world.root().join("s").exists());
    }
    assert_eq!(wait(staged.commit()).unwrap().stat.size, 700_000);
    assert!(std::fs::read(world.root().join("s")).unwrap() == long);
    assert!(wait(staged.commit()).is_err());
    drop(wait(client.stage("t", WriteOptions::default())).unwrap());
    assert!(wait(client.stat("t")).is_err());
}

#[test]
fn an_answer_that_is_longer_than_a_message_comes_in_pieces() {
    let world = World::new();
    let line = "a line with a word in it, and another one to make it longer\n";
    world.put("f", &line.repeat(60_000));
    let (client, _connector) = world.client();
    let query = agent_backend::backend::search::GrepQuery {
        pattern: "word".to_owned(),
        ..Default::default()
    };
    let options = agent_backend::workspace::SearchOptions {
        limits: agent_backend::backend::search::SearchLimits {
            max_results: 100_000,
            ..Default::default()
        },
        ..Default::default()
    };
    for _ in 0..10 {
        let found = wait(client.grep("", query.clone(), options.clone())).unwrap();
        assert_eq!(found.lines.len(), 60_000);
        assert_eq!(found.lines[59_999].text, line.trim_end());
    }
}
