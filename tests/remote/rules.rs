//! Rules of access on the client's side: they hold for what a path leads to on the other machine, at the price of a
//! question before each operation.

use agent_backend::access::{AccessPolicy, AccessRule, Allow};
use agent_backend::backend::search::GrepQuery;
use agent_backend::backend::{
    BatchOperation, Content, ListOptions, ReadOptions, Removable, RemoveOptions, RenameOptions,
    WriteOptions,
};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{
    RunOptions, ScopeOptions, SearchOptions, Workspace, WorkspaceOptions,
};

use crate::in_process::InProcess;
use crate::world::{World, get, put, wait};

const RECURSIVE: RemoveOptions = RemoveOptions {
    recursive: true,
    force: false,
    only: Removable::Anything,
};

fn rule(pattern: &str, allow: Allow) -> AccessRule {
    AccessRule {
        pattern: pattern.to_owned(),
        allow,
        exec: true,
    }
}

fn client(world: &World) -> Workspace {
    let rules = vec![rule("secret", Allow::None), rule("fixed", Allow::Read)];
    Workspace::new(
        InProcess::new(&world.served).backend(),
        WorkspaceOptions {
            access: Some(AccessPolicy::new(rules).unwrap()),
            ..WorkspaceOptions::default()
        },
        ScopeOptions::default(),
    )
}

/// A tree with something hidden, something fixed, and links to both.
fn world() -> World {
    let world = World::new();
    for path in ["d/secret/key", "d/fixed/f", "d/open/f"] {
        world.put(path, "needle");
    }
    let root = world.root();
    std::os::unix::fs::symlink("secret", root.join("d/way")).unwrap();
    std::os::unix::fs::symlink("fixed", root.join("d/to-fixed")).unwrap();
    world
}

#[test]
fn what_is_hidden_is_neither_read_nor_told_by_any_name() {
    let world = world();
    // Without rules the canary falls.
    let (free, _connector) = world.client();
    assert_eq!(get(&free, "d/way/key").unwrap(), "needle");
    let client = client(&world);
    for path in ["d/secret/key", "d/way/key", "d/open/../way/key"] {
        assert_eq!(
            get(&client, path).unwrap_err().code(),
            ErrorCode::PolicyDenied
        );
        assert_eq!(
            put(&client, path, "x").unwrap_err().code(),
            ErrorCode::PolicyDenied
        );
        assert_eq!(
            wait(client.stat(path)).unwrap_err().code(),
            ErrorCode::PolicyDenied
        );
        assert!(!wait(client.exists(path)).unwrap());
    }
    assert_eq!(get(&client, "d/open/f").unwrap(), "needle");
    let listed = wait(client.list("d", ListOptions::default())).unwrap();
    let names: Vec<_> = listed.iter().map(|entry| &entry.name[..]).collect();
    assert_eq!(names, [&b"fixed"[..], b"open", b"to-fixed", b"way"]);
    let query = GrepQuery {
        pattern: "needle".to_owned(),
        ..GrepQuery::default()
    };
    let found = wait(client.grep("d", query, SearchOptions::default())).unwrap();
    let found: Vec<_> = found
        .lines
        .iter()
        .map(|line| line.path.to_string_lossy())
        .collect();
    assert_eq!(found, ["d/fixed/f", "d/open/f"]);
    let tree = wait(client.tree("", None, SearchOptions::default())).unwrap();
    assert!(
        !tree
            .entries
            .iter()
            .any(|found| found.entry.path.to_string_lossy().contains("secret"))
    );
    assert_eq!(world.get("d/secret/key"), "needle");
}

#[test]
fn what_is_fixed_is_read_and_not_changed_moved_or_removed_with_what_holds_it() {
    let world = world();
    let client = client(&world);
    assert_eq!(get(&client, "d/to-fixed/f").unwrap(), "needle");
    let denied = |result: agent_backend::error::Result<()>| {
        assert_eq!(result.unwrap_err().code(), ErrorCode::PolicyDenied);
    };
    denied(put(&client, "d/fixed/f", "x"));
    denied(put(&client, "d/to-fixed/new", "x"));
    denied(wait(client.touch("d/to-fixed/f")));
    denied(wait(client.remove("d/fixed/f", RECURSIVE)));
    denied(wait(client.remove("d", RECURSIVE)));
    denied(wait(client.rename("d", "e", RenameOptions::default())));
    denied(wait(client.rename(
        "d/open/f",
        "d/to-fixed/f",
        RenameOptions::default(),
    )));
    denied(wait(client.create_dir("d/to-fixed/sub", false)));
    // A link itself may go.
    wait(client.remove("d/to-fixed", RemoveOptions::default())).unwrap();
    wait(client.rename("d/open", "d/moved", RenameOptions::default())).unwrap();
    put(&client, "d/moved/deeper/new", "x").unwrap();
    assert_eq!(world.get("d/fixed/f"), "needle");
}

#[test]
fn a_batch_keeps_the_rules_and_commands_that_cannot_be_kept_from_it_are_refused() {
    let world = world();
    let client = client(&world);
    let outcomes = wait(client.batch(vec![
        BatchOperation::Read {
            path: b"d/way/key".to_vec(),
            options: ReadOptions::default(),
        },
        BatchOperation::Write {
            path: b"d/open/f".to_vec(),
            content: Content::owned("new"),
            options: WriteOptions::default(),
        },
    ]))
    .unwrap();
    assert_eq!(
        outcomes[0].as_ref().unwrap_err().code(),
        ErrorCode::PolicyDenied
    );
    assert!(outcomes[1].is_ok());
    assert_eq!(world.get("d/open/f"), "new");
    let refused = wait(client.run("echo x > d/fixed/f", RunOptions::default())).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PolicyDenied);
    assert!(refused.message().contains("--policy-file"), "{refused}");
    assert_eq!(world.get("d/fixed/f"), "needle");
}
