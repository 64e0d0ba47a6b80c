//! Every operation on something that the rules cover, at every level that they give.

use agent_backend::access::Allow;
use agent_backend::backend::search::GrepQuery;
use agent_backend::backend::{
    Content, ListOptions, OpenOptions, ReadOptions, RemoveOptions, RenameOptions, WriteMode,
    WriteOptions,
};
use agent_backend::call::Call;
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{Edit, EditOptions, SearchOptions, Workspace};

use crate::opening::{MODE, READ, SIZE, TIME, UPLOAD, WRITE, bytes, staged};
use crate::world::{CANARY, DEPTHS, KINDS, Kind, Setup, wait};

/// What an operation does to what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Looks,
    Changes,
}

pub struct Operation {
    pub name: &'static str,
    pub effect: Effect,
    /// Whether it follows a link at the end of its path.
    pub follows: bool,
    /// On the file `secret/a`, or with `d` on the directory `secret/deep`.
    pub directory: bool,
    pub run: fn(&Workspace, &str) -> Result<String, ErrorCode>,
}

macro_rules! operations {
    ($($name:literal, $effect:ident, $follows:literal, $directory:literal, |$w:ident, $p:ident| $call:expr;)*) => {
        pub const OPERATIONS: &[Operation] = &[$(Operation {
            name: $name,
            effect: Effect::$effect,
            follows: $follows,
            directory: $directory,
            run: |$w, $p| wait($call).map(|value| format!("{value:?}")).map_err(|error| error.code()),
        }),*];
    };
}

operations! {
    "read", Looks, true, false, |w, p| w.read(p, ReadOptions::default());
    "read a range", Looks, true, false, |w, p| w.read(p, ReadOptions { range: Some(0..64), max_bytes: Some(1 << 20) });
    "stat", Looks, true, false, |w, p| w.stat(p);
    "lstat", Looks, false, false, |w, p| w.lstat(p);
    "real path", Looks, true, false, |w, p| w.real_path(p);
    "edit dry", Looks, true, false, |w, p| w.edit(p, edits(), EditOptions { dry_run: true, ..EditOptions::default() });
    "grep in a file", Looks, true, false, |w, p| w.grep(p, everything(), SearchOptions::default());
    "stat directory", Looks, true, true, |w, p| w.stat(p);
    "list", Looks, true, true, |w, p| w.list(p, ListOptions { with_stat: false });
    "list with stat", Looks, true, true, |w, p| w.list(p, ListOptions { with_stat: true });
    "glob", Looks, true, true, |w, p| w.glob(p, "**", true, SearchOptions::default());
    "grep", Looks, true, true, |w, p| w.grep(p, everything(), SearchOptions::default());
    "tree", Looks, true, true, |w, p| w.tree(p, None, SearchOptions { respect_gitignore: true, ..SearchOptions::default() });
    "stat below", Looks, true, true, |w, p| w.stat(format!("{p}/b"));
    "read below", Looks, true, true, |w, p| w.read(format!("{p}/b"), ReadOptions::default());
    "write", Changes, true, false, |w, p| w.write(p, text(), WriteOptions::default());
    "write with permissions", Changes, true, false, |w, p| w.write(p, text(), WriteOptions { permissions: Some(0o600), ..WriteOptions::default() });
    "append", Changes, true, false, |w, p| w.write(p, text(), mode(WriteMode::Append));
    "edit", Changes, true, false, |w, p| w.edit(p, edits(), EditOptions::default());
    "touch", Changes, true, false, |w, p| w.touch(p);
    "rm", Changes, false, false, |w, p| w.remove(p, RemoveOptions::default());
    "rm -rf", Changes, false, false, |w, p| w.remove(p, RemoveOptions { recursive: true, force: true, ..RemoveOptions::default() });
    "rename from", Changes, false, false, |w, p| w.rename(p, "stolen", RenameOptions::default());
    "rename keeping from", Changes, false, false, |w, p| w.rename(p, "stolen", KEEP);
    "rename to", Changes, false, false, |w, p| w.rename("own", p, RenameOptions::default());
    "create below", Changes, true, true, |w, p| w.write(format!("{p}/new"), text(), mode(WriteMode::CreateNew));
    "write below", Changes, true, true, |w, p| w.write(format!("{p}/b"), text(), WriteOptions::default());
    "append below", Changes, true, true, |w, p| w.write(format!("{p}/new"), text(), mode(WriteMode::Append));
    "touch below", Changes, true, true, |w, p| w.touch(format!("{p}/new"));
    "write to missing parents below", Changes, true, true, |w, p| w.write(format!("{p}/x/y"), text(), WriteOptions::default());
    "mkdir below", Changes, true, true, |w, p| w.create_dir(format!("{p}/new"), false);
    "mkdir -p", Changes, true, true, |w, p| w.create_dir(p, true);
    "mkdir -p below", Changes, true, true, |w, p| w.create_dir(format!("{p}/x/y"), true);
    "rm -r", Changes, false, true, |w, p| w.remove(p, RemoveOptions { recursive: true, force: false, ..RemoveOptions::default() });
    "rm below", Changes, true, true, |w, p| w.remove(format!("{p}/b"), RemoveOptions::default());
    "rename directory", Changes, false, true, |w, p| w.rename(p, "stolen", RenameOptions::default());
    "rename from below", Changes, true, true, |w, p| w.rename(format!("{p}/b"), "stolen", RenameOptions::default());
    "rename to below", Changes, true, true, |w, p| w.rename("own", format!("{p}/new"), RenameOptions::default());
    "rename keeping to below", Changes, true, true, |w, p| w.rename("own", format!("{p}/new"), KEEP);
    "read held", Looks, true, false, |w, p| w.open(p, READ).and_then(|file| file.read_at(0, 64));
    "read held below", Looks, true, true, |w, p| w.open(format!("{p}/b"), READ).and_then(|file| file.read_at(0, 64));
    "write held", Changes, true, false, |w, p| w.open(p, WRITE).and_then(|file| file.write_at(0, bytes()));
    "append held", Changes, true, false, |w, p| w.open(p, OpenOptions { append: true, ..WRITE }).and_then(|file| file.write_at(0, bytes()));
    "upload", Changes, true, false, |w, p| w.open(p, UPLOAD).and_then(|file| file.write_at(0, bytes()));
    "upload below", Changes, true, true, |w, p| w.open(format!("{p}/new"), UPLOAD).and_then(|file| file.write_at(0, bytes()));
    "staged", Changes, true, false, |w, p| staged(w.stage(p, WriteOptions::default()));
    "staged below", Changes, true, true, |w, p| staged(w.stage(format!("{p}/x/y"), WriteOptions::default()));
    "truncate", Changes, true, false, |w, p| w.set_attributes(p, true, SIZE);
    "chmod", Changes, true, false, |w, p| w.set_attributes(p, true, MODE);
    "chmod directory", Changes, true, true, |w, p| w.set_attributes(p, true, MODE);
    "lchtimes", Changes, false, false, |w, p| w.set_attributes(p, false, TIME);
    "symlink below", Changes, true, true, |w, p| where_there_are_links(w.symlink(format!("{p}/new"), "own"));
    "rename to missing parents below", Changes, true, true, |w, p| w.rename("own", format!("{p}/x/y"), RenameOptions::default());
}

