//! Finding by content and by name, in the terms that coding agents use.

use std::fmt::Write as _;

use ignore::types::TypesBuilder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::definition::{Definition, Effect, output};
use super::super::result::ToolResult;
use super::{Tool, with};
use crate::backend::search::{FoundLine, GrepQuery, SearchLimits, SearchOutcome};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::SearchOptions;

/// Lines, or paths, of a result that names no limit.
const DEFAULT_LIMIT: usize = 1_000;
/// Results that are looked for at most.
const MAX_RESULTS: usize = 100_000;

pub(super) const GREP: Tool = Tool {
    name: "grep",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Search File Contents",
            description: "Search the contents of files for a regular expression (the syntax of ripgrep). By default \
                          returns the paths of the files that match; outputMode 'content' returns the matching lines \
                          with their numbers, 'count' how many lines match in each file. Leaves out binary files, and \
                          what .gitignore names unless includeIgnored is set. Paths are relative to the root of the \
                          workspace.",
            properties: grep_properties(),
            required: &["pattern"],
            effect: Effect::Reads,
            output: found_output(),
        }
        .closed(name)
    },
    call: |context, arguments| with(context, arguments, grep),
};

fn grep_properties() -> Value {
    let count =
        |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let flag = |description: &str| json!({ "type": "boolean", "description": description });
    json!({
        "pattern": { "type": "string", "description": "Regular expression to search for" },
        "path": {
            "type": "string",
            "description": "File or directory to search in. Default: the root of the workspace"
        },
        "glob": {
            "type": "string",
            "description": "Search only files that match this glob, such as '*.ts' or 'src/**/*.py'"
        },
        "type": {
            "type": "string",
            "description": "Search only files of this type, by ripgrep's names: 'js', 'py', 'rust', …"
        },
        "outputMode": {
            "type": "string",
            "enum": ["content", "files_with_matches", "count"],
            "description": "What to return. Default: files_with_matches"
        },
        "caseInsensitive": flag("Ignore case"),
        "literal": flag("Take the pattern as plain text"),
        "multiline": flag("Let the pattern match across lines"),
        "contextBefore": count("Lines to show before each match, in content mode"),
        "contextAfter": count("Lines to show after each match, in content mode"),
        "contextAround": count("Lines to show on both sides of each match, in content mode"),
        "lineNumbers": flag("Show line numbers in content mode. Default: true"),
        "includeIgnored": flag("Also search what .gitignore names, and .git"),
        "headLimit": {
            "type": "integer",
            "minimum": 1,
            "description": "Return at most this many lines. Default: 1000"
        }
    })
}

fn found_output() -> Value {
    output(
        json!({
            "content": { "type": "string" },
            "truncated": { "type": "boolean", "description": "Whether more was found than is returned" }
        }),
        &["content", "truncated"],
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrepArguments {
    pattern: String,
    #[serde(default)]
    path: String,
    glob: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    output_mode: OutputMode,
    #[serde(default)]
    case_insensitive: bool,
    #[serde(default)]
    literal: bool,
    #[serde(default)]
    multiline: bool,
    context_before: Option<usize>,
    context_after: Option<usize>,
    context_around: Option<usize>,
    #[serde(default = "yes")]
    line_numbers: bool,
    #[serde(default)]
    include_ignored: bool,
    head_limit: Option<usize>,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum OutputMode {
    Content,
    #[default]
    FilesWithMatches,
    Count,
}

const fn yes() -> bool {
    true
}

fn grep(context: &Context, arguments: GrepArguments) -> Call<ToolResult> {
    let query = match query_of(&arguments) {
        Ok(query) => query,
        Err(error) => return Call::err(error),
    };
    let GrepArguments {
        path,
        output_mode,
        line_numbers,
        include_ignored,
        head_limit,
        ..
    } = arguments;
    let limit = head_limit.unwrap_or(DEFAULT_LIMIT);
    let options = options_of(context, include_ignored, MAX_RESULTS);
    let found = context.workspace.grep(&path, query, options);
    let told = found.map_blocking(move |found| {
        let lines = match output_mode {
            OutputMode::Content => content_lines(&found, line_numbers, limit),
            OutputMode::FilesWithMatches => file_lines(&found, limit),
            OutputMode::Count => count_lines(&found, limit),
        };
        Ok(lines.into_result("No matches found", found.truncated))
    });
    context.attempt("open", &path).finish(told, |result| result)
}

fn query_of(arguments: &GrepArguments) -> Result<GrepQuery> {
    let mut globs: Vec<String> = arguments.glob.iter().cloned().collect();
    if let Some(name) = &arguments.r#type {
        let of_type = globs_of_type(name)?;
        globs = match globs.pop() {
            None => of_type,
            // Both must hold, and a list of globs means that one of them does.
            Some(_) => {
                return Err(Error::new(
                    ErrorCode::InvalidConfiguration,
                    "`glob` and `type` cannot be combined; write the extension into the glob",
                ));
            }
        };
    }
    let mode = arguments.output_mode;
    let lines = |own: Option<usize>| {
        let wanted = own.or(arguments.context_around).unwrap_or_default();
        if mode == OutputMode::Content {
            wanted
        } else {
            0
        }
    };
    Ok(GrepQuery {
        pattern: arguments.pattern.clone(),
        literal: arguments.literal,
        ignore_case: arguments.case_insensitive,
        multiline: arguments.multiline,
        globs,
        before_context: lines(arguments.context_before),
        after_context: lines(arguments.context_after),
        max_count_per_file: (mode == OutputMode::FilesWithMatches).then_some(1),
        ..GrepQuery::default()
    })
}

/// The globs of a file type of ripgrep.
fn globs_of_type(name: &str) -> Result<Vec<String>> {
    let mut builder = TypesBuilder::new();
    builder.add_defaults();
    let found = builder
        .definitions()
        .into_iter()
        .find(|definition| definition.name() == name);
    found.map_or_else(
        || {
            Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!("`type`: there is no file type {name:?}; use `glob`, such as '*.ext'"),
            ))
        },
        |definition| Ok(definition.globs().to_vec()),
    )
}

