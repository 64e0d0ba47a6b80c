//! The question to the application: when it is asked, what its answers do, and what happens without one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_backend::access::{AccessRequest, Allow, Decision};
use agent_backend::backend::{
    Content, ListOptions, ReadOptions, RemoveOptions, RenameOptions, WriteOptions,
};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{RunOptions, SearchOptions};
use tokio_util::sync::CancellationToken;

use crate::asking::{Hook, asked, forgotten};
use crate::operations::OPERATIONS;
use crate::world::{
    CANARY, DEPTHS, KINDS, Kind, ON_DISK, PLAIN, Setup, World, denied, prefix, wait,
};

fn target(directory: bool) -> &'static str {
    if directory { "secret/deep" } else { "secret/a" }
}

#[test]
fn every_operation_asks_once_and_does_what_the_answer_says() {
    for kind in KINDS {
        for depth in DEPTHS {
            for operation in OPERATIONS
                .iter()
                .filter(|operation| operation.name != "real path")
            {
                let at = target(operation.directory);
                for allow in [true, false] {
                    let decision = if allow {
                        Decision::Allow
                    } else {
                        Decision::Deny(None)
                    };
                    let hook = Hook::always(decision);
                    let world = Setup::new(kind, depth).hook(hook.clone()).make();
                    let before = world.snapshot();
                    let seen = (operation.run)(&world.workspace, at);
                    let what = format!("{} {kind:?} {depth}: {seen:?}", operation.name);
                    let asked = hook.asked();
                    assert_eq!(asked.len(), 1, "{what} {asked:?}");
                    assert!(
                        asked[0].path.to_string().starts_with(prefix(depth)),
                        "{what}"
                    );
                    assert_eq!(
                        format!("{}/", asked[0].scope).trim_start_matches('/'),
                        prefix(depth)
                    );
                    if allow {
                        assert!(seen.is_ok(), "{what}");
                    } else {
                        assert_eq!(seen.unwrap_err(), ErrorCode::PolicyDenied, "{what}");
                        assert_eq!(world.snapshot(), before, "{what}");
                    }
                    forgotten(&hook);
                }
            }
        }
    }
}

#[test]
fn a_question_says_operation_place_new_name_and_scope() {
    for kind in KINDS {
        let hook = Hook::always(Decision::Allow);
        let world = Setup::new(kind, 1).hook(hook.clone()).make();
        wait(
            world
                .workspace
                .rename("own", "pub/new", RenameOptions::default()),
        )
        .unwrap();
        wait(world.workspace.exists("/pub//p")).unwrap();
        wait(world.workspace.list("", ListOptions::default())).unwrap();
        let asked = hook.asked();
        let text = |request: &AccessRequest| {
            let to = request.to.as_ref().map(ToString::to_string);
            (
                request.operation,
                request.path.to_string(),
                to,
                request.scope.to_string(),
            )
        };
        let scope = || "tenants/1".to_owned();
        assert_eq!(
            asked.iter().map(text).collect::<Vec<_>>(),
            [
                (
                    "rename",
                    "tenants/1/own".into(),
                    Some("tenants/1/pub/new".into()),
                    scope()
                ),
                ("exists", "tenants/1/pub/p".into(), None, scope()),
                ("readdir", scope(), None, scope()),
            ]
        );
    }
}

#[test]
fn what_the_rules_refuse_is_not_asked() {
    for kind in KINDS {
        let hook = Hook::always(Decision::Allow);
        let world = Setup::new(kind, 1)
            .rules(&[("secret/**", Allow::None)])
            .hook(hook.clone())
            .make();
        denied(world.workspace.read("secret/a", ReadOptions::default()));
        denied(
            world
                .workspace
                .rename("own", "secret/x", RenameOptions::default()),
        );
        assert!(!wait(world.workspace.exists("secret/a")).unwrap());
        assert!(hook.asked().is_empty());
    }
    for kind in ON_DISK {
        let hook = Hook::always(Decision::Allow);
        let world = Setup::new(kind, 1)
            .rules(&[("secret/**", Allow::None)])
            .hook(hook.clone())
            .make();
        world.link("../secret/a", "pub/x");
        denied(world.workspace.read("pub/x", ReadOptions::default()));
        assert!(hook.asked().is_empty());
    }
}

#[test]
fn the_reason_of_a_refusal_is_told() {
    for kind in KINDS {
        let hook = Hook::always(Decision::Deny(Some("not on a Friday".into())));
        let world = Setup::new(kind, 0).hook(hook).make();
        let error = denied(world.workspace.remove("own", RemoveOptions::default()));
        assert!(error.message().ends_with("not on a Friday"), "{error}");
        assert_eq!((error.operation(), error.path()), (Some("rm"), Some("own")));
        assert!(!wait(world.workspace.exists("own")).unwrap());
    }
}

#[test]
fn a_hook_that_panics_or_does_not_answer_in_time_refuses() {
    for kind in KINDS {
        let at_once = Hook::new(|_| panic!("boom"));
        let later = Hook::new(|_| Box::pin(async { panic!("boom") }));
        for hook in [at_once, later] {
            let world = Setup::new(kind, 0).hook(hook.clone()).make();
            denied(world.workspace.read("own", ReadOptions::default()));
        }
        let hook = Hook::never();
        let setup = Setup {
            hook_timeout_ms: 50,
            ..Setup::new(kind, 0).hook(hook.clone())
        };
        let world = setup.make();
        let error = denied(world.workspace.read("own", ReadOptions::default()));
        assert!(error.message().contains("50 ms"), "{error}");
        forgotten(&hook);
    }
}

