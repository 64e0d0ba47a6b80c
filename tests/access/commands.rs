//! What commands see of what the rules protect, and where there are none of them.

use agent_backend::access::{AccessPolicy, AccessRule, Allow};
use agent_backend::backend::local::command::Isolation;
use agent_backend::backend::{RemoveOptions, RenameOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{CommandOutput, RunOptions, Workspace};

use crate::skip::skip;
use crate::world::{CANARY, DEPTHS, Kind, Setup, World, denied, wait};

/// A world whose commands run behind a wall; `None` where there is none here.
fn walled(depth: usize, rules: &[(&'static str, Allow)]) -> Option<World> {
    let world = Setup::new(Kind::Kernel, depth)
        .rules(rules)
        .isolation(Isolation::Bwrap)
        .make();
    match wait(world.open.run("true", RunOptions::default())) {
        Ok(_) => Some(world),
        Err(error) => {
            skip(&format!("no sandbox starts here: {error}"));
            None
        }
    }
}

fn run(workspace: &Workspace, command: &str) -> CommandOutput {
    wait(workspace.run(command, RunOptions::default())).unwrap()
}

fn printed(workspace: &Workspace, command: &str) -> String {
    let output = run(workspace, command);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn in_directory(cwd: &str) -> RunOptions {
    RunOptions {
        cwd: Some(cwd.as_bytes().to_vec()),
        ..RunOptions::default()
    }
}

#[test]
fn what_is_hidden_is_not_seen_by_commands_and_what_is_readable_not_changed() {
    for depth in DEPTHS {
        let rules = [
            ("secret/**", Allow::None),
            ("*.key", Allow::None),
            ("pub/d/**", Allow::Read),
            ("own", Allow::Read),
        ];
        let Some(world) = walled(depth, &rules) else {
            return;
        };
        let (open, workspace) = (&world.open, &world.workspace);
        let find = "grep -rs canary . ; cat secret/a pub/holds/app.key; ls secret";
        assert_eq!(printed(open, find).matches(CANARY).count(), 5);
        assert!(
            !printed(workspace, find).contains(CANARY),
            "{}",
            printed(workspace, find)
        );
        let change = "for f in pub/d/q own secret/a pub/holds/app.key; do echo x >> $f; rm -f $f; mv $f y; done; \
                      rm -rf secret pub/d pub/holds; mkdir secret/x; touch secret/new pub/d/new; ln own hard; true";
        let before = world.snapshot();
        run(workspace, change);
        assert_eq!(world.snapshot(), before, "depth {depth}");
        // Everything else works, and what was read-only can be read.
        assert_eq!(
            printed(
                workspace,
                "cat pub/d/q own; echo new > pub/new; mv pub/new pub/n2; cat pub/n2"
            ),
            "plainplainnew\n"
        );
        run(open, "cp own own2; mv own2 own");
        run(open, change);
        assert_ne!(
            world.snapshot(),
            before,
            "the canary: without masks it is all gone"
        );
    }
}

#[test]
fn the_parents_of_what_is_hidden_cannot_be_moved_away_under_it() {
    let rules = [
        ("pub/holds/app.key", Allow::None),
        ("secret/deep/b", Allow::Read),
    ];
    let Some(world) = walled(1, &rules) else {
        return;
    };
    let before = world.snapshot();
    for command in [
        "mv pub other",
        "mv pub/holds pub/other",
        "mv pub/holds .",
        "mv secret other",
        "mv secret/deep other",
        "rm -rf pub/holds secret/deep; mkdir -p pub/holds",
        "mkdir x; mv -T x pub/holds; rmdir x",
        "python3 -c 'import os; os.rename(\"pub\", \"other\")' 2>&1; perl -e 'rename \"pub\", \"other\"'; true",
    ] {
        run(&world.workspace, command);
        run(&world.workspace, "rm -rf other x; true");
        let held = world.get("pub/holds/app.key");
        assert_eq!(held.as_deref(), Some(CANARY), "{command}");
        assert_eq!(
            world.get("secret/deep/b").as_deref(),
            Some(CANARY),
            "{command}"
        );
        assert!(
            !printed(&world.workspace, "grep -rs canary pub other").contains(CANARY),
            "{command}"
        );
    }
    let lost = before
        .iter()
        .filter(|line| line.contains(CANARY) && !world.snapshot().contains(line));
    assert_eq!(lost.count(), 0);
    // The canary: without masks one rename is enough.
    run(&world.open, "mv pub other");
    assert!(printed(&world.workspace, "cat other/holds/app.key").contains(CANARY));
}

#[test]
fn a_scope_that_may_only_be_read_is_read_only_for_commands() {
    for depth in DEPTHS {
        let Some(world) = walled(depth, &[("**", Allow::Read)]) else {
            return;
        };
        let before = world.snapshot();
        let out = printed(
            &world.workspace,
            "cat own; touch new; echo x > own; rm -rf pub; mkdir d; true",
        );
        assert!(out.starts_with("plain"), "{out}");
        assert!(out.contains("Read-only file system"), "{out}");
        assert_eq!(world.snapshot(), before);
        // Commands have somewhere to write all the same.
        assert_eq!(
            printed(&world.workspace, "echo t > /tmp/t && cat /tmp/t"),
            "t\n"
        );
    }
}

#[test]
fn of_a_hidden_tree_commands_see_what_an_earlier_rule_gives() {
    for depth in DEPTHS {
        let rules = [
            ("pub/d/**", Allow::Write),
            ("pub/p", Allow::Read),
            ("**", Allow::None),
        ];
        let Some(world) = walled(depth, &rules) else {
            return;
        };
        let seen = printed(&world.workspace, "find . | sort");
        assert_eq!(seen, ".\n./pub\n./pub/d\n./pub/d/q\n./pub/p\n");
        let tried = printed(
            &world.workspace,
            "cat pub/p; echo x > pub/d/new; cat pub/d/new; touch pub/new new; echo x > pub/p; true",
        );
        assert!(tried.starts_with("plainx\n"), "{tried}");
        assert_eq!(world.get("pub/d/new").as_deref(), Some("x\n"));
        assert_eq!(world.get("pub/p").as_deref(), Some("plain"));
        assert!(world.get("new").is_none() && world.get("pub/new").is_none());
        assert_eq!(world.get("secret/a").as_deref(), Some(CANARY));
    }
}

#[test]
fn a_part_of_what_may_only_be_read_can_be_written_where_an_earlier_rule_says_so() {
    let rules = [
        ("pub/d/**", Allow::Write),
        ("pub/**", Allow::Read),
        ("secret/deep/b", Allow::Read),
        ("secret/**", Allow::None),
    ];
    let Some(world) = walled(1, &rules) else {
        return;
    };
    let out = printed(
        &world.workspace,
        "echo x > pub/d/q; echo x > pub/p; cat secret/deep/b; ls secret; cat secret/a; true",
    );
    assert!(out.contains(CANARY), "{out}");
    assert_eq!(world.get("pub/d/q").as_deref(), Some("x\n"));
    assert_eq!(world.get("pub/p").as_deref(), Some("plain"));
    assert!(out.contains("deep") && !out.contains("\na\n"), "{out}");
    assert_eq!(out.matches(CANARY).count(), 1);
}

#[test]
fn links_and_odd_files_in_the_way_of_a_mask_lead_nowhere() {
    let Some(world) = walled(1, &[("secret/**", Allow::None), ("odd*", Allow::None)]) else {
        return;
    };
    std::os::unix::fs::symlink("/etc/hostname", world.ground.join("odd-link")).unwrap();
    std::os::unix::fs::symlink("secret", world.ground.join("pub/link")).unwrap();
    run(
        &world.open,
        "mkfifo odd-pipe; ln -s ../secret pub/to; mkdir odd-dir; echo c > odd-dir/c",
    );
    let out = printed(
        &world.workspace,
        "cat pub/to/a; ls pub/to; ls odd-dir; test -w /etc/hostname || echo fine",
    );
    assert!(!out.contains(CANARY), "{out}");
    assert!(out.contains("fine\n"), "{out}");
}

#[test]
fn a_directory_that_cannot_be_looked_through_is_no_place_to_hide() {
    let Some(world) = walled(0, &[("*.key", Allow::None)]) else {
        return;
    };
    let deep: String = vec!["d"; 300].join("/");
    let root = world.ground.clone();
    std::fs::create_dir_all(root.join(&deep)).unwrap();
    let error = denied(world.workspace.run("true", RunOptions::default()));
    assert!(error.message().contains("too deep"), "{error}");
}

#[test]
fn more_masks_than_a_sandbox_takes_are_refused_with_advice() {
    let Some(world) = walled(0, &[("*.key", Allow::None), ("many/**", Allow::Read)]) else {
        return;
    };
    // The many that one rule about a directory covers are one mask.
    let make = "mkdir -p many keys; cd many; for i in $(seq 3000); do : > $i; done; cd ../keys; for i in $(seq 2600); do : > $i.key; done";
    assert_eq!(run(&world.open, make).exit_code, Some(0));
    assert_eq!(
        printed(
            &world.workspace,
            "cat keys/*.key 2>&1 | grep -c denied; echo x > many/1"
        )
        .lines()
        .next(),
        Some("2600")
    );
    assert_eq!(
        run(
            &world.open,
            "cd keys; for i in $(seq 3000); do : > more$i.key; done"
        )
        .exit_code,
        Some(0)
    );
    let error = denied(world.workspace.run("true", RunOptions::default()));
    assert!(
        error.message().contains("name directories instead"),
        "{error}"
    );
}

#[test]
fn without_a_sandbox_no_command_begins_where_rules_protect_something() {
    for isolation in [Isolation::None, Isolation::Software] {
        for depth in DEPTHS {
            for rules in [
                &[("secret/**", Allow::None)][..],
                &[("*.key", Allow::Read)],
                &[("**", Allow::Read)],
            ] {
                let world = Setup::new(Kind::Kernel, depth)
                    .rules(rules)
                    .isolation(isolation)
                    .make();
                assert!(printed(&world.open, "cat secret/a").contains(CANARY));
                let error = denied(world.workspace.run("touch ran", RunOptions::default()));
                assert!(error.message().contains("'bwrap'"), "{error}");
                denied(world.workspace.exec("touch ran", in_directory("pub")));
                denied(world.workspace.spawn("touch ran", RunOptions::default()));
                assert!(world.get("ran").is_none() && world.get("pub/ran").is_none());
            }
            // Rules that give everything, or reach somewhere else only, are in nobody's way.
            let world = Setup::new(Kind::Kernel, depth)
                .rules(&[("secret/**", Allow::Write)])
                .isolation(isolation)
                .make();
            assert_eq!(run(&world.workspace, "touch ran").exit_code, Some(0));
        }
    }
    let world = Setup::new(Kind::Kernel, 0)
        .rules(&[("secret/**", Allow::None)])
        .make();
    let scope = world.workspace.scope("pub", Default::default()).unwrap();
    assert_eq!(run(&scope, "touch ran").exit_code, Some(0));
}

#[test]
fn no_command_begins_in_a_hidden_place_or_where_a_rule_says_so() {
    let world = Setup::new(Kind::Kernel, 1).make();
    let rule = |pattern: &str, exec| AccessRule {
        pattern: pattern.into(),
        allow: Allow::Write,
        exec,
    };
    let policy = AccessPolicy::new(vec![rule("/pub/d", true), rule("/pub", false)]).unwrap();
    let backend = agent_backend::backend::local::LocalBackend::open(
        agent_backend::backend::local::LocalOptions {
            root_dir: world.ground.clone(),
            state_dir: Some(world.state.clone()),
            command: agent_backend::backend::local::command::CommandOptions {
                isolation: Isolation::None,
                ..Default::default()
            },
            ..Default::default()
        },
    );
    let options = agent_backend::workspace::WorkspaceOptions {
        access: Some(policy),
        ..Default::default()
    };
    let workspace = Workspace::new(backend.unwrap(), options, Default::default());
    world.link("pub", "link");
    for (cwd, allowed) in [
        ("", true),
        ("pub", false),
        ("pub/holds", false),
        ("link", false),
        ("link/holds", false),
        ("pub/d", true),
        ("link/d", true),
    ] {
        for outcome in [
            wait(workspace.run("touch ran", in_directory(cwd))).map(drop),
            wait(workspace.exec("touch ran", in_directory(cwd))).map(drop),
        ] {
            match outcome {
                Ok(()) => assert!(allowed, "{cwd}"),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::PolicyDenied);
                    assert!(!allowed, "{cwd}: {error}");
                    assert!(error.message().contains("lets no command begin"), "{error}");
                }
            }
        }
        assert_eq!(world.ground.join(cwd).join("ran").exists(), allowed);
    }
    // A scope whose root the rule covers runs none, wherever in it.
    let scope = workspace.scope("pub", Default::default()).unwrap();
    denied(scope.run("true", RunOptions::default()));
    denied(scope.run("true", in_directory("d")));
    // A directory beside its commands is no longer theirs.
    wait(workspace.rename("pub/d", "moved", RenameOptions::default())).unwrap();
    wait(workspace.remove(
        "moved",
        RemoveOptions {
            recursive: true,
            force: false,
            ..RemoveOptions::default()
        },
    ))
    .unwrap();
    let hidden = Setup::new(Kind::Kernel, 1)
        .rules(&[("secret/**", Allow::None)])
        .make();
    denied(hidden.workspace.run("true", in_directory("secret")));
}

#[test]
fn a_refused_change_ends_no_command() {
    let world = Setup::new(Kind::Kernel, 0)
        .rules(&[("a/b/**", Allow::Read)])
        .make();
    world.put("a/b/c", "kept");
    let scope = world.workspace.scope("a/x", Default::default()).unwrap();
    let running = wait(scope.spawn("sleep 30", RunOptions::default())).unwrap();
    denied(
        world
            .workspace
            .rename("a", "other", RenameOptions::default()),
    );
    denied(world.workspace.remove(
        "a",
        RemoveOptions {
            recursive: true,
            force: true,
            ..RemoveOptions::default()
        },
    ));
    assert!(matches!(
        running.status(),
        agent_backend::workspace::CommandStatus::Running
    ));
    wait(world.workspace.destroy()).unwrap();
}
