//! What a principal may do at all: every call of a workspace, with every set of rights, over every backend.

use agent_backend::access::Allow;
use agent_backend::backend::{Attributes, OpenOptions, ReadOptions, WriteOptions};
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::workspace::{Rights, RunOptions, ScopeOptions, SearchOptions, Workspace};
use bytes::Bytes;

use crate::asking::Hook;
use crate::operations::{Effect, OPERATIONS};
use crate::world::{CANARY, Kind, Setup, World, wait};

const NONE: Rights = Rights {
    read: false,
    write: false,
    exec: false,
};

fn all_rights() -> impl Iterator<Item = Rights> {
    (0..8).map(|bits| Rights {
        read: bits & 1 != 0,
        write: bits & 2 != 0,
        exec: bits & 4 != 0,
    })
}

fn with(workspace: &Workspace, rights: Rights) -> Workspace {
    let options = ScopeOptions {
        rights,
        ..ScopeOptions::default()
    };
    workspace.scope("", options).unwrap()
}

/// A call, the rights that it takes, and what came of it.
struct Call {
    name: &'static str,
    needs: Rights,
    run: fn(&Workspace) -> Result<()>,
}

macro_rules! calls {
    ($($name:literal, $($right:ident)*, |$w:ident| $call:expr;)*) => {
        const CALLS: &[Call] = &[$(Call {
            name: $name,
            needs: Rights { $($right: true,)* ..NONE },
            run: |$w| wait($call).map(drop),
        }),*];
    };
}

// Those that the operations of the access policy do not have, or that need more than their effect says.
calls! {
    "exists", read, |w| w.exists("secret/a");
    "exists, and it does not", read, |w| w.exists("missing");
    "exists, and it leaves", read, |w| w.exists("../x");
    "real path", read, |w| w.real_path("secret/a");
    "list keys", read, |w| where_possible(w.list_keys("").map(drop));
    "delete a key", write, |w| where_possible(w.delete_key("own").map(drop));
    "clear keys", write, |w| where_possible(w.clear_keys());
    "space", read, |w| where_possible(w.space().map(drop));
    "read a link", read, |w| where_possible(w.read_link("own").map(drop));
    "edit", read write, |w| w.edit("secret/a", edits(), Default::default());
    "dry edit", read, |w| w.edit("secret/a", edits(), dry());
    "open for both", read write, |w| w.open("own", BOTH);
    "open for reading", read, |w| w.open("own", READ);
    "open for writing", write, |w| w.open("own", WRITE);
    "open to create", read write, |w| w.open("new", OpenOptions { create: true, ..READ });
    "open to empty", read write, |w| w.open("own", OpenOptions { truncate: true, ..READ });
    "stage", write, |w| w.stage("own", WriteOptions::default());
    "rename", write, |w| w.rename("own", "other", Default::default());
    "glob", read, |w| w.glob("", "**", true, SearchOptions::default());
    "run", exec, |w| where_possible(w.run("true", RunOptions::default()).map(drop));
    "exec", exec, |w| where_possible(w.exec("true", RunOptions::default()).map(drop));
    "spawn", exec, |w| where_possible(w.spawn("true", RunOptions::default()).map(drop));
}

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    append: false,
    create: false,
    create_new: false,
    truncate: false,
    permissions: None,
};
const BOTH: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
const WRITE: OpenOptions = OpenOptions {
    read: false,
    ..BOTH
};

/// Not every backend does everything, and what a name leads to may be none of it: that is told to who may ask.
fn where_possible(call: agent_backend::call::Call<()>) -> agent_backend::call::Call<()> {
    call.then(|done| match done {
        Err(error)
            if [ErrorCode::NotImplemented, ErrorCode::InvalidPath].contains(&error.code()) =>
        {
            Ok(())
        }
        done => done,
    })
}

fn edits() -> Vec<agent_backend::workspace::Edit> {
    vec![agent_backend::workspace::Edit {
        old_text: CANARY.into(),
        new_text: "edited".into(),
        replace_all: false,
    }]
}

fn dry() -> agent_backend::workspace::EditOptions {
    agent_backend::workspace::EditOptions {
        dry_run: true,
        ..Default::default()
    }
}

#[track_caller]
fn judged(what: &str, rights: Rights, needs: Rights, seen: Result<()>) {
    let has = rights.within(needs) == needs;
    match (has, seen) {
        (true, Ok(())) => {}
        (false, Err(error)) => lacking(what, &error),
        (has, seen) => panic!("{what} with {rights:?}, which suffices: {has}; {seen:?}"),
    }
}

#[track_caller]
fn lacking(what: &str, error: &Error) {
    assert_eq!(error.code(), ErrorCode::PolicyDenied, "{what}: {error}");
    let text = error.to_string();
    assert!(text.contains("this client may not"), "{what}: {text}");
}

