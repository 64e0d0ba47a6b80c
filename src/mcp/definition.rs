//! Tool definitions as MCP lists them, with the keys in the order in which the reference writes them.

use serde_json::{Map, Value, json};

const DRAFT_07: &str = "http://json-schema.org/draft-07/schema#";

/// What a client may assume of a tool.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes files of the workspace.
    Writes {
        /// Calling it again changes nothing more.
        idempotent: bool,
        /// It may overwrite or remove.
        destructive: bool,
    },
    /// It may do anything that a command can, also beyond the workspace.
    Runs,
}

impl Effect {
    fn annotations(self) -> Value {
        match self {
            Effect::Reads => json!({ "readOnlyHint": true, "openWorldHint": false }),
            Effect::Writes {
                idempotent,
                destructive,
            } => json!({
                "readOnlyHint": false,
                "idempotentHint": idempotent,
                "destructiveHint": destructive,
                "openWorldHint": false
            }),
            Effect::Runs => json!({
                "readOnlyHint": false,
                "idempotentHint": false,
                "destructiveHint": true,
                "openWorldHint": true
            }),
        }
    }
}

/// What a definition says besides the name.
pub(super) struct Definition {
    /// For people.
    pub(super) title: &'static str,
    /// For models.
    pub(super) description: &'static str,
    /// The arguments, as an object of schemas.
    pub(super) properties: Value,
    /// Which of them must be there.
    pub(super) required: &'static [&'static str],
    /// What it does to the world.
    pub(super) effect: Effect,
    /// The schema of the structured content.
    pub(super) output: Value,
}

impl Definition {
    /// The entry in `tools/list` of a tool that takes no other arguments: one that is spelt wrong must not be passed over.
    pub(super) fn closed(self, name: &str) -> Value {
        let mut definition = self.named(name);
        definition["inputSchema"]["additionalProperties"] = false.into();
        definition
    }

    /// The entry in `tools/list`. As in the reference, arguments that it does not name are passed over.
    pub(super) fn named(self, name: &str) -> Value {
        let mut input = Map::new();
        input.insert("$schema".to_owned(), DRAFT_07.into());
        input.insert("type".to_owned(), "object".into());
        input.insert("properties".to_owned(), self.properties);
        if !self.required.is_empty() {
            input.insert("required".to_owned(), self.required.into());
        }
        json!({
            "name": name,
            "title": self.title,
            "description": self.description,
            "inputSchema": input,
            "annotations": self.effect.annotations(),
            "execution": { "taskSupport": "forbidden" },
            "outputSchema": self.output
        })
    }
}

/// An output schema: an object of these properties, of which some must be there, and no others.
pub(super) fn output(properties: Value, required: &[&str]) -> Value {
    json!({
        "$schema": DRAFT_07,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false
    })
}

/// The output schema of a tool whose text is all that it has to say.
pub(super) fn text_output() -> Value {
    output(json!({ "content": { "type": "string" } }), &["content"])
}