fn where_there_are_links(call: Call<()>) -> Call<()> {
    call.then(|made| match made {
        Err(error) if error.code() == ErrorCode::NotImplemented => Ok(()),
        made => made,
    })
}

const KEEP: RenameOptions = RenameOptions {
    keep_existing: true,
    existing_parent: false,
};

fn text() -> Content {
    Content::owned("overwritten")
}

fn mode(mode: WriteMode) -> WriteOptions {
    WriteOptions {
        mode,
        ..WriteOptions::default()
    }
}

fn edits() -> Vec<Edit> {
    vec![Edit {
        old_text: CANARY.into(),
        new_text: "edited".into(),
        replace_all: false,
    }]
}

fn everything() -> GrepQuery {
    GrepQuery {
        pattern: ".".into(),
        ..GrepQuery::default()
    }
}

fn target(operation: &Operation) -> &'static str {
    if operation.directory {
        "secret/deep"
    } else {
        "secret/a"
    }
}

/// Patterns that cover `secret` and all in it.
const PATTERNS: [&str; 3] = ["secret/**", "secret", "secret/"];

#[test]
fn each_operation_gets_what_the_rule_gives_and_no_more() {
    let mut cases = 0;
    for kind in KINDS {
        for depth in DEPTHS {
            for operation in OPERATIONS {
                let at = target(operation);
                // Without a policy it does what it is for.
                let free = Setup::new(kind, depth).make();
                let before = free.snapshot();
                let seen = (operation.run)(&free.workspace, at);
                assert!(seen.is_ok(), "{} {kind:?}: {seen:?}", operation.name);
                for (allow, pattern) in [Allow::None, Allow::Read, Allow::Write]
                    .into_iter()
                    .zip(PATTERNS.iter().cycle().skip(depth))
                {
                    cases += 1;
                    let what = format!("{} {kind:?} {depth} {pattern} {allow:?}", operation.name);
                    let world = Setup::new(kind, depth).rules(&[(pattern, allow)]).make();
                    let seen = (operation.run)(&world.workspace, at);
                    let may = allow == Allow::Write
                        || (allow == Allow::Read && operation.effect == Effect::Looks);
                    match seen {
                        Ok(_) => assert!(may, "{what} was done"),
                        Err(code) => {
                            assert_eq!(code, ErrorCode::PolicyDenied, "{what}");
                            assert!(!may, "{what} was refused");
                            assert_eq!(world.snapshot(), before, "{what} left something");
                        }
                    }
                }
            }
        }
    }
    println!("{cases} cases");
    assert!(cases >= 1_300, "{cases}");
}

