//! Commands that go on: started, looked at, and stopped. Each call stands alone, so that they also work where every
//! request comes in by a connection of its own: the workspace remembers the commands, and the caller how far it has read.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::definition::{Definition, Effect, output};
use super::super::failure;
use super::super::result::{ContentBlock, Structured, ToolResult};
use super::exec::{Command, add_paragraph, command_properties, name_files, shown, told};
use super::kept_output::KeptOutput;
use super::{Tool, with};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::{BackgroundCommand, CommandStatus, RunOptions, signal_name};

/// A command that nobody stops ends after this.
const LONGEST_RUN_MS: u64 = 24 * 60 * 60 * 1000;
/// The longest wait of `exec_output`.
const LONGEST_WAIT_MS: f64 = 60_000.0;
/// How long a stopped command has to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// `SIGTERM` and `SIGKILL`, which are 15 and 9 everywhere.
const TERMINATE: i32 = 15;
const KILL: i32 = 9;

pub(super) const EXEC_START: Tool = Tool {
    name: "exec_start",
    runs_commands: true,
    define: |name| {
        Definition {
            title: "Start Command",
            description: "Start a shell command in the background (a server, a watcher, a long build) and return at \
                          once with its id. Read what it prints with exec_output and end it with exec_stop.",
            properties: command_properties("Ends the command after so many milliseconds. Default: 24 hours"),
            required: &["command"],
            effect: Effect::Runs,
            output: output(
                json!({
                    "id": { "type": "string", "description": "For exec_output and exec_stop" },
                    "pid": { "type": "integer", "description": "Process id, as the host sees it" }
                }),
                &["id", "pid"],
            ),
        }
        .closed(name)
    },
    call: |context, arguments| with(context, arguments, start),
};

fn start(context: &Context, arguments: Command) -> Call<ToolResult> {
    let options = arguments.options();
    let options = RunOptions {
        stdin: Some(bytes::Bytes::new()),
        timeout_ms: options.timeout_ms.or(Some(LONGEST_RUN_MS)),
        ..options
    };
    let starting = context.workspace.spawn(&arguments.command, options);
    let cancel = context.cancel.clone();
    starting.map(move |command| {
        if cancel.is_cancelled() {
            // Nobody will ever know its id.
            command.kill(KILL);
        }
        let (id, pid) = (command.id(), command.pid());
        ToolResult::structured(
            format!("Started in the background with id {id} (process {pid})"),
            json!({ "id": id, "pid": pid }),
        )
    })
}

pub(super) const EXEC_OUTPUT: Tool = Tool {
    name: "exec_output",
    runs_commands: true,
    define: |name| {
        Definition {
            title: "Read Command Output",
            description: "Read what a command started with exec_start has printed, and whether it still runs. Pass the \
                          stdoutNext and stderrNext of the last call as stdoutFrom and stderrFrom to read only what \
                          is new, and waitMs to wait for something new or for its end.",
            properties: json!({
                "id": { "type": "string", "description": "The id that exec_start returned" },
                "stdoutFrom": {
                    "type": "integer", "minimum": 0,
                    "description": "Byte of standard output to read from. Default: 0"
                },
                "stderrFrom": {
                    "type": "integer", "minimum": 0,
                    "description": "Byte of standard error to read from. Default: 0"
                },
                "waitMs": {
                    "type": "integer", "minimum": 0,
                    "description": "Wait so long for something new. Default: 0, at most 60000"
                }
            }),
            required: &["id"],
            effect: Effect::Reads,
            output: progress_output(),
        }
        .closed(name)
    },
    call: |context, arguments| with(context, arguments, read_output),
};

