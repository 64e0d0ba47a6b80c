//! Where a request acts: `--scopePath`, the token's scope and `X-Scope-Path`, each beneath the one before.

use serde_json::{Value, json};

use crate::served::{Answer, Daemon, TOKEN, tool_call};
use crate::tokens::{bearer, tokens_file};

fn write(daemon: &Daemon, token: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [headers, &[("Authorization", &bearer)]].concat();
    let arguments = json!({ "path": "here", "content": "x" });
    daemon.post(&tool_call(1, "write_file", arguments), &headers)
}

fn text(answer: &Answer) -> String {
    answer.json()["result"]["content"][0]["text"].to_string()
}

#[test]
fn each_scope_is_resolved_beneath_the_one_before() {
    let base = tempfile::tempdir().unwrap();
    let file = tokens_file(
        &base,
        &json!([
            { "token": "plain-plain-plain", "name": "plain" },
            { "token": "bound-bound-bound", "name": "bound", "scope": "users/1" },
        ]),
    );
    let flags = [
        "--tokens-file",
        file.to_str().unwrap(),
        "--scopePath",
        "static",
    ];
    let daemon = Daemon::in_directory(base, &flags, |_| {});
    let root = daemon.base.path().join("root");
    for (token, scope, expected) in [
        ("plain-plain-plain", None, "static/here"),
        ("plain-plain-plain", Some("a/b"), "static/a/b/here"),
        ("bound-bound-bound", None, "static/users/1/here"),
        ("bound-bound-bound", Some("x"), "static/users/1/x/here"),
    ] {
        let scope: Vec<(&str, &str)> = scope.iter().map(|scope| ("X-Scope-Path", *scope)).collect();
        let answer = write(&daemon, token, &scope);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            root.join(expected).exists(),
            "{expected}: {}",
            text(&answer)
        );
    }
    // A link that a tenant plants leads nowhere.
    std::os::unix::fs::symlink(&root, root.join("static/users/1/up")).unwrap();
    let answer = write(
        &daemon,
        "bound-bound-bound",
        &[("X-Scope-Path", "up/static")],
    );
    assert!(
        text(&answer).contains("PATH_ESCAPE_ATTEMPT"),
        "{}",
        text(&answer)
    );
}

#[test]
fn a_malformed_scope_is_400_and_nothing_is_made() {
    let daemon = Daemon::with_token(&[]);
    let root = daemon.base.path().join("root");
    for scope in [
        "", "/", "/etc", "..", "../x", "a/../b", "a/..", "./a", ".", "a//b", "a/", "%2e%2e/x",
        "a%2fb", "a%00b", "a\\b", "\u{1}", "a\tb",
    ] {
        let answer = write(&daemon, TOKEN, &[("X-Scope-Path", scope)]);
        assert_eq!(answer.status, 400, "{scope:?}");
    }
    for (one, two) in [
        ("X-Scope-Path", "X-Scope-Path"),
        ("X-Scope-Path", "x-scope-path"),
        ("x-SCOPE-path", "X-Scope-Path"),
    ] {
        for (first, second) in [("a", "a"), ("a", "b"), ("a", "")] {
            let answer = write(&daemon, TOKEN, &[(one, first), (two, second)]);
            assert_eq!(answer.status, 400, "{one} {two}");
        }
    }
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    // The canary: one that is well-formed is taken.
    assert_eq!(
        write(&daemon, TOKEN, &[("x-SCOPE-path", "a b/ä")]).status,
        200
    );
    assert!(root.join("a b/ä/here").exists());
}

#[test]
fn without_a_token_there_is_one_scope() {
    let daemon = Daemon::start(&["--scopePath", "one"]);
    let list = tool_call(1, "list_directory", json!({ "path": "." }));
    let refused = daemon.post(&list, &[("X-Scope-Path", "a")]);
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("without a token serves one scope"),
        "{refused:?}"
    );
    let write = tool_call(1, "write_file", json!({ "path": "here", "content": "x" }));
    assert_eq!(daemon.post(&write, &[]).status, 200);
    assert!(daemon.base.path().join("root/one/here").exists());
}

