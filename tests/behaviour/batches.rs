//! Several operations in one call.

use agent_backend::backend::{
    BatchOperation as One, BatchOutcome, Content, ListOptions, ReadOptions, RenameOptions,
    WriteOptions,
};
use agent_backend::error::{ErrorCode, Result};
use agent_backend::workspace::{Rights, ScopeOptions};

use crate::fixture::{FORCE, Fixture, RECURSIVE, Verbs, code, wait};
use crate::lifecycle::observed;

fn write(path: &str, text: &str) -> One {
    One::Write {
        path: path.into(),
        content: Content::owned(text.as_bytes().to_vec()),
        options: WriteOptions::default(),
    }
}

fn read(path: &str) -> One {
    One::Read {
        path: path.into(),
        options: ReadOptions::default(),
    }
}

/// What came of each, in a word.
fn told(outcomes: &[Result<BatchOutcome>]) -> Vec<String> {
    (outcomes.iter())
        .map(|outcome| match outcome {
            Ok(BatchOutcome::Read(outcome)) => String::from_utf8_lossy(&outcome.bytes).into(),
            Ok(BatchOutcome::Written(outcome)) => format!("{} bytes", outcome.stat.size),
            Ok(BatchOutcome::Stat(stat)) => format!("{:?}", stat.kind),
            Ok(BatchOutcome::Exists(there)) => there.to_string(),
            Ok(BatchOutcome::List(entries)) => format!("{} entries", entries.len()),
            Ok(BatchOutcome::Done) => "done".into(),
            Err(error) => error.code().to_string(),
        })
        .collect()
}

pub fn a_batch_does_one_after_another_whatever_became_of_those_before(f: &Fixture) {
    let path = |path: &str| path.as_bytes().to_vec();
    let outcomes = wait(f.workspace.batch(vec![
        write("d/a", "one"),
        read("d/a"),
        read("missing"),
        write("d/a", "three"),
        read("d/a"),
        write("e/", "x"),
        write("../x", "x"),
        One::Exists { path: path("d/a") },
        One::Exists { path: path("d/b") },
        One::Exists { path: path("../x") },
        One::Rename {
            from: path("d/a"),
            to: path("d/b"),
            options: RenameOptions::default(),
        },
        One::Stat {
            path: path("d"),
            follow: true,
        },
        One::Stat {
            path: path("d/a"),
            follow: false,
        },
        One::List {
            path: path("d"),
            options: ListOptions { with_stat: true },
        },
        One::CreateDir {
            path: path("d"),
            recursive: false,
        },
        One::Touch { path: path("d/c") },
        One::Remove {
            path: path("d"),
            options: FORCE,
        },
        One::Remove {
            path: path("d"),
            options: RECURSIVE,
        },
        One::Remove {
            path: path(""),
            options: RECURSIVE,
        },
    ]))
    .unwrap();
    assert_eq!(
        told(&outcomes),
        [
            "3 bytes",
            "one",
            "NOT_FOUND",
            "5 bytes",
            "three",
            "IS_A_DIRECTORY",
            "PATH_ESCAPE_ATTEMPT",
            "true",
            "false",
            "false",
            "done",
            "Directory",
            "NOT_FOUND",
            "1 entries",
            "ALREADY_EXISTS",
            "done",
            "NOT_EMPTY",
            "done",
            "INVALID_PATH",
        ]
    );
    let missing = outcomes[2].as_ref().unwrap_err();
    assert_eq!(
        (missing.operation(), missing.path()),
        (Some("read"), Some("missing"))
    );
}

pub fn content_of_any_length_goes_through_a_batch(f: &Fixture) {
    let large = "x".repeat(3 << 20);
    let outcomes = wait(f.workspace.batch(vec![
        write("a", &large),
        write("b", "b"),
        read("a"),
        read("b"),
        write("c", &large[..1 << 20]),
        write("d", &large[..1 << 20]),
        write("e", &large[..1 << 20]),
        write("f", &large[..1 << 20]),
    ]))
    .unwrap();
    let told = told(&outcomes);
    assert_eq!(told[0], "3145728 bytes");
    assert!(told[2] == large && told[3] == "b");
    assert!(told[4..].iter().all(|told| told == "1048576 bytes"));
}

pub fn an_empty_batch_gives_nothing_and_one_that_is_too_long_is_refused(f: &Fixture) {
    assert!(wait(f.workspace.batch(Vec::new())).unwrap().is_empty());
    let many = |count| (0..count).map(|_| read("a")).collect::<Vec<_>>();
    assert_eq!(wait(f.workspace.batch(many(1_000))).unwrap().len(), 1_000);
    let refused = code(f.workspace.batch(many(1_001)));
    assert_eq!(refused, ErrorCode::InvalidConfiguration);
    wait(f.workspace.destroy()).unwrap();
    assert_eq!(code(f.workspace.batch(many(1))), ErrorCode::Destroyed);
}

pub fn the_observer_is_told_of_each_operation_of_a_batch(f: &Fixture) {
    let (w, recorder) = observed(&f.workspace, "s");
    let outcomes = wait(w.batch(vec![write("./a", "1"), read("b"), write("../c", "x")]));
    assert_eq!(outcomes.unwrap().len(), 3);
    assert_eq!(
        recorder.take(),
        [
            "write ./a ok",
            "read b NOT_FOUND",
            "write ../c PATH_ESCAPE_ATTEMPT"
        ]
    );
    assert_eq!(w.get("a"), "1");
}

pub fn who_lacks_a_right_is_told_so_of_each_operation_of_a_batch(f: &Fixture) {
    f.workspace.put("a", "1");
    let rights = Rights {
        read: false,
        ..Rights::ALL
    };
    let options = ScopeOptions {
        rights,
        ..ScopeOptions::default()
    };
    let writer = f.workspace.scope(".", options).unwrap();
    let exists = |path: &str| One::Exists { path: path.into() };
    let outcomes = wait(writer.batch(vec![
        exists("a"),
        // Not even that the path is none.
        exists("../../../.."),
        read("a"),
        write("b", "22"),
    ]));
    let denied = "POLICY_DENIED";
    assert_eq!(
        told(&outcomes.unwrap()),
        [denied, denied, denied, "2 bytes"]
    );
}
