//! Files through the tools: bounds, and what no other server has.

use agent_backend::mcp::{ContentBlock, ToolServer};
use serde_json::json;

use crate::client::{Local, call, memory, told};

#[test]
fn tools_that_run_commands_are_listed_and_there_only_where_commands_run() {
    let local = Local::new();
    let names = |server: &ToolServer| -> Vec<String> {
        let tools = server.list()["tools"].as_array().unwrap();
        let name = |tool: &serde_json::Value| tool["name"].as_str().unwrap().to_owned();
        tools.iter().map(name).collect()
    };
    let in_memory = ToolServer::new(memory());
    let all = names(&local.server());
    let fewer: Vec<_> = all
        .iter()
        .filter(|name| !name.starts_with("exec"))
        .cloned()
        .collect();
    assert_eq!(all.len(), 20);
    assert_eq!(names(&in_memory), fewer);
    let (text, failed) = told(&call(&in_memory, "exec", json!({ "command": "true" })));
    assert!(failed);
    assert_eq!(text, "MCP error -32602: Tool exec not found");
}

#[test]
fn the_tools_of_a_memory_backend_see_its_keys() {
    let workspace = memory();
    let server = ToolServer::new(workspace.clone());
    let written = call(
        &server,
        "write_file",
        json!({ "path": "a/b.txt", "content": "in memory\n" }),
    );
    assert_eq!(
        told(&written),
        ("Successfully wrote to a/b.txt".into(), false)
    );
    let read = pool_read(&workspace, "a/b.txt");
    assert_eq!(read, "in memory\n");
    let (tree, _) = told(&call(&server, "directory_tree", json!({ "path": "." })));
    assert!(tree.contains("\"name\": \"b.txt\""), "{tree}");
    let (found, _) = told(&call(
        &server,
        "search_files",
        json!({ "path": "/", "pattern": "**/*.txt" }),
    ));
    assert_eq!(found, "/a/b.txt");
    let (found, _) = told(&call(
        &server,
        "grep",
        json!({ "pattern": "memory", "outputMode": "content" }),
    ));
    assert_eq!(found, "a/b.txt:1:in memory");
}

fn pool_read(workspace: &agent_backend::workspace::Workspace, path: &str) -> String {
    let read = workspace.read(path, agent_backend::backend::ReadOptions::default());
    let outcome = agent_backend::pool::runtime().block_on(read).unwrap();
    String::from_utf8(outcome.bytes.to_vec()).unwrap()
}

#[test]
fn paths_in_results_are_accepted_back() {
    let local = Local::new();
    let scope = local
        .workspace
        .scope("tenants/a", Default::default())
        .unwrap();
    for server in [local.server(), ToolServer::new(scope)] {
        call(
            &server,
            "write_file",
            json!({ "path": "dir/file.md", "content": "x" }),
        );
        for (tool, arguments) in [
            (
                "search_files",
                json!({ "path": ".", "pattern": "**/file.md" }),
            ),
            ("glob", json!({ "pattern": "file.md" })),
            ("grep", json!({ "pattern": "x" })),
        ] {
            let (found, failed) = told(&call(&server, tool, arguments));
            assert!(!failed, "{tool}: {found}");
            let path = found.lines().next().unwrap();
            let read = call(&server, "read_text_file", json!({ "path": path }));
            assert_eq!(told(&read), ("x".into(), false), "{tool} gave {path}");
        }
    }
}

#[test]
fn the_ends_of_a_file_of_gigabytes_are_read_without_the_rest() {
    let local = Local::new();
    let path = local.root().join("sparse.log");
    let file = std::fs::File::create(&path).unwrap();
    use std::os::unix::fs::FileExt as _;
    file.write_all_at(b"first\nsecond\n", 0).unwrap();
    let end = b"\nlast but one\r\nlast";
    let size = 8u64 << 30;
    file.write_all_at(end, size).unwrap();
    let server = local.server();
    let read = |arguments| told(&call(&server, "read_text_file", arguments));
    assert_eq!(
        read(json!({ "path": "sparse.log", "head": 2 })),
        ("first\nsecond".into(), false)
    );
    assert_eq!(
        read(json!({ "path": "sparse.log", "tail": 2 })),
        ("last but one\nlast".into(), false)
    );
    for arguments in [
        json!({ "path": "sparse.log" }),
        json!({ "path": "sparse.log", "head": 3 }),
        json!({ "path": "sparse.log", "tail": 4 }),
    ] {
        let (text, failed) = read(arguments);
        assert!(failed && text.starts_with("TOO_LARGE: "), "{text}");
    }
    let media = call(&server, "read_media_file", json!({ "path": "sparse.log" }));
    assert!(told(&media).0.starts_with("TOO_LARGE: "));
}

