//! `grep` and `glob`, our own.

use agent_backend::mcp::ToolServer;
use serde_json::{Value, json};

use crate::client::{Local, call, told};

fn project() -> Local {
    let local = Local::new();
    for (path, content) in [
        (
            "src/main.rs",
            "fn main() {\n    hello();\n}\n\nfn hello() {}\n",
        ),
        ("src/web.ts", "export const Hello = 1;\n"),
        ("target/built.rs", "hello\n"),
        (".gitignore", "target\n"),
        (".github/ci.yml", "run: hello\n"),
        ("docs/a b.md", "no match\n"),
    ] {
        let path = local.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    local
}

fn text(server: &ToolServer, tool: &str, arguments: Value) -> String {
    let (text, failed) = told(&call(server, tool, arguments));
    assert!(!failed, "{text}");
    text
}

#[test]
fn content_is_found_in_each_mode() {
    let local = project();
    let server = local.server();
    for (arguments, expected) in [
        (json!({ "pattern": "hello" }), ".github/ci.yml\nsrc/main.rs"),
        (
            json!({ "pattern": "hello", "caseInsensitive": true, "path": "src" }),
            "src/main.rs\nsrc/web.ts",
        ),
        (
            json!({ "pattern": "hello", "outputMode": "count", "includeIgnored": true }),
            ".github/ci.yml:1\nsrc/main.rs:2\ntarget/built.rs:1",
        ),
        (
            json!({ "pattern": "hello", "outputMode": "content", "glob": "*.rs" }),
            "src/main.rs:2:    hello();\nsrc/main.rs:5:fn hello() {}",
        ),
        (
            json!({ "pattern": "hello", "outputMode": "content", "type": "rust", "lineNumbers": false }),
            "src/main.rs:    hello();\nsrc/main.rs:fn hello() {}",
        ),
        (
            json!({ "pattern": "hello()", "literal": true, "outputMode": "content", "contextAfter": 1, "path": "src/main.rs" }),
            "src/main.rs:2:    hello();\nsrc/main.rs-3-}\n--\nsrc/main.rs:5:fn hello() {}",
        ),
        (
            json!({ "pattern": "hello\\(\\);\\n\\}", "multiline": true }),
            "src/main.rs",
        ),
        (json!({ "pattern": "nowhere" }), "No matches found"),
    ] {
        assert_eq!(
            text(&server, "grep", arguments.clone()),
            expected,
            "{arguments}"
        );
    }
}

#[test]
fn a_limit_says_what_it_hides() {
    let local = project();
    let server = local.server();
    let result = call(
        &server,
        "grep",
        json!({ "pattern": "e", "outputMode": "content", "headLimit": 1 }),
    );
    let (text, _) = told(&result);
    assert!(text.ends_with("more are not shown]"), "{text}");
    assert_eq!(result.structured_json().unwrap()["truncated"], true);
}

#[test]
fn a_wrong_pattern_says_what_is_wrong() {
    let local = project();
    for (tool, arguments, problem) in [
        (
            "grep",
            json!({ "pattern": "(" }),
            "INVALID_CONFIGURATION: `pattern`",
        ),
        (
            "grep",
            json!({ "pattern": "a", "type": "klingon" }),
            "INVALID_CONFIGURATION: `type`",
        ),
        (
            "grep",
            json!({ "pattern": "a", "path": "none" }),
            "ENOENT: no such file or directory, open '",
        ),
        ("glob", json!({ "pattern": "{" }), "INVALID_CONFIGURATION: "),
        (
            "glob",
            json!({ "pattern": "*", "path": "../x" }),
            "PATH_ESCAPE_ATTEMPT: ",
        ),
        (
            "search_files",
            json!({ "path": ".", "pattern": "x".repeat(5000) }),
            "INVALID_CONFIGURATION: `pattern`",
        ),
    ] {
        let (text, failed) = told(&call(&local.server(), tool, arguments));
        assert!(failed && text.starts_with(problem), "{tool}: {text}");
    }
}

#[test]
fn names_are_found() {
    let local = project();
    let server = local.server();
    for (arguments, expected) in [
        (json!({ "pattern": "*.rs" }), "src/main.rs"),
        (
            json!({ "pattern": "*.rs", "includeIgnored": true }),
            "src/main.rs\ntarget/built.rs",
        ),
        (
            json!({ "pattern": "*.{ts,yml}" }),
            ".github/ci.yml\nsrc/web.ts",
        ),
        (json!({ "pattern": "*.md", "path": "docs" }), "docs/a b.md"),
        (json!({ "pattern": "*.none" }), "No files found"),
    ] {
        assert_eq!(
            text(&server, "glob", arguments.clone()),
            expected,
            "{arguments}"
        );
    }
}
