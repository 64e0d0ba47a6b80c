//! The tools that an agent gets from a workspace, as the Model Context Protocol (MCP) describes them.
//!
//! [`ToolServer`] is the whole of it: a list of definitions and a call by name. It knows nothing of JSON-RPC, so that a
//! caller in the same process pays for none; [`protocol`] puts it behind sessions of any transport. The first fourteen
//! tools are those of `@modelcontextprotocol/server-filesystem`: models know them, so their names, texts, schemas and
//! results are kept to the letter (`docs/mcp.md` lists where they are not, and why).

mod context;
mod definition;
mod failure;
pub mod json_text;
mod minimatch;
pub mod protocol;
mod result;
mod schema;
mod text_lines;
mod tools;

use std::sync::LazyLock;

use context::Context;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

pub use result::{ContentBlock, MediaKind, Structured, ToolResult};
use tools::{TOOLS, Tool};

use crate::call::Call;
use crate::workspace::Workspace;

/// The arguments of a call, as the client wrote them.
pub type Arguments = Map<String, Value>;

/// The tools of one workspace. Cheap to clone; a clone serves the same workspace.
#[derive(Clone, Debug)]
pub struct ToolServer {
    workspace: Workspace,
}

/// A tool with its definition, made once in the life of the process.
struct Defined {
    tool: &'static Tool,
    definition: Value,
}

static DEFINED: LazyLock<Vec<Defined>> = LazyLock::new(|| {
    let define = |tool: &'static Tool| Defined {
        tool,
        definition: (tool.define)(tool.name),
    };
    TOOLS.iter().map(define).collect()
});

/// The result of `tools/list`: for workspaces that run commands, and for those that do not.
static LISTS: LazyLock<[(Value, String); 2]> = LazyLock::new(|| {
    [false, true].map(|runs_commands| {
        let tools = DEFINED
            .iter()
            .filter(|defined| runs_commands || !defined.tool.runs_commands);
        let list: Vec<Value> = tools.map(|defined| defined.definition.clone()).collect();
        let result = json!({ "tools": list });
        let text = result.to_string();
        (result, text)
    })
});

impl ToolServer {
    /// The tools of a workspace, confined to it.
    #[must_use]
    pub fn new(workspace: Workspace) -> Self {
        Self { workspace }
    }

    /// Whose tools they are.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The result of `tools/list`, `{ "tools": [...] }`: what this workspace can do, in a fixed order.
    #[must_use]
    pub fn list(&self) -> &'static Value {
        &self.lists().0
    }

    /// [`ToolServer::list`] as JSON text.
    #[must_use]
    pub fn list_json(&self) -> &'static str {
        &self.lists().1
    }

    fn lists(&self) -> &'static (Value, String) {
        &LISTS[usize::from(self.workspace.capabilities().exec)]
    }

    /// Calls a tool. What goes wrong (a missing file, a wrong argument, an unknown tool, `cancel`) is a result with
    /// [`ToolResult::is_error`], because it is the model that has to read it; the call itself does not fail.
    pub fn call(
        &self,
        name: &str,
        arguments: Arguments,
        cancel: CancellationToken,
    ) -> Call<ToolResult> {
        let found = DEFINED.iter().find(|defined| {
            defined.tool.name == name
                && (!defined.tool.runs_commands || self.workspace.capabilities().exec)
        });
        let Some(Defined { tool, definition }) = found else {
            return Call::ok(failure::unknown_tool(name));
        };
        let arguments = Value::Object(arguments);
        let problems = schema::check(&definition["inputSchema"], &arguments);
        if !problems.is_empty() {
            return Call::ok(failure::wrong_arguments(name, &problems));
        }
        let context = Context {
            workspace: self.workspace.clone(),
            cancel,
        };
        match (tool.call)(&context, arguments) {
            Call::Ready(outcome) => {
                Call::ok(outcome.unwrap_or_else(|error| failure::plain(&error)))
            }
            Call::Pending(future) => Call::pending(async move {
                Ok(future.await.unwrap_or_else(|error| failure::plain(&error)))
            }),
        }
    }
}