#[test]
fn many_files_are_read_in_order_and_one_that_fails_does_not_stop_the_others() {
    let local = Local::new();
    let names: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
    for name in names.iter().filter(|name| *name != "f50") {
        std::fs::write(local.root().join(name), format!("content of {name}")).unwrap();
    }
    let server = local.server();
    let (text, failed) = told(&call(
        &server,
        "read_multiple_files",
        json!({ "paths": names }),
    ));
    assert!(!failed);
    let parts: Vec<&str> = text.split("\n---\n").collect();
    assert_eq!(parts.len(), 100);
    assert_eq!(parts[7], "f7:\ncontent of f7\n");
    assert!(parts[50].starts_with("f50: Error - ENOENT: no such file or directory, open '"));
    let many: Vec<&str> = std::iter::repeat_n("f1", 10_001).collect();
    let (text, failed) = told(&call(
        &server,
        "read_multiple_files",
        json!({ "paths": many }),
    ));
    assert!(failed && text.starts_with("TOO_LARGE: "), "{text}");
}

#[test]
fn devices_and_pipes_are_refused_at_once() {
    let local = Local::new();
    let status = std::process::Command::new("mkfifo")
        .arg(local.root().join("pipe"))
        .status()
        .unwrap();
    assert!(status.success());
    let server = local.server();
    for (tool, arguments) in [
        ("read_text_file", json!({ "path": "pipe" })),
        ("read_text_file", json!({ "path": "pipe", "head": 1 })),
        ("read_text_file", json!({ "path": "pipe", "tail": 1 })),
        ("read_media_file", json!({ "path": "pipe" })),
        (
            "edit_file",
            json!({ "path": "pipe", "edits": [{ "oldText": "a", "newText": "b" }] }),
        ),
    ] {
        let (text, failed) = told(&call(&server, tool, arguments));
        // The end of a pipe is that of an empty file: nothing is read, and nothing waits.
        assert!(failed || text.is_empty(), "{tool}: {text}");
    }
}

#[test]
fn bytes_that_are_not_text_survive_an_edit_beside_them() {
    let local = Local::new();
    let path = local.root().join("mixed");
    std::fs::write(&path, b"\xff\xfe raw\nname = old\n\x00\xc3\n").unwrap();
    let edits = json!([{ "oldText": "name = old", "newText": "name = new" }]);
    let edited = call(
        &local.server(),
        "edit_file",
        json!({ "path": "mixed", "edits": edits }),
    );
    assert!(!edited.is_error);
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"\xff\xfe raw\nname = new\n\x00\xc3\n"
    );
}

#[test]
fn edits_of_one_file_at_the_same_time_are_all_kept() {
    let local = Local::new();
    let lines: String = (0..40).map(|n| format!("line {n} old\n")).collect();
    std::fs::write(local.root().join("shared.txt"), lines).unwrap();
    std::thread::scope(|threads| {
        for n in 0..40 {
            let server = local.server();
            threads.spawn(move || {
                let old = format!("line {n} old");
                let edits = json!([{ "oldText": old, "newText": format!("line {n} new") }]);
                let edited = call(
                    &server,
                    "edit_file",
                    json!({ "path": "shared.txt", "edits": edits }),
                );
                assert!(!edited.is_error, "{:?}", told(&edited));
            });
        }
    });
    let after = std::fs::read_to_string(local.root().join("shared.txt")).unwrap();
    assert_eq!(after.matches("new").count(), 40, "{after}");
}

#[test]
fn media_come_as_what_they_are() {
    let local = Local::new();
    std::fs::write(local.root().join("a b.PNG"), [137, 80, 78, 71]).unwrap();
    let result = call(
        &local.server(),
        "read_media_file",
        json!({ "path": "a b.PNG" }),
    );
    let [
        ContentBlock::Media {
            data, mime_type, ..
        },
    ] = &result.content[..]
    else {
        panic!("{result:?}");
    };
    assert_eq!((&data[..], *mime_type), (&b"iVBORw=="[..], "image/png"));
    assert_eq!(
        result.structured_json().unwrap()["content"][0]["type"],
        "image"
    );
}

#[test]
fn calls_after_destroy_say_so() {
    let local = Local::new();
    let server = local.server();
    agent_backend::pool::runtime()
        .block_on(local.workspace.destroy())
        .unwrap();
    for (tool, arguments) in [
        ("read_text_file", json!({ "path": "a" })),
        ("exec", json!({ "command": "true" })),
        ("directory_tree", json!({ "path": "." })),
    ] {
        let (text, failed) = told(&call(&server, tool, arguments));
        assert!(failed && text.starts_with("DESTROYED: "), "{tool}: {text}");
    }
}
