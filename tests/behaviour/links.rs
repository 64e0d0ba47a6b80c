//! Symbolic links as things of their own, for the backends that have them.

use agent_backend::backend::{Attributes, FileKind, OpenOptions, RemoveOptions};
use agent_backend::error::ErrorCode as E;
use bytes::Bytes;

use crate::fixture::{Fixture, Verbs, code, wait};

const UPLOAD: OpenOptions = OpenOptions {
    read: false,
    write: true,
    append: false,
    create: true,
    create_new: false,
    truncate: true,
    permissions: None,
};

pub fn a_link_is_made_read_and_followed(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    // Also the first thing in a scope.
    wait(workspace.symlink("link", "d/f")).unwrap();
    workspace.put("d/f", "content");
    assert_eq!(wait(workspace.read_link("link")).unwrap(), b"d/f");
    assert_eq!(workspace.get("link"), "content");
    let found = wait(workspace.lstat("link")).unwrap();
    assert_eq!(found.kind, FileKind::Symlink);
    wait(workspace.remove("link", RemoveOptions::default())).unwrap();
    assert_eq!(workspace.get("d/f"), "content");
}

pub fn a_link_may_say_anything(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    for text in [&b"../../../etc/passwd"[..], b"/etc", b"missing", b"\xff\n "] {
        wait(workspace.symlink("link", text)).unwrap();
        assert_eq!(wait(workspace.read_link("link")).unwrap(), text);
        assert!(!workspace.has("link"));
        wait(workspace.remove("link", RemoveOptions::default())).unwrap();
    }
    for text in [&b""[..], b"a\0b", &[b'a'; 5000]] {
        assert_eq!(code(workspace.symlink("link", text)), E::InvalidPath);
    }
}

pub fn what_is_no_link_has_no_text(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("d/f", "x");
    for path in ["d/f", "d", ""] {
        assert_eq!(code(workspace.read_link(path)), E::InvalidPath, "{path}");
    }
    assert_eq!(code(workspace.read_link("missing")), E::NotFound);
}

pub fn a_link_takes_only_a_free_name(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "x");
    wait(workspace.symlink("link", "missing")).unwrap();
    for path in ["f", "link", ""] {
        let refused = code(workspace.symlink(path, "y"));
        assert_eq!(refused, E::AlreadyExists, "{path}");
    }
    assert_eq!(workspace.get("f"), "x");
}

pub fn a_link_below_what_is_missing_is_not_found(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "x");
    assert_eq!(code(workspace.symlink("missing/l", "y")), E::NotFound);
    assert_eq!(code(workspace.symlink("f/l", "y")), E::NotADirectory);
    assert!(!workspace.has("missing"));
}

pub fn times_of_a_link_are_its_own(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    let before = workspace.put("f", "x");
    wait(workspace.symlink("link", "f")).unwrap();
    let time = |mtime_ns| Attributes {
        mtime_ns: Some(mtime_ns),
        ..Attributes::default()
    };
    wait(workspace.set_attributes("link", false, time(1_000_000_000))).unwrap();
    assert_eq!(workspace.look("f").etag(), before.etag());
    let link = wait(workspace.lstat("link")).unwrap();
    assert_eq!(link.mtime_ns, 1_000_000_000);
    wait(workspace.set_attributes("link", true, time(2_000_000_000))).unwrap();
    assert_eq!(workspace.look("f").mtime_ns, 2_000_000_000);
    for attributes in [
        Attributes {
            permissions: Some(0o600),
            ..Attributes::default()
        },
        Attributes {
            size: Some(0),
            ..Attributes::default()
        },
    ] {
        let refused = code(workspace.set_attributes("link", false, attributes));
        assert_eq!(refused, E::InvalidPath);
    }
    assert_eq!(workspace.get("f"), "x");
    assert_eq!(workspace.look("f").mode, before.mode);
}

pub fn a_link_is_opened_as_what_it_leads_to(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.make("d");
    wait(workspace.symlink("link", "d/f")).unwrap();
    wait(workspace.symlink("again", "link")).unwrap();
    let file = wait(workspace.open("again", UPLOAD)).unwrap();
    wait(file.write_at(0, Bytes::from_static(b"through"))).unwrap();
    assert_eq!(workspace.get("d/f"), "through");
    let new = OpenOptions {
        create_new: true,
        ..UPLOAD
    };
    assert_eq!(code(workspace.open("again", new)), E::AlreadyExists);
    let staged = wait(workspace.stage("again", Default::default())).unwrap();
    wait(staged.append(Bytes::from_static(b"staged"))).unwrap();
    wait(staged.commit()).unwrap();
    assert_eq!(workspace.get("d/f"), "staged");
    let link = wait(workspace.lstat("again")).unwrap();
    assert_eq!(link.kind, FileKind::Symlink);
}

pub fn how_full_it_is_can_be_told(fixture: &Fixture) {
    let space = wait(fixture.workspace.space()).unwrap();
    assert!(space.block_size >= 512 && space.blocks > 0);
    assert!(space.blocks_available <= space.blocks_free);
    assert!(space.blocks_free <= space.blocks);
    assert_eq!(space.name_max, 255);
}

pub fn a_backend_without_links_says_so(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "x");
    assert_eq!(code(workspace.symlink("link", "f")), E::NotImplemented);
    assert_eq!(code(workspace.read_link("f")), E::NotImplemented);
    assert_eq!(code(workspace.space()), E::NotImplemented);
}
