//! Every message there and back, and what is refused.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::backend::search::{
    FoundEntry, FoundLine, GrepQuery, Query, SearchLimits, SearchOutcome, SearchRequest,
};
use crate::backend::{Durability, Etag, FileKind, WriteMode};
use crate::error::{CommandFailure, Error, ErrorCode, Limit};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn stat() -> FileStat {
    FileStat {
        kind: FileKind::File,
        mode: 0o100_644,
        size: u64::MAX,
        dev: 1,
        ino: 2,
        nlink: 3,
        uid: 4,
        gid: 5,
        rdev: 6,
        blksize: 7,
        blocks: 8,
        atime_ns: -1,
        mtime_ns: i128::MAX,
        ctime_ns: 1_700_000_000_000_000_000,
        birthtime_ns: 0,
    }
}

fn write(content: &[u8]) -> Operation {
    Operation::Write {
        path: path("a/b"),
        content: Bytes::copy_from_slice(content),
        options: WriteOptions {
            mode: WriteMode::IfMatch(Etag("x-1".to_owned())),
            permissions: Some(0o640),
            durability: Durability::Disk,
            ttl_ms: Some(5),
        },
    }
}

fn search() -> Operation {
    Operation::Search(Box::new(SearchRequest {
        base: path("src"),
        query: Query::Grep(GrepQuery {
            pattern: "a+".to_owned(),
            globs: vec!["*.rs".to_owned(), "!b".to_owned()],
            max_count_per_file: Some(7),
            ..GrepQuery::default()
        }),
        exclude: vec!["target".to_owned()],
        respect_gitignore: true,
        hidden: false,
        names_only: true,
        limits: SearchLimits::default(),
        cancel: CancellationToken::new(),
    }))
}

fn operations() -> Vec<Operation> {
    let handle = Bytes::from_static(b"h");
    vec![
        Operation::Read {
            path: path("é/ü"),
            options: ReadOptions {
                range: Some(1..u64::MAX),
                max_bytes: Some(9),
            },
        },
        write(b"content"),
        write(b""),
        Operation::Stage {
            path: path("a"),
            options: WriteOptions::default(),
        },
        Operation::Commit {
            handle: handle.clone(),
        },
        Operation::Stat {
            path: RelPath::root(),
            follow: true,
        },
        Operation::RealPath { path: path("a") },
        Operation::List {
            path: path("a"),
            options: ListOptions { with_stat: true },
        },
        Operation::CreateDir {
            path: path("a"),
            recursive: true,
        },
        Operation::Remove {
            path: path("a"),
            options: RemoveOptions {
                recursive: true,
                force: false,
                ..RemoveOptions::default()
            },
        },
        Operation::Rename {
            from: path("a"),
            to: path("b"),
            options: RenameOptions {
                keep_existing: true,
                ..RenameOptions::default()
            },
        },
        Operation::Touch { path: path("a") },
        search(),
        Operation::SetAttributes {
            path: path("a"),
            follow: false,
            attributes: Attributes {
                size: Some(1),
                mtime_ns: Some(-5),
                ..Attributes::default()
            },
        },
        Operation::ReadLink { path: path("a") },
        Operation::Symlink {
            path: path("a"),
            target: b"../\xff".to_vec(),
        },
        Operation::Space,
        Operation::Open {
            path: path("a"),
            options: OpenOptions {
                read: true,
                create: true,
                ..OpenOptions::default()
            },
        },
        Operation::OfFile {
            handle,
            what: OfFile::Sync,
        },
    ]
}

fn read(content: &[u8], rest: Option<Handle>) -> Answer {
    Answer::Read {
        outcome: ReadOutcome {
            bytes: Bytes::copy_from_slice(content),
            stat: stat(),
        },
        rest,
    }
}

fn failure() -> Error {
    Error::new(ErrorCode::LimitExceeded, "too much")
        .at("a\nb")
        .during("write")
        .with_limit(Limit::FileSize)
        .with_failure(CommandFailure {
            exit_code: None,
            signal: Some("SIGKILL"),
            stdout: b"out\xff".to_vec(),
            stderr: Vec::new(),
        })
}