fn progress_output() -> Value {
    let next = |stream: &str| json!({ "type": "integer", "description": format!("Pass as {stream}From to read what comes next") });
    let file = json!({ "type": "string", "description": "The file that holds all of it, where it was cut" });
    output(
        json!({
            "running": { "type": "boolean" },
            "stdout": { "type": "string" },
            "stderr": { "type": "string" },
            "stdoutNext": next("stdout"),
            "stderrNext": next("stderr"),
            "missedBytes": {
                "type": "integer",
                "description": "Bytes that were printed since, but are not kept any more"
            },
            "exitCode": { "type": ["integer", "null"] },
            "signal": { "type": ["string", "null"] },
            "error": { "type": ["string", "null"], "description": "Why it was ended, such as TIMEOUT" },
            "stdoutFile": file,
            "stderrFile": file
        }),
        &[
            "running",
            "stdout",
            "stderr",
            "stdoutNext",
            "stderrNext",
            "missedBytes",
            "exitCode",
            "signal",
            "error",
        ],
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadOutput {
    id: String,
    #[serde(default)]
    stdout_from: f64,
    #[serde(default)]
    stderr_from: f64,
    #[serde(default)]
    wait_ms: f64,
}

fn read_output(context: &Context, arguments: ReadOutput) -> Call<ToolResult> {
    let command = match find(context, &arguments.id) {
        Ok(command) => command,
        Err(error) => return Call::err(error),
    };
    let from = (whole(arguments.stdout_from), whole(arguments.stderr_from));
    let wait = Duration::from_millis(whole(arguments.wait_ms.min(LONGEST_WAIT_MS)));
    let (kept, cancel) = (
        KeptOutput::new(context.workspace.clone()),
        context.cancel.clone(),
    );
    Call::spawned(async move {
        tokio::select! {
            biased;
            () = something_new(&command, from, wait) => {}
            () = cancel.cancelled() => {
                return Err(Error::new(ErrorCode::Aborted, "the caller cancelled the call"));
            }
        }
        Ok(progress(&kept, &command, from).await)
    })
}

/// Waits until there is output from there on, or the command has ended, or for so long.
async fn something_new(command: &BackgroundCommand, from: (u64, u64), wait: Duration) {
    /// How often it is looked for.
    const STEP: Duration = Duration::from_millis(20);
    let until = tokio::time::Instant::now() + wait;
    loop {
        let new = command.output_since(from.0, from.1);
        let has_news = new.stdout_to > from.0 || new.stderr_to > from.1;
        let now = tokio::time::Instant::now();
        if has_news || !is_running(command) || now >= until {
            return;
        }
        tokio::time::sleep(STEP.min(until - now)).await;
    }
}

pub(super) const EXEC_STOP: Tool = Tool {
    name: "exec_stop",
    runs_commands: true,
    define: |name| {
        Definition {
            title: "Stop Command",
            description: "End a command started with exec_start, with everything that it started, and return what it \
                          printed. It gets SIGTERM, and SIGKILL where it goes on.",
            properties: json!({
                "id": { "type": "string", "description": "The id that exec_start returned" },
                "stdoutFrom": {
                    "type": "integer", "minimum": 0,
                    "description": "Byte of standard output to return from. Default: 0"
                },
                "stderrFrom": {
                    "type": "integer", "minimum": 0,
                    "description": "Byte of standard error to return from. Default: 0"
                }
            }),
            required: &["id"],
            effect: Effect::Writes {
                idempotent: true,
                destructive: true,
            },
            output: progress_output(),
        }
        .closed(name)
    },
    call: |context, arguments| with(context, arguments, stop),
};

fn stop(context: &Context, arguments: ReadOutput) -> Call<ToolResult> {
    let command = match find(context, &arguments.id) {
        Ok(command) => command,
        Err(error) => return Call::err(error),
    };
    let from = (whole(arguments.stdout_from), whole(arguments.stderr_from));
    let kept = KeptOutput::new(context.workspace.clone());
    Call::spawned(async move {
        command.kill(TERMINATE);
        if tokio::time::timeout(GRACE, command.wait()).await.is_err() {
            command.kill(KILL);
            let _ = tokio::time::timeout(GRACE, command.wait()).await;
        }
        Ok(progress(&kept, &command, from).await)
    })
}

fn find(context: &Context, id: &str) -> Result<BackgroundCommand> {
    context.workspace.background_command(id).ok_or_else(|| {
        Error::new(
            ErrorCode::NotFound,
            "no command has this id; it may have ended long ago. Start one with exec_start",
        )
    })
}

fn is_running(command: &BackgroundCommand) -> bool {
    matches!(command.status(), CommandStatus::Running)
}

/// Where a command is, with what it has printed from there on.
async fn progress(kept: &KeptOutput, command: &BackgroundCommand, from: (u64, u64)) -> ToolResult {
    // First how it is, then what it printed: of a command that has ended, everything.
    let status = command.status();
    let mut new = command.output_since(from.0, from.1);
    note_missing(&mut new.stdout, new.stdout_gap, new.stdout_missed);
    note_missing(&mut new.stderr, new.stderr_gap, new.stderr_missed);
    let missed = new.stdout_missed + new.stderr_missed;
    let (stdout, stderr) = shown(kept, &new.stdout, &new.stderr).await;
    let mut text = told(&stdout, &stderr);
    let (how, exit, error) = match &status {
        CommandStatus::Running => ("Running".to_owned(), None, None),
        CommandStatus::Exited(status) => {
            let how = match status.code {
                Some(code) => format!("Ended with exit code {code}"),
                None => "Ended by a signal".to_owned(),
            };
            (how, Some(*status), None)
        }
        CommandStatus::Failed(error) => {
            (failure::own_words(error), None, Some(error.code().as_str()))
        }
    };
    let next = (new.stdout_to, new.stderr_to);
    let how = format!("{how} (stdoutNext: {}, stderrNext: {})", next.0, next.1);
    add_paragraph(&mut text, &how);
    let mut value = json!({
        "running": matches!(status, CommandStatus::Running),
        "stdout": stdout.text,
        "stderr": stderr.text,
        "stdoutNext": next.0,
        "stderrNext": next.1,
        "missedBytes": missed,
        "exitCode": exit.and_then(|exit| exit.code),
        "signal": exit.and_then(|exit| exit.signal).map(signal_name),
        "error": error,
    });
    name_files(&mut value, &stdout, &stderr);
    ToolResult {
        content: vec![ContentBlock::Text(text.into())],
        structured: Structured::Value(value),
        is_error: false,
    }
}

/// Says where bytes are missing that were printed since the last look, but are not kept any more.
fn note_missing(output: &mut Vec<u8>, gap: usize, missed: u64) {
    if missed > 0 {
        let note = format!("\n[... {missed} bytes are not kept any more ...]\n");
        output.splice(gap..gap, note.into_bytes());
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the schema has checked the sign, and the cast saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
