//! Search and edit.

use agent_backend::backend::Etag;
use agent_backend::backend::search::{GrepQuery, SearchLimits, SearchOutcome};
use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::workspace::{Edit, EditOptions, SearchOptions};
use napi::sys;
use napi_derive::napi;

use super::Native;
use super::life::whole;
use crate::arguments::{Arguments, TextRoom};
use crate::environment::Environment;
use crate::executor::start;
use crate::stat::kind_bits;

/// Options of `glob`, `grep` and `tree`.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeSearchOptions {
    /// Globs of what to leave out.
    pub exclude: Option<Vec<String>>,
    /// Leave out what `.gitignore` and `.ignore` files name.
    pub gitignore: Option<bool>,
    /// Also entries whose name begins with a dot. Default: true.
    pub hidden: Option<bool>,
    /// Most results.
    pub max_results: Option<f64>,
    /// Time limit in milliseconds.
    pub timeout_ms: Option<f64>,
    /// `glob`: also directories.
    pub directories: Option<bool>,
    /// `tree`: how deep.
    pub max_depth: Option<f64>,
    /// `grep`: take the pattern as text.
    pub literal: Option<bool>,
    /// `grep`: ignore case.
    pub ignore_case: Option<bool>,
    /// `grep`: only whole words.
    pub word: Option<bool>,
    /// `grep`: let a match span lines.
    pub multiline: Option<bool>,
    /// `grep`: only files that match one of these.
    pub globs: Option<Vec<String>>,
    /// `grep`: lines before each match.
    pub before_context: Option<f64>,
    /// `grep`: lines after each match.
    pub after_context: Option<f64>,
    /// `grep`: stop in each file after this many matching lines.
    pub max_count_per_file: Option<f64>,
}

/// One replacement of `edit`.
#[napi(object, object_to_js = false)]
pub struct NativeEdit {
    /// What to replace.
    pub old_text: String,
    /// What to put in its place.
    pub new_text: String,
    /// Replace every occurrence.
    pub replace_all: Option<bool>,
}

/// `glob(base, pattern, options?, cancel?): NativeEntries`
pub fn glob(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let base = arguments.path(0, &mut room)?;
    let pattern = arguments.string(1, "the pattern")?;
    let options: NativeSearchOptions = arguments.options(2)?;
    let directories = options.directories == Some(true);
    let options = SearchOptions {
        // `ts/` asks for the paths alone.
        names_only: true,
        ..common(arguments, &options, 3)?
    };
    let call = native.workspace.glob(base, pattern, directories, options);
    Ok(start_entries(arguments.environment, call.map(entries)))
}

/// `tree(base, options?, cancel?): NativeEntries`
pub fn tree(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let base = arguments.path(0, &mut room)?;
    let options: NativeSearchOptions = arguments.options(1)?;
    let max_depth = options.max_depth.map(length);
    let common = common(arguments, &options, 2)?;
    let call = native.workspace.tree(base, max_depth, common);
    let call = call.map(|found| {
        let truncated = found.truncated;
        let found = found.entries.into_iter().map(|entry| entry.entry).collect();
        entries(SearchOutcome {
            entries: found,
            lines: Vec::new(),
            truncated,
        })
    });
    Ok(start_entries(arguments.environment, call))
}

/// `grep(base, pattern, options?, cancel?): NativeLines`
pub fn grep(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let base = arguments.path(0, &mut room)?;
    let pattern = arguments.string(1, "the pattern")?;
    let mut options: NativeSearchOptions = arguments.options(2)?;
    let query = GrepQuery {
        pattern,
        literal: options.literal == Some(true),
        ignore_case: options.ignore_case == Some(true),
        word: options.word == Some(true),
        multiline: options.multiline == Some(true),
        globs: options.globs.take().unwrap_or_default(),
        before_context: options.before_context.map_or(0, length),
        after_context: options.after_context.map_or(0, length),
        max_count_per_file: options.max_count_per_file.map(whole),
    };
    let common = common(arguments, &options, 3)?;
    let call = native.workspace.grep(base, query, common).map(lines);
    Ok(start(arguments.environment, call, |environment, found| {
        let js = environment.js;
        let paths = js.strings(&found.paths);
        let texts = js.strings(&found.texts);
        let numbers = js.float64_array(&found.numbers);
        js.array([paths, texts, numbers, js.boolean(found.truncated)].into_iter())
    }))
}

