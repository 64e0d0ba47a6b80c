//! Running a command to its end.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::definition::{Definition, Effect, output};
use super::super::failure;
use super::super::result::{ContentBlock, Structured, ToolResult};
use super::kept_output::{KeptOutput, Shown};
use super::{Tool, with};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::{CommandOutput, RunOptions, trim_trailing_newline};

pub(super) const EXEC: Tool = Tool {
    name: "exec",
    runs_commands: true,
    define: |name| {
        Definition {
            title: "Run Command",
            description: "Run a shell command in the workspace and wait for its end. Returns what it printed; an exit \
                          code other than 0 is an error. Standard input is empty. Of long output the beginning and \
                          the end are returned, with the path of a file that holds the whole of it. Use exec_start \
                          for servers and other commands that go on.",
            properties: command_properties("Time limit in milliseconds. Default: that of the workspace, if any"),
            required: &["command"],
            effect: Effect::Runs,
            output: command_output(),
        }
        .closed(name)
    },
    call: |context, arguments| with(context, arguments, exec),
};

/// The arguments that say what to run.
pub(super) fn command_properties(timeout: &str) -> Value {
    json!({
        "command": { "type": "string", "description": "Shell command to run" },
        "env": {
            "type": "object",
            "additionalProperties": { "type": "string" },
            "description": "Environment variables to set for this command"
        },
        "cwd": {
            "type": "string",
            "description": "Directory to run in. Default: the root of the workspace"
        },
        "timeout": { "type": "integer", "minimum": 0, "description": timeout }
    })
}

fn command_output() -> Value {
    let file = |which: &str| {
        json!({
            "type": "string",
            "description": format!("The file that holds the whole {which}, where it was cut")
        })
    };
    output(
        json!({
            "stdout": { "type": "string" },
            "stderr": { "type": "string" },
            "exitCode": {
                "type": ["integer", "null"],
                "description": "null where a signal ended it"
            },
            "signal": { "type": ["string", "null"], "description": "Such as SIGKILL" },
            "durationMs": { "type": "number" },
            "truncated": { "type": "boolean", "description": "Whether output was cut" },
            "stdoutFile": file("standard output"),
            "stderrFile": file("standard error")
        }),
        &[
            "stdout",
            "stderr",
            "exitCode",
            "signal",
            "durationMs",
            "truncated",
        ],
    )
}

/// What to run.
#[derive(Deserialize)]
pub(super) struct Command {
    pub(super) command: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    timeout: Option<f64>,
}

impl Command {
    pub(super) fn options(&self) -> RunOptions {
        RunOptions {
            cwd: self.cwd.clone().map(String::into_bytes),
            env: (self.env.iter())
                .map(|(name, value)| (name.as_str().into(), Some(value.as_str().into())))
                .collect(),
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the schema has checked the sign, and the cast saturates"
            )]
            timeout_ms: self.timeout.map(|limit| limit as u64),
            ..RunOptions::default()
        }
    }
}

fn exec(context: &Context, arguments: Command) -> Call<ToolResult> {
    let options = RunOptions {
        cancel: context.cancel.clone(),
        ..arguments.options()
    };
    let running = context.workspace.run(&arguments.command, options);
    let kept = KeptOutput::new(context.workspace.clone());
    Call::spawned(async move {
        match running.await {
            Ok(output) => Ok(ended(&kept, &output).await),
            Err(error) => failed(&kept, &error).await,
        }
    })
}

/// The result of a command that ended by itself.
async fn ended(kept: &KeptOutput, output: &CommandOutput) -> ToolResult {
    let (stdout, stderr) = shown(kept, &output.stdout, &output.stderr).await;
    let mut text = told(&stdout, &stderr);
    let how = match (output.exit_code, output.signal) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("Exit code: {code}")),
        (None, Some(signal)) => Some(format!("Ended by {signal}")),
        (None, None) => Some("Ended in an unknown way".to_owned()),
    };
    if let Some(how) = &how {
        add_paragraph(&mut text, how);
    }
    let mut value = json!({
        "stdout": stdout.text,
        "stderr": stderr.text,
        "exitCode": output.exit_code,
        "signal": output.signal,
        "durationMs": output.duration.as_secs_f64() * 1000.0,
        "truncated": output.truncated || stdout.is_cut || stderr.is_cut,
    });
    name_files(&mut value, &stdout, &stderr);
    ToolResult {
        content: vec![ContentBlock::Text(text.into())],
        structured: Structured::Value(value),
        is_error: how.is_some(),
    }
}

/// The result of a command that could not be run, or was ended; with what it had printed, if anything.
async fn failed(kept: &KeptOutput, error: &Error) -> Result<ToolResult> {
    let Some(failure) = error.failure() else {
        return Err(error.clone());
    };
    let (stdout, stderr) = shown(kept, &failure.stdout, &failure.stderr).await;
    let mut text = told(&stdout, &stderr);
    let why = match error.code() {
        // The error's own advice is for programs, which name these things otherwise.
        ErrorCode::Timeout => {
            "TIMEOUT: the command took too long and was ended; pass a longer `timeout`, or use exec_start".to_owned()
        }
        _ => failure::own_words(error),
    };
    add_paragraph(&mut text, &why);
    let mut value = json!({
        "error": error.code().as_str(),
        "stdout": stdout.text,
        "stderr": stderr.text,
        "exitCode": failure.exit_code,
        "signal": failure.signal,
    });
    if let Some(limit) = error.limit() {
        value["limit"] = limit.as_str().into();
    }
    name_files(&mut value, &stdout, &stderr);
    Ok(ToolResult {
        content: vec![ContentBlock::Text(text.into())],
        structured: Structured::Value(value),
        is_error: true,
    })
}

/// Both streams as they are shown; what is too long is kept in files.
pub(super) async fn shown(kept: &KeptOutput, stdout: &[u8], stderr: &[u8]) -> (Shown, Shown) {
    (
        kept.show("stdout", trim_trailing_newline(stdout)).await,
        kept.show("stderr", trim_trailing_newline(stderr)).await,
    )
}

/// Standard output, and below it standard error under a title of its own.
pub(super) fn told(stdout: &Shown, stderr: &Shown) -> String {
    let mut text = stdout.text.clone();
    if !stderr.text.is_empty() {
        add_paragraph(&mut text, &format!("stderr:\n{}", stderr.text));
    }
    text
}

pub(super) fn add_paragraph(text: &mut String, paragraph: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

pub(super) fn name_files(value: &mut Value, stdout: &Shown, stderr: &Shown) {
    for (name, shown) in [("stdoutFile", stdout), ("stderrFile", stderr)] {
        if let Some(file) = &shown.file {
            value[name] = file.as_str().into();
        }
    }
}
