//! Links give second names; what they lead to is judged by its own.

use agent_backend::access::Allow;
use agent_backend::backend::Content;
use agent_backend::backend::{ListOptions, ReadOptions, WriteMode, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::SearchOptions;

use crate::operations::{Effect, OPERATIONS};
use crate::world::{CANARY, DEPTHS, ON_DISK, Setup, World, denied, wait};

/// Links to the file `secret/a` and to the directory `secret/deep`, in every spelling that stays inside.
fn plant(world: &World) -> Vec<(&'static str, bool)> {
    let ground = world.ground.clone();
    world.link("../secret/a", "pub/to-file");
    world.link(ground.join("secret/a"), "pub/absolute");
    world.link("to-file", "pub/chain");
    world.link("../secret/deep", "pub/to-directory");
    world.link("../secret", "pub/to-parent");
    world.link(ground.join("secret/deep"), "pub/absolute-directory");
    vec![
        ("pub/to-file", false),
        ("pub/absolute", false),
        ("pub/chain", false),
        ("pub/to-parent/a", false),
        ("pub/to-directory", true),
        ("pub/absolute-directory", true),
        ("pub/to-parent/deep", true),
    ]
}

#[test]
fn a_link_is_judged_as_what_it_leads_to() {
    let mut cases = 0;
    for kind in ON_DISK {
        for depth in DEPTHS {
            for operation in OPERATIONS {
                for allow in [Allow::None, Allow::Read] {
                    let world = Setup::new(kind, depth)
                        .rules(&[("secret/**", allow)])
                        .make();
                    let paths = plant(&world);
                    for (path, directory) in paths {
                        // What does not follow its last link acts on the link itself, which is nobody's secret.
                        let on_link = !operation.follows && !path.contains("to-parent");
                        if directory != operation.directory || on_link {
                            continue;
                        }
                        cases += 1;
                        let what = format!("{} {path} {kind:?} {depth} {allow:?}", operation.name);
                        let before = world.snapshot();
                        let seen = (operation.run)(&world.workspace, path);
                        let may = allow == Allow::Read && operation.effect == Effect::Looks;
                        match seen {
                            Ok(_) => assert!(may, "{what} was done"),
                            Err(code) => {
                                assert_eq!(code, ErrorCode::PolicyDenied, "{what}");
                                assert!(!may, "{what} was refused");
                                assert_eq!(world.snapshot(), before, "{what}");
                            }
                        }
                    }
                }
            }
        }
    }
    println!("{cases} cases");
    assert!(cases >= 1_500, "{cases}");
}

#[test]
fn without_the_policy_each_of_these_links_reaches_the_canary() {
    for kind in ON_DISK {
        let world = Setup::new(kind, 1).make();
        for (path, directory) in plant(&world) {
            let file = if directory {
                format!("{path}/b")
            } else {
                path.to_owned()
            };
            let read = wait(world.workspace.read(&file, ReadOptions::default())).unwrap();
            assert_eq!(read.bytes, CANARY.as_bytes(), "{path}");
        }
    }
}

#[test]
fn a_link_to_something_hidden_does_not_exist_and_is_not_told_where_it_leads() {
    for kind in ON_DISK {
        let world = Setup::new(kind, 1)
            .rules(&[("secret/**", Allow::None)])
            .make();
        for (path, _) in plant(&world) {
            assert!(wait(world.open.exists(path)).unwrap());
            assert!(!wait(world.workspace.exists(path)).unwrap(), "{path}");
            denied(world.workspace.real_path(path));
        }
        // The links themselves are there, and may be removed.
        let entries = wait(world.workspace.list("pub", ListOptions::default())).unwrap();
        assert!(entries.iter().any(|entry| entry.name == b"to-file"));
        wait(world.workspace.remove("pub/to-file", Default::default())).unwrap();
        assert_eq!(world.get("secret/a").as_deref(), Some(CANARY));
    }
}

#[test]
fn a_link_to_what_is_not_there_yet_makes_nothing_in_a_protected_place() {
    for kind in ON_DISK {
        for allow in [Allow::None, Allow::Read] {
            let world = Setup::new(kind, 1).rules(&[("secret/**", allow)]).make();
            world.link("../secret/new", "pub/x");
            let text = || Content::owned("planted");
            let append = WriteOptions {
                mode: WriteMode::Append,
                ..WriteOptions::default()
            };
            for call in [
                world
                    .workspace
                    .write("pub/x", text(), WriteOptions::default())
                    .map(drop),
                world.workspace.write("pub/x", text(), append).map(drop),
                world.workspace.touch("pub/x"),
            ] {
                denied(call);
            }
            assert_eq!(world.get("secret/new"), None);
            // The canary: the same link makes the file where no policy holds.
            wait(world.open.touch("pub/x")).unwrap();
            assert!(world.get("secret/new").is_some());
        }
    }
}

#[test]
fn a_search_that_starts_from_a_link_judges_what_is_really_there() {
    for kind in ON_DISK {
        let world = Setup::new(kind, 1)
            .rules(&[("pub/d/q", Allow::None)])
            .make();
        world.link("pub/d", "there");
        let found = |workspace: &agent_backend::workspace::Workspace| {
            wait(workspace.glob("there", "**", false, SearchOptions::default()))
                .unwrap()
                .entries
                .len()
        };
        assert_eq!(found(&world.open), 1);
        assert_eq!(found(&world.workspace), 0);
        assert!(
            wait(world.workspace.list("there", ListOptions::default()))
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn a_link_that_stays_among_what_is_allowed_works() {
    for kind in ON_DISK {
        let world = Setup::new(kind, 2)
            .rules(&[("secret/**", Allow::None)])
            .make();
        world.link("../pub/p", "pub/again");
        assert!(wait(world.workspace.read("pub/again", ReadOptions::default())).is_ok());
        let written =
            world
                .workspace
                .write("pub/again", Content::owned("new"), WriteOptions::default());
        wait(written).unwrap();
        assert_eq!(world.get("pub/p").as_deref(), Some("new"));
    }
}

#[test]
fn a_root_that_is_renamed_while_it_is_open_is_still_judged() {
    for kind in ON_DISK {
        let world = Setup::new(kind, 0)
            .rules(&[("secret/**", Allow::None)])
            .make();
        let moved = world.ground.with_file_name("moved");
        std::fs::rename(world.ground.parent().unwrap().join("root"), &moved).unwrap();
        assert!(wait(world.workspace.read("pub/p", ReadOptions::default())).is_ok());
        denied(world.workspace.read("secret/a", ReadOptions::default()));
        std::os::unix::fs::symlink("../secret/a", moved.join("pub/x")).unwrap();
        denied(world.workspace.read("pub/x", ReadOptions::default()));
    }
}