/// `edit(path, edits, dryRun, ifMatch?): [diff, replacements, etag]`
pub fn edit(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    let edits: Vec<NativeEdit> = arguments.options(1)?;
    let edits = edits.into_iter().map(|edit| Edit {
        old_text: edit.old_text.into(),
        new_text: edit.new_text.into(),
        replace_all: edit.replace_all == Some(true),
    });
    let options = EditOptions {
        dry_run: arguments.boolean(2),
        if_match: arguments.optional_string(3, "ifMatch")?.map(Etag),
    };
    let call = native.workspace.edit(path, edits.collect(), options);
    Ok(start(
        arguments.environment,
        call,
        |environment, outcome| {
            let js = environment.js;
            let diff = js.utf8(outcome.diff.as_bytes());
            let replacements = js.number(outcome.replacements as f64);
            let etag = js.latin1(outcome.stat.etag().0.as_bytes());
            js.array([diff, replacements, etag].into_iter())
        },
    ))
}

fn common(
    arguments: &Arguments<'_>,
    options: &NativeSearchOptions,
    cancel_at: usize,
) -> Result<SearchOptions> {
    let mut limits = SearchLimits::default();
    if let Some(results) = options.max_results {
        limits.max_results = length(results);
    }
    if let Some(milliseconds) = options.timeout_ms {
        limits.timeout_ms = whole(milliseconds);
    }
    let defaults = SearchOptions::default();
    Ok(SearchOptions {
        exclude: options.exclude.clone().unwrap_or_default(),
        respect_gitignore: options.gitignore == Some(true),
        hidden: options.hidden.unwrap_or(defaults.hidden),
        limits,
        cancel: Some(arguments.cancellation(cancel_at)?),
        ..defaults
    })
}

fn length(number: f64) -> usize {
    usize::try_from(whole(number)).unwrap_or(usize::MAX)
}

/// Entries in the form that costs least to pass on: a text, and three numbers each.
struct Entries {
    paths: Vec<Vec<u8>>,
    numbers: Vec<f64>,
    truncated: bool,
}

fn entries(found: SearchOutcome) -> Entries {
    let mut numbers = Vec::with_capacity(found.entries.len() * 3);
    let mut paths = Vec::with_capacity(found.entries.len());
    for entry in found.entries {
        numbers.extend([
            f64::from(kind_bits(entry.kind)),
            entry.size as f64,
            entry.mtime_ns as f64 / 1e6,
        ]);
        paths.push(entry.path.as_bytes().to_vec());
    }
    Entries {
        paths,
        numbers,
        truncated: found.truncated,
    }
}

fn start_entries(environment: &Environment, call: Call<Entries>) -> sys::napi_value {
    start(environment, call, |environment, found| {
        let js = environment.js;
        let paths = js.joined(&found.paths);
        let numbers = js.float64_array(&found.numbers);
        js.array([paths, numbers, js.boolean(found.truncated)].into_iter())
    })
}

/// Lines likewise: two texts, and number, column (-1 for none) and context (0 or 1) each.
struct Lines {
    paths: Vec<Vec<u8>>,
    texts: Vec<String>,
    numbers: Vec<f64>,
    truncated: bool,
}

fn lines(found: SearchOutcome) -> Lines {
    let count = found.lines.len();
    let mut lines = Lines {
        paths: Vec::with_capacity(count),
        texts: Vec::with_capacity(count),
        numbers: Vec::with_capacity(count * 3),
        truncated: found.truncated,
    };
    for line in found.lines {
        lines.numbers.extend([
            line.line_number as f64,
            line.column.map_or(-1.0, |column| column as f64),
            f64::from(u8::from(line.is_context)),
        ]);
        lines.paths.push(line.path.as_bytes().to_vec());
        lines.texts.push(line.text);
    }
    lines
}