#[test]
fn what_is_hidden_does_not_exist_and_what_is_readable_does() {
    for kind in KINDS {
        for depth in DEPTHS {
            for (allow, expected) in [(Allow::None, false), (Allow::Read, true)] {
                let world = Setup::new(kind, depth)
                    .rules(&[("secret/**", allow)])
                    .make();
                for path in ["secret", "secret/a", "secret/deep"] {
                    assert!(wait(world.open.exists(path)).unwrap());
                    assert_eq!(wait(world.workspace.exists(path)).unwrap(), expected);
                }
                assert!(!wait(world.workspace.exists("secret/missing")).unwrap());
                assert!(wait(world.workspace.exists("pub/p")).unwrap());
            }
        }
    }
}

#[test]
fn a_refusal_names_operation_path_and_rule_and_says_nothing_of_what_is_there() {
    for kind in KINDS {
        let world = Setup::new(kind, 1)
            .rules(&[("own", Allow::Read), ("secret/**", Allow::None)])
            .make();
        for path in ["secret/a", "secret/missing"] {
            let error = wait(world.workspace.read(path, ReadOptions::default())).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PolicyDenied);
            assert_eq!(
                (error.operation(), error.path()),
                (Some("read"), Some(path))
            );
            assert!(
                error
                    .message()
                    .contains("rules[1] ('/tenants/1/secret/**', none)"),
                "{error}"
            );
        }
        let to = wait(
            world
                .workspace
                .rename("pub/p", "secret/x", RenameOptions::default()),
        );
        assert_eq!(to.unwrap_err().path(), Some("secret/x"));
    }
}

#[test]
fn rules_are_those_of_the_root_whatever_a_scope_is_called() {
    for kind in KINDS {
        // Inside the scope a rule of the root about `secret` below the root means nothing.
        let world = Setup::new(kind, 0)
            .rules(&[("secret/**", Allow::None)])
            .make();
        world.put("tenants/1/secret/a", CANARY);
        let scope = world
            .workspace
            .scope("tenants/1", Default::default())
            .unwrap();
        assert!(wait(scope.read("secret/a", ReadOptions::default())).is_ok());
        // And a scope in a hidden place is no way in.
        let inside = world.workspace.scope("secret", Default::default()).unwrap();
        for path in ["a", "", "deep/b"] {
            let read = wait(inside.stat(path)).unwrap_err();
            assert_eq!(read.code(), ErrorCode::PolicyDenied, "{path:?}");
        }
        let made = wait(inside.write("new", text(), WriteOptions::default()));
        assert_eq!(made.unwrap_err().code(), ErrorCode::PolicyDenied);
        assert!(wait(inside.list("", ListOptions::default())).is_err());
    }
}

#[test]
fn the_keys_of_a_store_are_judged_likewise() {
    for depth in DEPTHS {
        let free = Setup::new(Kind::Memory, depth).make();
        assert!(wait(free.workspace.delete_key("secret/a")).unwrap());
        wait(free.workspace.clear_keys()).unwrap();
        assert!(wait(free.open.list_keys("")).unwrap().is_empty());

        let world = Setup::new(Kind::Memory, depth)
            .rules(&[("secret/**", Allow::None)])
            .make();
        let before = world.snapshot();
        let keys = |workspace: &Workspace, prefix: &str| {
            wait(workspace.list_keys(prefix)).unwrap().to_strings()
        };
        assert!(keys(&world.open, "s").contains(&"secret/a".to_owned()));
        assert!(keys(&world.workspace, "s").is_empty());
        assert!(
            !keys(&world.workspace, "")
                .iter()
                .any(|key| key.contains("secret"))
        );
        assert!(keys(&world.workspace, "").contains(&"pub/p".to_owned()));
        for refused in [
            wait(world.workspace.delete_key("secret/a")).map(drop),
            wait(world.workspace.clear_keys()),
        ] {
            assert_eq!(refused.unwrap_err().code(), ErrorCode::PolicyDenied);
        }
        assert_eq!(world.snapshot(), before);
        assert!(wait(world.workspace.delete_key("pub/p")).unwrap());
    }
}