#[test]
fn every_call_takes_its_rights_and_no_more() {
    for kind in [Kind::Memory, Kind::Kernel] {
        for rights in all_rights() {
            // Of the slower one, those that lack one each.
            let lacking = [rights.read, rights.write, rights.exec];
            if kind == Kind::Kernel && lacking.iter().filter(|has| !**has).count() != 1 {
                continue;
            }
            for call in CALLS {
                let world = Setup::new(kind, 1).make();
                let before = world.snapshot();
                let seen = (call.run)(&with(&world.workspace, rights));
                if seen.is_err() {
                    assert_eq!(world.snapshot(), before, "{}", call.name);
                }
                judged(call.name, rights, call.needs, seen);
            }
            for operation in OPERATIONS {
                let world = Setup::new(kind, 1).make();
                let before = world.snapshot();
                let at = match operation.directory {
                    true => "secret/deep",
                    false => "secret/a",
                };
                let has = match operation.effect {
                    Effect::Looks => rights.read,
                    Effect::Changes if operation.name == "edit" => rights.read && rights.write,
                    Effect::Changes => rights.write,
                };
                let seen = (operation.run)(&with(&world.workspace, rights), at);
                let what = format!("{} {kind:?} {rights:?}: {seen:?}", operation.name);
                match has {
                    true => assert!(seen.is_ok(), "{what}"),
                    false => {
                        assert_eq!(seen.unwrap_err(), ErrorCode::PolicyDenied, "{what}");
                        assert_eq!(world.snapshot(), before, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_scope_never_has_more_rights_than_its_parent() {
    for parent in all_rights() {
        for own in all_rights() {
            let world = Setup::new(Kind::Memory, 0).make();
            let scope = with(&with(&world.workspace, parent), own);
            assert_eq!(scope.rights(), parent.within(own));
            let below = scope.scope("pub", ScopeOptions::default()).unwrap();
            assert_eq!(below.rights(), scope.rights());
        }
    }
    let world = Setup::new(Kind::Memory, 0).make();
    assert_eq!(world.workspace.rights(), Rights::ALL);
}

#[test]
fn who_lacks_a_right_is_told_neither_what_is_there_nor_asked_about() {
    let hook = Hook::always(agent_backend::access::Decision::Allow);
    let world = Setup::new(Kind::Kernel, 1).hook(hook.clone()).make();
    let nobody = with(&world.workspace, NONE);
    for path in ["own", "missing", "../out", "nul\0"] {
        let error = wait(nobody.read(path, ReadOptions::default())).unwrap_err();
        lacking(path, &error);
        assert_eq!(error.operation(), Some("read"));
    }
    assert_eq!(hook.asked().len(), 0);
}

fn held(world: &World) -> Result<()> {
    let file = wait(world.workspace.open("own", BOTH))?;
    wait(file.write_at(0, Bytes::from_static(b"x")))?;
    wait(file.read_at(0, 1))?;
    wait(file.stat())?;
    wait(file.sync())?;
    wait(file.set_attributes(Attributes::default()))
}

#[test]
fn an_open_file_is_judged_by_the_name_that_was_opened_at_every_call() {
    for kind in [Kind::Memory, Kind::Kernel] {
        let world = Setup::new(kind, 1).make();
        held(&world).unwrap();
        let world = Setup::new(kind, 1).rules(&[("own", Allow::Read)]).make();
        assert_eq!(held(&world).unwrap_err().code(), ErrorCode::PolicyDenied);
        let file = wait(world.workspace.open("own", READ)).unwrap();
        wait(file.read_at(0, 1)).unwrap();
        for refused in [
            wait(file.write_at(0, Bytes::from_static(b"x"))),
            wait(file.set_attributes(Attributes::default())),
        ] {
            assert_eq!(refused.unwrap_err().code(), ErrorCode::PolicyDenied);
        }
    }
}

#[test]
fn the_application_is_asked_about_an_open_by_what_may_be_done_with_it() {
    for (options, verbs) in [
        (READ, &["read"][..]),
        (WRITE, &["write"]),
        (BOTH, &["read", "write"]),
    ] {
        let hook = Hook::always(agent_backend::access::Decision::Allow);
        let world = Setup::new(Kind::Kernel, 1).hook(hook.clone()).make();
        let file = wait(world.workspace.open("own", options)).unwrap();
        let _ = wait(file.stat());
        let asked = hook.asked();
        let told: Vec<_> = asked.iter().map(|request| request.operation).collect();
        assert_eq!(told, verbs);
    }
    let hook = Hook::always(agent_backend::access::Decision::Allow);
    let world = Setup::new(Kind::Kernel, 1).hook(hook.clone()).make();
    let cut = Attributes {
        size: Some(0),
        ..Attributes::default()
    };
    wait(world.workspace.set_attributes("own", true, cut)).unwrap();
    wait(world.workspace.stage("own", WriteOptions::default())).unwrap();
    wait(
        world
            .workspace
            .set_attributes("own", true, Attributes::default()),
    )
    .unwrap();
    let asked = hook.asked();
    let told: Vec<_> = asked.iter().map(|request| request.operation).collect();
    assert_eq!(told, ["write", "write", "setstat"]);
}

#[test]
fn a_command_that_runs_is_fed_only_by_who_may_run_commands() {
    let world = Setup::new(Kind::Kernel, 1).make();
    let principal = |rights| ScopeOptions {
        rights,
        principal: Some("somebody".into()),
        ..ScopeOptions::default()
    };
    let may = world.workspace.scope("", principal(Rights::ALL)).unwrap();
    let may_not = world.workspace.scope("", principal(NONE)).unwrap();
    let command = wait(may.spawn("cat", RunOptions::default())).unwrap();
    let found = may_not.background_command(command.id()).unwrap();
    let refused = wait(found.write_stdin(Bytes::from_static(b"x"))).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PolicyDenied);
    wait(command.write_stdin(Bytes::from_static(b"fed"))).unwrap();
    command.close_stdin();
    wait(command.wait()).unwrap();
    assert_eq!(found.output().stdout, b"fed");
}