fn options_of(context: &Context, include_ignored: bool, max_results: usize) -> SearchOptions {
    SearchOptions {
        respect_gitignore: !include_ignored,
        names_only: true,
        limits: SearchLimits {
            max_results,
            ..SearchLimits::default()
        },
        cancel: Some(context.cancel.clone()),
        ..SearchOptions::default()
    }
}

/// Lines of a result, up to a limit.
struct Lines {
    text: String,
    count: usize,
    limit: usize,
    hidden: usize,
}

impl Lines {
    fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            count: 0,
            limit,
            hidden: 0,
        }
    }

    fn push(&mut self, line: std::fmt::Arguments<'_>) {
        if self.count == self.limit {
            self.hidden += 1;
            return;
        }
        if self.count > 0 {
            self.text.push('\n');
        }
        self.count += 1;
        let _ = self.text.write_fmt(line);
    }

    fn into_result(mut self, nothing: &str, cut_short: bool) -> ToolResult {
        if self.count == 0 {
            self.text.push_str(nothing);
        }
        if self.hidden > 0 {
            let Self { limit, hidden, .. } = self;
            let _ = write!(
                self.text,
                "\n[the first {limit} lines; {hidden} more are not shown]"
            );
        }
        if cut_short {
            self.text
                .push_str("\n[there may be more: the search was cut short]");
        }
        let truncated = self.hidden > 0 || cut_short;
        let value = json!({ "content": self.text, "truncated": truncated });
        ToolResult::structured(self.text, value)
    }
}

/// As ripgrep prints them: `path:line:text` for matches, `path-line-text` around them, `--` where lines are missing.
fn content_lines(found: &SearchOutcome, line_numbers: bool, limit: usize) -> Lines {
    let mut lines = Lines::new(limit);
    let has_context = found.lines.iter().any(|line| line.is_context);
    let mut last: Option<&FoundLine> = None;
    for line in &found.lines {
        let follows = last
            .is_none_or(|last| last.path == line.path && last.line_number + 1 == line.line_number);
        if has_context && !follows {
            lines.push(format_args!("--"));
        }
        last = Some(line);
        let mark = if line.is_context { '-' } else { ':' };
        let (path, text) = (line.path.to_string_lossy(), &line.text);
        if line_numbers {
            lines.push(format_args!("{path}{mark}{}{mark}{text}", line.line_number));
        } else {
            lines.push(format_args!("{path}{mark}{text}"));
        }
    }
    lines
}

/// Each file once; the lines of a file follow each other.
fn file_lines(found: &SearchOutcome, limit: usize) -> Lines {
    let mut lines = Lines::new(limit);
    for of_one in found.lines.chunk_by(|a, b| a.path == b.path) {
        lines.push(format_args!("{}", of_one[0].path.to_string_lossy()));
    }
    lines
}

fn count_lines(found: &SearchOutcome, limit: usize) -> Lines {
    let mut lines = Lines::new(limit);
    for of_one in found.lines.chunk_by(|a, b| a.path == b.path) {
        let count = of_one.len();
        lines.push(format_args!("{}:{count}", of_one[0].path.to_string_lossy()));
    }
    lines
}

pub(super) const GLOB: Tool = Tool {
    name: "glob",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Find Files by Name",
            description: "Find files by a glob pattern such as '**/*.ts' or 'src/*.{js,ts}'; a pattern without a slash \
                          matches at any depth. Leaves out what .gitignore names unless includeIgnored is set. Returns \
                          paths relative to the root of the workspace, in order.",
            properties: json!({
                "pattern": { "type": "string", "description": "Glob pattern, by the rules of .gitignore" },
                "path": {
                    "type": "string",
                    "description": "Directory to search in. Default: the root of the workspace"
                },
                "includeIgnored": { "type": "boolean", "description": "Also what .gitignore names, and .git" },
                "headLimit": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "Return at most this many paths. Default: 1000"
                }
            }),
            required: &["pattern"],
            effect: Effect::Reads,
            output: found_output(),
        }
        .closed(name)
    },
    call: |context, arguments| with(context, arguments, glob),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlobArguments {
    pattern: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    include_ignored: bool,
    head_limit: Option<usize>,
}

fn glob(context: &Context, arguments: GlobArguments) -> Call<ToolResult> {
    let GlobArguments {
        pattern,
        path,
        include_ignored,
        head_limit,
    } = arguments;
    let limit = head_limit.unwrap_or(DEFAULT_LIMIT);
    let options = options_of(context, include_ignored, MAX_RESULTS);
    let found = context.workspace.glob(&path, pattern, false, options);
    let told = found.map_blocking(move |found| {
        let mut lines = Lines::new(limit);
        for entry in &found.entries {
            lines.push(format_args!("{}", entry.path.to_string_lossy()));
        }
        Ok(lines.into_result("No files found", found.truncated))
    });
    context
        .attempt("scandir", &path)
        .finish(told, |result| result)
}
