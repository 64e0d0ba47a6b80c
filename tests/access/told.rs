//! What listings and searches tell: nothing of what is hidden, everything else.

use agent_backend::access::Allow;
use agent_backend::backend::ListOptions;
use agent_backend::backend::search::GrepQuery;
use agent_backend::workspace::{SearchOptions, Workspace};

use crate::world::{CANARY, DEPTHS, KINDS, Setup, wait};

fn names(workspace: &Workspace, path: &str) -> Vec<String> {
    let mut names = Vec::new();
    for with_stat in [false, true] {
        let entries = wait(workspace.list(path, ListOptions { with_stat })).unwrap();
        let listed: Vec<String> = entries
            .into_iter()
            .map(|entry| String::from_utf8(entry.name).unwrap())
            .collect();
        assert!(names.is_empty() || names == listed);
        names = listed;
    }
    names
}

fn found(workspace: &Workspace, base: &str) -> Vec<String> {
    let entries = wait(workspace.glob(base, "**", true, SearchOptions::default())).unwrap();
    let globbed: Vec<String> = entries.entries.iter().map(|e| e.path.to_string()).collect();
    let tree = wait(workspace.tree(base, None, SearchOptions::default())).unwrap();
    let drawn: Vec<String> = tree
        .entries
        .iter()
        .map(|e| e.entry.path.to_string())
        .collect();
    assert_eq!(globbed, drawn);
    globbed
}

fn grepped(workspace: &Workspace, base: &str, pattern: &str) -> Vec<String> {
    let query = GrepQuery {
        pattern: pattern.into(),
        ..GrepQuery::default()
    };
    let lines = wait(workspace.grep(base, query, SearchOptions::default())).unwrap();
    lines
        .lines
        .iter()
        .map(|line| line.path.to_string())
        .collect()
}

#[test]
fn what_is_hidden_is_left_out_and_its_content_never_read() {
    for kind in KINDS {
        for depth in DEPTHS {
            let world = Setup::new(kind, depth)
                .rules(&[("secret/**", Allow::None), ("*.key", Allow::None)])
                .make();
            let (open, workspace) = (&world.open, &world.workspace);
            assert_eq!(names(open, ""), ["own", "pub", "secret"]);
            assert_eq!(names(workspace, ""), ["own", "pub"]);
            assert_eq!(names(open, "pub/holds"), ["app.key"]);
            assert!(names(workspace, "pub/holds").is_empty());
            assert!(found(open, "").contains(&"secret/deep/b".to_owned()));
            let visible = ["own", "pub", "pub/d", "pub/d/q", "pub/holds", "pub/p"];
            assert_eq!(found(workspace, ""), visible);
            assert_eq!(found(workspace, "pub"), visible[2..]);
            assert_eq!(grepped(open, "", CANARY).len(), 3);
            assert!(grepped(workspace, "", CANARY).is_empty());
            assert_eq!(grepped(workspace, "", "plain").len(), 3);
        }
    }
}

#[test]
fn what_may_be_read_is_told() {
    for kind in KINDS {
        let world = Setup::new(kind, 1).rules(&[("**", Allow::Read)]).make();
        assert_eq!(names(&world.workspace, ""), ["own", "pub", "secret"]);
        assert_eq!(found(&world.workspace, ""), found(&world.open, ""));
        assert_eq!(grepped(&world.workspace, "", CANARY).len(), 3);
    }
}

#[test]
fn of_a_hidden_tree_only_what_an_earlier_rule_gives_is_shown_with_the_way_to_it() {
    for kind in KINDS {
        for depth in DEPTHS {
            let world = Setup::new(kind, depth)
                .rules(&[("pub/d/**", Allow::Write), ("**", Allow::None)])
                .make();
            let workspace = &world.workspace;
            assert_eq!(names(workspace, ""), ["pub"]);
            assert_eq!(names(workspace, "pub"), ["d"]);
            assert_eq!(found(workspace, ""), ["pub", "pub/d", "pub/d/q"]);
            assert!(grepped(workspace, "", CANARY).is_empty());
            assert_eq!(grepped(workspace, "", "plain"), ["pub/d/q"]);
            wait(workspace.touch("pub/d/new")).unwrap();
            for refused in ["pub/new", "new", "secret/a", "own"] {
                assert!(wait(workspace.touch(refused)).is_err(), "{refused}");
            }
        }
    }
}

#[test]
fn hidden_ignore_files_say_nothing() {
    for kind in KINDS {
        for (base, pattern) in [("", "*.gitignore"), ("pub", ".gitignore")] {
            let ignoring = SearchOptions {
                respect_gitignore: true,
                ..SearchOptions::default()
            };
            let world = Setup::new(kind, 0).rules(&[(pattern, Allow::None)]).make();
            world.put(".gitignore", "p\nq\n");
            let look = |workspace: &Workspace| {
                let tree = wait(workspace.tree(base, None, ignoring.clone())).unwrap();
                tree.entries
                    .iter()
                    .any(|e| e.entry.path.as_bytes() == b"pub/p")
            };
            assert!(!look(&world.open), "the file is respected");
            assert!(look(&world.workspace), "{kind:?} {base:?}");
        }
    }
}