#[test]
fn a_question_ends_with_the_workspace_with_the_callers_wish_and_with_the_call() {
    let runtime = agent_backend::pool::runtime();
    for kind in KINDS {
        let hook = Hook::never();
        let world = Setup::new(kind, 1).hook(hook.clone()).make();
        let call = world
            .workspace
            .write("new", Content::owned("x"), WriteOptions::default());
        let task = asked(&hook, call);
        task.abort();
        forgotten(&hook);

        let cancel = CancellationToken::new();
        let options = SearchOptions {
            cancel: Some(cancel.clone()),
            ..SearchOptions::default()
        };
        let task = asked(&hook, world.workspace.glob("", "**", false, options));
        cancel.cancel();
        let outcome = runtime.block_on(task).unwrap();
        assert_eq!(outcome.unwrap_err().code(), ErrorCode::Aborted);
        forgotten(&hook);

        let call = world
            .workspace
            .write("new", Content::owned("x"), WriteOptions::default());
        let task = asked(&hook, call);
        drop(world.workspace.parent().unwrap().destroy());
        let outcome = runtime.block_on(task).unwrap();
        assert_eq!(outcome.unwrap_err().code(), ErrorCode::Destroyed);
        forgotten(&hook);
        if kind != Kind::Memory {
            assert!(!world.ground.join("new").exists());
        }
    }
}

#[test]
fn a_command_is_shown_with_its_directory_and_waits_for_the_answer() {
    let hook = Hook::new(|request| {
        let allow = request.command.as_deref() == Some("cat p");
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(120)).await;
            if allow {
                Decision::Allow
            } else {
                Decision::Deny(Some("no".into()))
            }
        })
    });
    let world = Setup::new(Kind::Kernel, 1).hook(hook.clone()).make();
    let options = || RunOptions {
        cwd: Some(b"pub".to_vec()),
        // Less than the answer takes: waiting for a person is not the command's time.
        timeout_ms: Some(100),
        ..RunOptions::default()
    };
    let done = wait(world.workspace.exec(
        "cat p",
        RunOptions {
            timeout_ms: Some(5_000),
            ..options()
        },
    ))
    .unwrap();
    assert_eq!(done.stdout, PLAIN.as_bytes());
    let error = denied(world.workspace.run("touch ran", options()));
    assert_eq!(error.operation(), Some("run"));
    denied(world.workspace.spawn("touch ran", options()));
    assert!(world.get("pub/ran").is_none());
    let asked = hook.asked();
    let told: Vec<_> = asked
        .iter()
        .map(|r| (r.operation, r.path.to_string(), r.command.clone().unwrap()))
        .collect();
    let place = || "tenants/1/pub".to_owned();
    assert_eq!(
        told,
        [
            ("exec", place(), "cat p".into()),
            ("run", place(), "touch ran".into()),
            ("spawn", place(), "touch ran".into())
        ]
    );
}

#[test]
fn a_command_that_waits_for_an_answer_can_be_aborted() {
    let hook = Hook::never();
    let world = Setup::new(Kind::Kernel, 0).hook(hook.clone()).make();
    let cancel = CancellationToken::new();
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::default()
    };
    let task = asked(&hook, world.workspace.run("touch ran", options));
    cancel.cancel();
    let outcome = agent_backend::pool::runtime().block_on(task).unwrap();
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::Aborted);
    forgotten(&hook);
    assert!(world.get("ran").is_none());
}

/// The application is asked about a harmless file, and while it thinks the name comes to lead elsewhere.
#[test]
fn an_approval_is_not_good_for_what_came_into_its_place() {
    for kind in ON_DISK {
        for hidden in [true, false] {
            for operation in OPERATIONS
                .iter()
                .filter(|o| !o.directory && o.follows && o.name != "real path")
            {
                let ground = Arc::new(Mutex::new(std::path::PathBuf::new()));
                let at = Arc::clone(&ground);
                let hook = Hook::new(move |_| {
                    let at = at.lock().unwrap().clone();
                    std::fs::remove_file(at.join("pub/x")).unwrap();
                    std::os::unix::fs::symlink("../secret/a", at.join("pub/x")).unwrap();
                    Box::pin(std::future::ready(Decision::Allow))
                });
                let setup = Setup::new(kind, 1).hook(hook.clone());
                let world = match hidden {
                    true => setup.rules(&[("secret/**", Allow::None)]).make(),
                    false => setup.make(),
                };
                *ground.lock().unwrap() = world.ground.clone();
                world.put("pub/x", "harmless");
                let seen = (operation.run)(&world.workspace, "pub/x");
                assert_eq!(hook.asked()[0].path.to_string(), "tenants/1/pub/x");
                assert_eq!(
                    seen,
                    Err(ErrorCode::PolicyDenied),
                    "{} {kind:?}",
                    operation.name
                );
                assert_eq!(
                    world.get("secret/a").as_deref(),
                    Some(CANARY),
                    "{}",
                    operation.name
                );
                // The canary: with an approval that looked no further the same path leads there.
                assert_eq!(world.get("pub/x").as_deref(), Some(CANARY));
            }
        }
    }
}

#[test]
fn a_hook_sees_where_a_link_leads() {
    for kind in ON_DISK {
        let hook = Hook::always(Decision::Allow);
        let world: World = Setup::new(kind, 1).hook(hook.clone()).make();
        world.link("../secret/a", "pub/x");
        let read = wait(world.workspace.read("pub/x", ReadOptions::default())).unwrap();
        assert_eq!(read.bytes, CANARY.as_bytes());
        wait(world.workspace.lstat("pub/x")).unwrap();
        wait(world.workspace.remove("pub/x", RemoveOptions::default())).unwrap();
        let paths: Vec<String> = hook.asked().iter().map(|r| r.path.to_string()).collect();
        assert_eq!(
            paths,
            ["tenants/1/secret/a", "tenants/1/pub/x", "tenants/1/pub/x"]
        );
    }
}
