//! What is found: names, kinds, sizes, ignore files, hidden files, links.

use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::symlink;

use agent_backend::backend::FileKind;
use agent_backend::backend::search::{Query, SearchRequest};
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::search::{Hidden, search_directory};

use crate::support::*;

#[test]
fn a_tree_is_listed_in_path_order_with_kinds_and_sizes() {
    let root = tree(&[("b.txt", "12345"), ("a/x", ""), ("a.txt", "1"), ("e/", "")]);
    symlink("b.txt", root.path().join("link")).unwrap();
    symlink("/", root.path().join("a/out")).unwrap();
    let found = search(root.path(), &all()).unwrap();
    assert_eq!(
        paths(&found),
        ["a", "a/out", "a/x", "a.txt", "b.txt", "e", "link"]
    );
    let kinds: Vec<_> = found.entries.iter().map(|entry| entry.kind).collect();
    use FileKind::{Directory, File, Symlink};
    assert_eq!(
        kinds,
        [Directory, Symlink, File, File, File, Directory, Symlink]
    );
    assert_eq!(found.entries[4].size, 5);
    let modified = fs::metadata(root.path().join("b.txt")).unwrap();
    let modified = modified.modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(found.entries[4].mtime_ns, since.as_nanos() as i128);
    assert!(!found.truncated);
}

#[test]
fn the_depth_of_a_tree_is_bounded_where_asked() {
    let root = tree(&[("a/b/c/d", "")]);
    for (depth, expected) in [
        (0, &[][..]),
        (1, &["a"]),
        (2, &["a", "a/b"]),
        (9, &["a", "a/b", "a/b/c", "a/b/c/d"]),
    ] {
        let request = request(Query::Tree {
            max_depth: Some(depth),
        });
        assert_eq!(paths(&search(root.path(), &request).unwrap()), expected);
    }
}

#[test]
fn a_prefix_stands_before_every_path() {
    let root = tree(&[("src/a.ts", "needle"), ("src/deep/b.ts", "")]);
    let base = root.path().join("src");
    let with_prefix = |request: &SearchRequest| {
        let found = search_directory(handle(&base), &rel("scope/src"), &[], request, &());
        paths(&found.unwrap())
    };
    assert_eq!(
        with_prefix(&glob("*.ts")),
        ["scope/src/a.ts", "scope/src/deep/b.ts"]
    );
    assert_eq!(with_prefix(&glob("/*.ts")), ["scope/src/a.ts"]);
    assert_eq!(with_prefix(&grep("needle")), ["scope/src/a.ts:1"]);
}

#[test]
fn ignore_files_hold_where_they_stand_and_below() {
    let root = tree(&[
        (".gitignore", "*.log\n/build\nsecret/\n"),
        (".git/HEAD", "x"),
        ("a.log", ""),
        ("build/out", ""),
        ("sub/build/out", ""),
        ("sub/.gitignore", "!keep.log\n/own\n"),
        ("sub/keep.log", ""),
        ("sub/other.log", ""),
        ("sub/own", ""),
        ("sub/deep/own", ""),
        ("sub/secret/x", ""),
        ("odd/.ignore", "!*.log\n"),
        ("odd/z.log", ""),
    ]);
    let mut request = glob("**");
    request.respect_gitignore = true;
    assert_eq!(
        paths(&search(root.path(), &request).unwrap()),
        [
            ".gitignore",
            "odd/.ignore",
            "odd/z.log",
            "sub/.gitignore",
            "sub/build/out",
            "sub/deep/own",
            "sub/keep.log"
        ]
    );
}

#[test]
fn ignore_files_above_the_base_count_too() {
    let root = tree(&[
        (".gitignore", "*.log\n/a/b/gone\n"),
        ("a/.gitignore", "*.tmp\n"),
        ("a/b/x.log", ""),
        ("a/b/x.tmp", ""),
        ("a/b/gone", ""),
        ("a/b/x.txt", ""),
    ]);
    let mut request = glob("**");
    request.respect_gitignore = true;
    let above = [
        (RelPath::root(), handle(root.path())),
        (rel("a"), handle(&root.path().join("a"))),
    ];
    let base = handle(&root.path().join("a/b"));
    let found = search_directory(base, &rel("a/b"), &above, &request, &());
    assert_eq!(paths(&found.unwrap()), ["a/b/x.txt"]);
}