fn answers() -> Vec<Result<Answer>> {
    let found = SearchOutcome {
        entries: vec![FoundEntry {
            path: path("a/b"),
            kind: FileKind::Symlink,
            size: 3,
            mtime_ns: -3,
        }],
        lines: vec![FoundLine {
            path: path("a"),
            line_number: 1,
            column: Some(2),
            text: "ä".to_owned(),
            is_context: false,
        }],
        truncated: true,
    };
    vec![
        Ok(read(b"content", None)),
        Ok(read(b"", Some(Handle(Bytes::from_static(b"h"))))),
        Ok(Answer::Written(WriteOutcome { stat: stat() })),
        Ok(Answer::Staged {
            handle: Bytes::from_static(b"h"),
        }),
        Ok(Answer::Stat(stat())),
        Ok(Answer::RealPath(path("x"))),
        Ok(Answer::List(vec![DirEntry {
            name: b"n\xff".to_vec(),
            kind: FileKind::Other,
            stat: Some(stat()),
        }])),
        Ok(Answer::Done),
        Ok(Answer::Search(Box::new(found))),
        Ok(Answer::Link(b"../x".to_vec())),
        Ok(Answer::Space(Space {
            blocks: 9,
            ..Space::default()
        })),
        Ok(Answer::Opened {
            handle: Bytes::from_static(b"h"),
        }),
        Err(failure()),
    ]
}

fn whole(encoded: Encoded) -> Bytes {
    let mut whole = encoded.head;
    for piece in encoded.tail {
        whole.extend_from_slice(&piece);
    }
    whole.into()
}

fn request(operation: Operation) -> Request {
    Request {
        scope: path("tenants/1"),
        operation,
    }
}

fn there_and_back(answer: Result<Answer>) -> Result<Answer> {
    match decode_reply(&whole(encode_reply(&answer).unwrap())).unwrap() {
        Reply::Answer(answer) => answer,
        Reply::Spilled { .. } => panic!("it is an answer"),
    }
}

