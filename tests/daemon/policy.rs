//! `--policy-file`: the rules hold for the client of the standard streams, and a wrong file is one line.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::complaint;
use crate::stdio::Server;

fn policy(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let file = directory.path().join("policy.json");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    file
}

#[test]
fn every_tool_that_names_something_hidden_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = policy(
        &directory,
        r#"{ "rules": [{ "match": "secret/", "allow": "none" }, { "match": "docs", "allow": "read" }] }"#,
    );
    let file = file.to_str().unwrap();
    // The canary: without the file the same call reads it.
    for (more, refused) in [(&["--policy-file", file][..], true), (&[], false)] {
        let arguments = [more, &["--isolation", "none"]].concat();
        let mut server = Server::initialised(&arguments);
        let root = server.base.path().join("root");
        std::fs::create_dir_all(root.join("secret")).unwrap();
        std::fs::create_dir_all(root.join("docs")).unwrap();
        std::fs::write(root.join("secret/a"), "canary").unwrap();
        std::fs::write(root.join("docs/b"), "text").unwrap();
        let calls = [
            ("read_text_file", json!({ "path": "secret/a" })),
            ("list_directory", json!({ "path": "secret" })),
            ("get_file_info", json!({ "path": "secret/a" })),
            ("write_file", json!({ "path": "docs/b", "content": "new" })),
            (
                "move_file",
                json!({ "source": "docs", "destination": "other" }),
            ),
            ("exec", json!({ "command": "cat secret/a" })),
        ];
        for (id, (tool, given)) in (1..).zip(&calls) {
            let answer = server.call(id, tool, given);
            let text = answer["result"]["content"][0]["text"].to_string();
            assert_eq!(text.contains("POLICY_DENIED"), refused, "{tool}: {answer}");
            if refused {
                assert!(!text.contains("canary"), "{tool}: {text}");
            }
        }
        if refused {
            let read = server.call(20, "read_text_file", &json!({ "path": "docs/b" }));
            assert_eq!(read["result"]["content"][0]["text"], "text");
            let listed = server.call(21, "list_directory", &json!({ "path": "." }));
            assert_eq!(listed["result"]["content"][0]["text"], "[DIR] docs");
        }
        server.finish();
    }
}

#[test]
fn a_wrong_policy_file_is_one_line_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let root = root.to_str().unwrap();
    let refusal = |file: &PathBuf| {
        let file = file.to_str().unwrap();
        let line = complaint(&[
            "daemon",
            "--rootDir",
            root,
            "--local-only",
            "--policy-file",
            file,
        ]);
        assert!(line.contains(file), "{line}");
        line
    };
    let wrong = policy(
        &directory,
        r#"{ "rules": [{ "match": "a", "allow": "all" }] }"#,
    );
    assert!(refusal(&wrong).contains("rules[0]: unknown variant `all`"));
    let open = policy(&directory, r#"{ "rules": [] }"#);
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(refusal(&open).contains("others may write it"));
    assert!(refusal(&directory.path().join("missing")).contains("no such file"));
    assert!(!std::path::Path::new(root).exists(), "nothing was made");
}