#[test]
fn excluded_directories_are_not_entered_and_hidden_ones_only_where_asked() {
    let root = tree(&[
        ("node_modules/x/index.js", ""),
        ("src/node_modules/y.js", ""),
        ("src/a.js", ""),
        (".cache/b.js", ""),
        ("src/.hidden.js", ""),
    ]);
    let mut request = glob("*.js");
    request.exclude = vec!["node_modules".to_owned()];
    assert_eq!(
        paths(&search(root.path(), &request).unwrap()),
        [".cache/b.js", "src/.hidden.js", "src/a.js"]
    );
    request.hidden = false;
    assert_eq!(paths(&search(root.path(), &request).unwrap()), ["src/a.js"]);
}

#[test]
fn entries_that_are_hidden_by_the_backend_do_not_exist() {
    let root = tree(&[
        ("a", "needle"),
        ("tmp-1", "needle"),
        ("tmp-2", "needle"),
        ("tmp-3", "needle"),
    ]);
    struct Temporaries;
    impl Hidden for Temporaries {
        fn may_hide(&self, name: &[u8]) -> bool {
            name.starts_with(b"tmp-")
        }
        fn hides(&self, _: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool> {
            names.iter().map(|name| *name != b"tmp-2").collect()
        }
    }
    for request in [all(), glob("*"), grep("needle")] {
        let found = search_directory(
            handle(root.path()),
            &RelPath::root(),
            &[],
            &request,
            &Temporaries,
        );
        let paths = paths(&found.unwrap());
        assert_eq!(paths.len(), 2, "{paths:?}");
        assert!(paths[1].starts_with("tmp-2"));
    }
}

#[test]
fn content_is_found_in_many_files_in_order() {
    let mut files = Vec::new();
    for directory in 0..20 {
        for file in 0..50 {
            files.push((format!("d{directory:02}/f{file:02}.txt"), "x\nneedle\n"));
        }
    }
    let files: Vec<_> = files.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    let root = tree(&files);
    let found = search(root.path(), &grep("needle")).unwrap();
    let expected: Vec<_> = files.iter().map(|(name, _)| format!("{name}:2")).collect();
    assert_eq!(paths(&found), expected);
}

#[test]
fn binary_files_links_and_devices_give_no_lines() {
    let root = tree(&[("bin", "needle\n\0"), ("text", "needle\n")]);
    symlink("text", root.path().join("link")).unwrap();
    symlink("/etc", root.path().join("etc")).unwrap();
    let fifo = root.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o600),
        0,
    )
    .unwrap();
    assert_eq!(
        paths(&search(root.path(), &grep("needle")).unwrap()),
        ["text:1"]
    );
}

#[test]
fn a_file_as_base_is_searched_and_anything_else_refused() {
    let root = tree(&[("a.bin", "x\nneedle\n")]);
    let file = root.path().join("a.bin");
    let searched =
        |request: &SearchRequest| search_directory(handle(&file), &rel("a.bin"), &[], request, &());
    assert_eq!(paths(&searched(&grep("needle")).unwrap()), ["a.bin:2"]);
    assert_eq!(
        searched(&all()).unwrap_err().code(),
        ErrorCode::NotADirectory
    );
    let null = handle(std::path::Path::new("/dev/null"));
    let error = search_directory(null, &rel("x"), &[], &grep("x"), &()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidPath);
}

#[test]
fn names_in_any_encoding_are_found() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let root = tree(&[("données/été-語-😀.txt", "clé needle")]);
    fs::write(
        root.path().join(OsStr::from_bytes(b"\xff\xfe.txt")),
        "needle",
    )
    .unwrap();
    let found = search(root.path(), &glob("*.txt")).unwrap();
    assert_eq!(
        found.entries[0].path.as_bytes(),
        "données/été-語-😀.txt".as_bytes()
    );
    assert_eq!(found.entries[1].path.as_bytes(), b"\xff\xfe.txt");
    let found = search(root.path(), &grep("needle")).unwrap();
    assert_eq!(found.lines.len(), 2);
    assert_eq!(found.lines[0].column, Some("clé ".len()));
}

#[test]
fn an_unreadable_directory_is_passed_over() {
    use std::os::unix::fs::PermissionsExt;
    let root = tree(&[("closed/a.txt", "needle"), ("open/b.txt", "needle")]);
    let closed = root.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let found = search(root.path(), &grep("needle")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    // Root may read it all the same.
    assert!(paths(&found).contains(&"open/b.txt:1".to_owned()));
    assert!(found.lines.len() <= 2);
}