/// Tokens have no form that could be compared.
fn shown(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.split_once("cancel: ") {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}

#[test]
fn every_request_comes_back_as_it_was() {
    for operation in operations() {
        let request = request(operation);
        let data = whole(encode_request(&request).unwrap());
        assert_eq!(shown(&decode_request(&data).unwrap()), shown(&request));
    }
    let batch = request(Operation::Batch(
        operations()
            .into_iter()
            .filter(|operation| !matches!(operation, Operation::Search(_)))
            .collect(),
    ));
    let data = whole(encode_request(&batch).unwrap());
    assert_eq!(shown(&decode_request(&data).unwrap()), shown(&batch));
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for answer in answers() {
        assert_eq!(shown(&there_and_back(answer.clone())), shown(&answer));
    }
    let batch = Ok(Answer::Batch(answers()));
    assert_eq!(shown(&there_and_back(batch.clone())), shown(&batch));
}

#[test]
fn an_error_keeps_all_that_callers_branch_on() {
    for &code in ErrorCode::ALL {
        let error = Error::new(code, "why").at("p").during("rm");
        let back = there_and_back(Err(error)).unwrap_err();
        assert_eq!(
            (back.code(), back.message(), back.path(), back.operation()),
            (code, "why", Some("p"), Some("rm"))
        );
    }
    let back = there_and_back(Err(failure())).unwrap_err();
    assert_eq!(back.limit(), Some(Limit::FileSize));
    let command = back.failure().unwrap();
    assert_eq!((command.signal, command.exit_code), (Some("SIGKILL"), None));
    assert_eq!(command.stdout, b"out\xff");
}

#[test]
fn content_is_copied_neither_into_a_message_nor_out_of_it() {
    let operation = write(&[7; 100_000]);
    let Operation::Write { content, .. } = &operation else {
        panic!("it is a write");
    };
    let before = content.as_ptr();
    let encoded = encode_request(&request(operation)).unwrap();
    assert_eq!(encoded.tail[0].as_ptr(), before);
    let data = whole(encoded);
    let Operation::Write { content, .. } = decode_request(&data).unwrap().operation else {
        panic!("it is a write");
    };
    assert!(data.as_ptr_range().contains(&content.as_ptr()));
    assert_eq!(content.len(), 100_000);
}

#[test]
fn a_path_that_is_not_in_normal_form_is_no_path() {
    let data = whole(encode_request(&request(Operation::Touch { path: path("a/b") })).unwrap());
    let at = data.len() - 3;
    for wrong in [&b"../"[..], b"a//", b"/ab", b"a/.", b"a\0b", b"..."] {
        let mut bytes = data.to_vec();
        bytes[at..].copy_from_slice(wrong);
        let is_path = wrong == b"...";
        assert_eq!(decode_request(&bytes.into()).is_ok(), is_path, "{wrong:?}");
    }
}

#[test]
fn a_name_that_is_no_component_is_no_entry() {
    for wrong in [&b".."[..], b".", b"", b"a/b", b"a\0"] {
        let entry = DirEntry {
            name: wrong.to_vec(),
            kind: FileKind::File,
            stat: None,
        };
        let data = whole(encode_reply(&Ok(Answer::List(vec![entry]))).unwrap());
        assert!(decode_reply(&data).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_batch_is_bounded_and_holds_no_other() {
    let code = |operation| encode_request(&request(operation)).unwrap_err().code();
    let nested = Operation::Batch(vec![Operation::Batch(Vec::new())]);
    assert_eq!(code(nested), ErrorCode::InvalidConfiguration);
    let many = Operation::Batch(vec![Operation::Space; MAX_BATCH + 1]);
    assert_eq!(code(many), ErrorCode::InvalidConfiguration);
    let large = Operation::Batch(vec![write(&[0; 1 << 20]); 4]);
    assert_eq!(code(large), ErrorCode::TooLarge);
    // As somebody else might encode it.
    let full = Operation::Batch(vec![Operation::Space; MAX_BATCH]);
    let data = whole(encode_request(&request(full)).unwrap());
    let at = 1 + "tenants/1".len() + 1;
    assert_eq!(data[at..at + 2], [0xe8, 0x07]);
    let mut more = data.to_vec();
    more[at] += 1;
    more.push(more[more.len() - 1]);
    assert!(decode_request(&data).is_ok());
    assert!(decode_request(&more.into()).is_err());
}

#[test]
fn what_is_cut_short_or_has_more_behind_it_is_no_message() {
    for operation in [write(b"content"), search(), Operation::Space] {
        let data = whole(encode_request(&request(operation)).unwrap());
        for end in 0..data.len() {
            assert!(decode_request(&data.slice(..end)).is_err());
        }
        let longer = [&data[..], b"\0\0"].concat();
        assert!(decode_request(&longer.into()).is_err());
    }
}

#[test]
fn a_listing_of_a_thousand_entries_is_quick_to_encode_and_decode() {
    let entries = (0..1_000).map(|number| DirEntry {
        name: format!("file-{number:04}.txt").into_bytes(),
        kind: FileKind::File,
        stat: Some(FileStat {
            ino: 1_000_000 + number,
            mtime_ns: 1_700_000_000_000_000_000,
            ..stat()
        }),
    });
    let answer = Ok(Answer::List(entries.collect()));
    let mut best = [std::time::Duration::MAX; 2];
    let mut length = 0;
    for _ in 0..20 {
        let started = std::time::Instant::now();
        let data = whole(encode_reply(&answer).unwrap());
        best[0] = best[0].min(started.elapsed());
        let started = std::time::Instant::now();
        assert!(decode_reply(&data).is_ok());
        best[1] = best[1].min(started.elapsed());
        length = data.len();
    }
    println!(
        "1,000 entries: {length} bytes, encoded in {:?}, decoded in {:?}",
        best[0], best[1]
    );
    // Without optimisation it takes some twenty times as long; this is a guard against what is quadratic.
    assert!(best.iter().all(|time| time.as_millis() < 50), "{best:?}");
}
