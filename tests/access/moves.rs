//! What holds something protected is neither moved nor removed, and nothing is moved onto or into it.

use agent_backend::access::Allow;
use agent_backend::backend::{ReadOptions, Removable, RemoveOptions, RenameOptions};
use agent_backend::workspace::Workspace;

use crate::world::{CANARY, DEPTHS, KINDS, Setup, denied, wait};

const RECURSIVE: RemoveOptions = RemoveOptions {
    recursive: true,
    force: false,
    only: Removable::Anything,
};

fn rename(workspace: &Workspace, from: &str, to: &str) -> agent_backend::call::Call<()> {
    workspace.rename(from, to, RenameOptions::default())
}

type RulesAndMoves = (
    &'static [(&'static str, Allow)],
    &'static [(&'static str, &'static str)],
);

/// Rules, and moves that they forbid.
const FORBIDDEN: &[RulesAndMoves] = &[
    (
        &[("pub/holds/app.key", Allow::None)],
        &[
            ("pub", "free"),
            ("pub/holds", "free"),
            ("pub", "pub2/x/y"),
            ("pub/holds", "own2"),
        ],
    ),
    (
        &[("*.key", Allow::Read)],
        &[("pub", "free"), ("pub/holds", "free")],
    ),
    (&[("secret/deep/**", Allow::Read)], &[("secret", "free")]),
    // Onto it, and into it.
    (
        &[("secret/a", Allow::Read)],
        &[("own", "secret/a"), ("pub/p", "secret/a")],
    ),
    (
        &[("secret/**", Allow::Read)],
        &[
            ("own", "secret/x"),
            ("pub", "secret/x"),
            ("pub/d", "secret/new"),
        ],
    ),
    // What would be protected where it comes to lie.
    (&[("free/d/q", Allow::Read)], &[("pub", "free")]),
    (&[("free/*/q", Allow::None)], &[("pub", "free")]),
    // An earlier rule gives only a part.
    (
        &[("pub/d/**", Allow::Write), ("pub/**", Allow::Read)],
        &[("pub", "free"), ("pub/holds", "free")],
    ),
];

#[test]
fn a_directory_that_holds_something_protected_stays_where_it_is() {
    let mut cases = 0;
    for kind in KINDS {
        for depth in DEPTHS {
            for (rules, moves) in FORBIDDEN {
                for (from, to) in *moves {
                    cases += 1;
                    let free = Setup::new(kind, depth).make();
                    wait(rename(&free.workspace, from, to)).unwrap();
                    let world = Setup::new(kind, depth).rules(rules).make();
                    let before = world.snapshot();
                    denied(rename(&world.workspace, from, to));
                    let keep = RenameOptions {
                        keep_existing: true,
                        ..RenameOptions::default()
                    };
                    assert!(wait(world.workspace.rename(*from, *to, keep)).is_err());
                    assert_eq!(world.snapshot(), before, "{kind:?} {from} {to}");
                }
            }
        }
    }
    println!("{cases} cases");
}

#[test]
fn a_directory_that_holds_something_protected_is_not_removed_not_even_in_part() {
    for kind in KINDS {
        for depth in DEPTHS {
            for allow in [Allow::None, Allow::Read] {
                for (rule, path) in [
                    ("*.key", "pub"),
                    ("*.key", "pub/holds"),
                    ("secret/deep/b", "secret"),
                    ("secret/deep/**", "secret"),
                ] {
                    let free = Setup::new(kind, depth).make();
                    wait(free.workspace.remove(path, RECURSIVE)).unwrap();
                    let world = Setup::new(kind, depth).rules(&[(rule, allow)]).make();
                    let before = world.snapshot();
                    denied(world.workspace.remove(path, RECURSIVE));
                    assert_eq!(world.snapshot(), before, "{kind:?} {rule} {path}");
                }
            }
        }
    }
}

#[test]
fn what_holds_nothing_protected_is_moved_and_removed_as_ever() {
    for kind in KINDS {
        for depth in DEPTHS {
            let world = Setup::new(kind, depth)
                .rules(&[
                    ("*.key", Allow::None),
                    ("secret/**", Allow::Read),
                    ("free/x", Allow::None),
                ])
                .make();
            let workspace = &world.workspace;
            wait(rename(workspace, "pub/d", "moved/far/d")).unwrap();
            wait(rename(workspace, "moved", "free")).unwrap();
            wait(rename(workspace, "free/far/d/q", "own")).unwrap();
            wait(workspace.remove("free", RECURSIVE)).unwrap();
            wait(workspace.remove("own", RemoveOptions::default())).unwrap();
            wait(workspace.create_dir("a/b/c", true)).unwrap();
            wait(workspace.remove("a/b/c", RemoveOptions::default())).unwrap();
        }
    }
}

#[test]
fn a_second_name_for_the_parent_does_not_open_what_is_in_it() {
    for kind in KINDS {
        let world = Setup::new(kind, 0)
            .rules(&[("secret/**", Allow::None)])
            .make();
        // The canary: moved by somebody else, the file is not protected any more. That is why nobody may.
        denied(rename(&world.workspace, "secret", "open"));
        wait(rename(&world.open, "secret", "open")).unwrap();
        let read = wait(world.workspace.read("open/a", ReadOptions::default())).unwrap();
        assert_eq!(read.bytes, CANARY.as_bytes());
    }
}
