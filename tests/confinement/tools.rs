//! The corpus once more, through the MCP tools: a door must not have a way of its own.

use agent_backend::mcp::{Arguments, ToolResult, ToolServer};
use agent_backend::pool;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::corpus::{ATTACKS, Wall};
use crate::world::{DEPTHS, INSIDE, RESOLVERS, SECRET, World};

/// Every tool with the path of an attack in each of its places.
fn calls(path: &str) -> Vec<(&'static str, Value)> {
    let below = format!("{path}/new");
    let edits = json!([{ "oldText": "the", "newText": "an altered" }]);
    vec![
        ("read_file", json!({ "path": path })),
        ("read_text_file", json!({ "path": path })),
        ("read_text_file", json!({ "path": path, "head": 5 })),
        ("read_text_file", json!({ "path": path, "tail": 5 })),
        (
            "read_text_file",
            json!({ "path": format!("{path}/canary") }),
        ),
        ("read_media_file", json!({ "path": path })),
        (
            "read_multiple_files",
            json!({ "paths": [path, format!("{path}/canary")] }),
        ),
        (
            "write_file",
            json!({ "path": path, "content": "overwritten" }),
        ),
        (
            "write_file",
            json!({ "path": below, "content": "overwritten" }),
        ),
        ("edit_file", json!({ "path": path, "edits": edits })),
        (
            "edit_file",
            json!({ "path": format!("{path}/canary"), "edits": edits }),
        ),
        ("create_directory", json!({ "path": path })),
        ("create_directory", json!({ "path": below })),
        ("list_directory", json!({ "path": path })),
        ("list_directory_with_sizes", json!({ "path": path })),
        ("directory_tree", json!({ "path": path })),
        ("search_files", json!({ "path": path, "pattern": "**" })),
        ("get_file_info", json!({ "path": path })),
        (
            "move_file",
            json!({ "source": path, "destination": "stolen" }),
        ),
        ("move_file", json!({ "source": "own", "destination": path })),
        (
            "move_file",
            json!({ "source": "own", "destination": below }),
        ),
        (
            "grep",
            json!({ "pattern": ".", "path": path, "outputMode": "content", "includeIgnored": true }),
        ),
        (
            "glob",
            json!({ "pattern": "**", "path": path, "includeIgnored": true }),
        ),
        (
            "exec",
            json!({ "command": "echo reached > reached; cat canary", "cwd": path }),
        ),
        (
            "exec_start",
            json!({ "command": "echo reached > reached; cat canary", "cwd": path }),
        ),
    ]
}

/// Whether an answer tells what is in the canary, in whatever form.
fn tells(result: &ToolResult) -> bool {
    let mut text = Value::from(result.content_json()).to_string();
    if let Some(value) = result.structured_json() {
        text += &value.to_string();
    }
    let encoded = STANDARD.encode(SECRET);
    // An end of base64 may differ with what follows.
    text.contains(SECRET) || text.contains(&encoded[..encoded.len() - 4])
}

fn call(world: &World, tool: &str, arguments: &Value) -> ToolResult {
    let arguments: Arguments = arguments.as_object().unwrap().clone();
    let server = ToolServer::new(world.workspace.clone());
    pool::runtime()
        .block_on(server.call(tool, arguments, CancellationToken::new()))
        .unwrap()
}

#[test]
fn a_tool_that_is_let_in_tells_what_it_finds() {
    let world = World::new(1, RESOLVERS[0]);
    world.put("dir/canary", SECRET);
    for (tool, arguments) in [
        ("read_text_file", json!({ "path": "dir/canary" })),
        ("read_media_file", json!({ "path": "dir/canary" })),
        (
            "grep",
            json!({ "pattern": ".", "path": "dir", "outputMode": "content" }),
        ),
    ] {
        assert!(tells(&call(&world, tool, &arguments)), "{tool}");
    }
}

#[test]
fn no_tool_gets_out_by_any_way() {
    for depth in DEPTHS {
        for resolver in RESOLVERS {
            for attack in ATTACKS {
                let mut fresh: Option<(World, String)> = None;
                for index in 0..calls("").len() {
                    let (world, path) = fresh.take().unwrap_or_else(|| {
                        let world = World::new(depth, resolver);
                        world.put("own", INSIDE);
                        let path = (attack.plant)(&world);
                        (world, String::from_utf8_lossy(&path).into_owned())
                    });
                    let (tool, arguments) = calls(&path).swap_remove(index);
                    let before = world.snapshot();
                    let result = call(&world, tool, &arguments);
                    let case = format!("{tool} {arguments} by {:?} at depth {depth}", attack.name);
                    assert_eq!(
                        world.snapshot(),
                        before,
                        "{case} changed the outside: {result:?}"
                    );
                    assert!(!tells(&result), "{case} told of the outside: {result:?}");
                    if matches!(attack.wall, Wall::Refused) && tool != "read_multiple_files" {
                        assert!(result.is_error, "{case}: {result:?}");
                    }
                    if result.is_error {
                        fresh = Some((world, path));
                    }
                }
            }
        }
    }
}