#[test]
fn the_root_that_a_client_believes_in_is_checked() {
    let daemon = Daemon::with_token(&["--scopePath", "s"]);
    let root = daemon.base.path().join("root");
    let root = root.to_str().unwrap();
    let own = format!("{root}/s");
    let below = format!("{root}/s/a/b");
    let beside = format!("{root}/s-evil");
    for (root_dir, scope, expected) in [
        (root, None, "s/here"),
        (&*own, None, "s/here"),
        (&below, None, "s/a/b/here"),
        (&below, Some("c"), "s/a/b/c/here"),
        (&below, Some("a/b"), "s/a/b/here"),
    ] {
        let mut headers = vec![("X-Root-Dir", root_dir)];
        headers.extend(scope.map(|scope| ("X-Scope-Path", scope)));
        assert_eq!(write(&daemon, TOKEN, &headers).status, 200, "{headers:?}");
        let file = daemon.base.path().join("root").join(expected);
        assert!(file.exists(), "{expected}");
        std::fs::remove_file(file).unwrap();
    }
    for elsewhere in ["/etc", "/", &*beside] {
        let answer = write(&daemon, TOKEN, &[("X-Root-Dir", elsewhere)]);
        assert_eq!(answer.status, 403, "{elsewhere}");
        let told = answer.text();
        assert!(told.contains(elsewhere) && told.contains(&own), "{told}");
        // A stranger is not told where anything is.
        let stranger = write(&daemon, "wrong-wrong-wrong", &[("X-Root-Dir", elsewhere)]);
        assert_eq!(stranger.status, 401);
        assert!(!stranger.text().contains(root), "{stranger:?}");
    }
    for malformed in ["relative", "", "/a/../b", "/a%2fb", "/a//b"] {
        let answer = write(&daemon, TOKEN, &[("X-Root-Dir", malformed)]);
        assert_eq!(answer.status, 400, "{malformed}");
    }
}

#[test]
fn a_background_command_is_known_to_its_own_scope_only() {
    let daemon = Daemon::with_token(&[]);
    let call = |tool: &str, arguments: Value, scope: &str| {
        daemon.call(tool, arguments, &[("X-Scope-Path", scope)])["content"][0]["text"].to_string()
    };
    std::fs::create_dir_all(daemon.base.path().join("root/a")).unwrap();
    std::fs::create_dir_all(daemon.base.path().join("root/b")).unwrap();
    let started = call("exec_start", json!({ "command": "sleep 60" }), "a");
    let id = started.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let id = id.max_by_key(|word| word.len()).unwrap();
    let output = json!({ "id": id });
    let own = call("exec_output", output.clone(), "a");
    assert!(own.contains("Running"), "{started}: {own}");
    for other in ["b", "a/c"] {
        let theirs = call("exec_output", output.clone(), other);
        assert!(theirs.contains("NOT_FOUND"), "{theirs}");
    }
    call("exec_stop", output, "a");
}

#[test]
fn a_token_of_a_scope_learns_nothing_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let file = tokens_file(
        &directory,
        &json!([
            { "token": "whole-whole-whole", "name": "whole" },
            { "token": "tenant-tenant-tenant", "name": "tenant", "scope": "tenant" },
        ]),
    );
    let daemon = Daemon::start(&["--tokens-file", file.to_str().unwrap()]);
    let get = |path: &str, token: &str| daemon.get(path, &[("Authorization", &bearer(token))]);
    let metrics = get("/metrics", "whole-whole-whole");
    assert!(
        metrics.text().contains("agent_backend_requests_total"),
        "{metrics:?}"
    );
    let refused = get("/metrics", "tenant-tenant-tenant");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("bound to no scope"), "{refused:?}");
    let told = |token: &str| get("/health", token).json().as_object().unwrap().len();
    assert!(told("whole-whole-whole") > 2);
    assert_eq!(told("tenant-tenant-tenant"), 2, "no more than a stranger");
    // As for a part that whoever has the whole asks for.
    let part = [
        ("Authorization", &*bearer("whole-whole-whole")),
        ("X-Scope-Path", "part"),
    ];
    assert_eq!(daemon.get("/metrics", &part).status, 403);
}
