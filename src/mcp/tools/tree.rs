//! What lies below a directory: as a tree, and by the pattern of its paths.
//!
//! The workspace walks; here what it found is filtered, because the patterns are those of minimatch and no others.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::super::context::Context;
use super::super::definition::{Definition, Effect, text_output};
use super::super::minimatch::Minimatch;
use super::super::result::ToolResult;
use super::{MAX_TEXT_BYTES, Tool, with};
use crate::backend::FileKind;
use crate::backend::search::SearchLimits;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::workspace::{SearchOptions, TreeEntry, TreeOutcome};

/// More entries are not looked at for one call.
const MAX_ENTRIES: usize = 2_000_000;
/// More patterns in one call are refused.
const MAX_PATTERNS: usize = 1_000;

pub(super) const DIRECTORY_TREE: Tool = Tool {
    name: "directory_tree",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Directory Tree",
            description: "Get a recursive tree view of files and directories as a JSON structure. Each entry includes \
                          'name', 'type' (file/directory), and 'children' for directories. Files have no children \
                          array, while directories always have a children array (which may be empty). The output is \
                          formatted with 2-space indentation for readability. Only works within allowed directories.",
            properties: json!({
                "path": { "type": "string" },
                "excludePatterns": { "default": [], "type": "array", "items": { "type": "string" } }
            }),
            required: &["path"],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, directory_tree),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DirectoryTree {
    path: String,
    #[serde(default)]
    exclude_patterns: Vec<String>,
}

fn directory_tree(context: &Context, arguments: DirectoryTree) -> Call<ToolResult> {
    let DirectoryTree {
        path,
        exclude_patterns,
    } = arguments;
    // A pattern without an asterisk is also a name at any depth.
    let anywhere = |pattern: &String| !pattern.contains('*');
    let excludes = match Excludes::new(&exclude_patterns, anywhere) {
        Ok(excludes) => excludes,
        Err(error) => return Call::err(error),
    };
    let base = base_of(context, &path);
    let tree = walk(context, &path, &excludes, None).map_blocking(move |tree| {
        let text = write_tree(&excludes.keep(&base, tree.entries), tree.truncated)?;
        Ok(ToolResult::text(text))
    });
    context
        .attempt("scandir", &path)
        .finish(tree, |result| result)
}

pub(super) const SEARCH_FILES: Tool = Tool {
    name: "search_files",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Search Files",
            description: "Recursively search for files and directories matching a pattern. The patterns should be \
                          glob-style patterns that match paths relative to the working directory. Use pattern like \
                          '*.ext' to match files in current directory, and '**/*.ext' to match files in all \
                          subdirectories. Returns full paths to all matching items. Great for finding files when you \
                          don't know their exact location. Only searches within allowed directories.",
            properties: json!({
                "path": { "type": "string" },
                "pattern": { "type": "string" },
                "excludePatterns": { "default": [], "type": "array", "items": { "type": "string" } }
            }),
            required: &["path", "pattern"],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, search_files),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SearchFiles {
    path: String,
    pattern: String,
    #[serde(default)]
    exclude_patterns: Vec<String>,
}

fn search_files(context: &Context, arguments: SearchFiles) -> Call<ToolResult> {
    let SearchFiles {
        path,
        pattern,
        exclude_patterns,
    } = arguments;
    let compiled = Excludes::new(&exclude_patterns, |_| false)
        .and_then(|excludes| Ok((excludes, compile("pattern", &pattern)?)));
    let (excludes, pattern) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return Call::err(error),
    };
    let base = base_of(context, &path);
    let walking = walk(context, &path, &excludes, pattern.max_components());
    let walked = context
        .real(&path)
        .and_then(|real| walking.map(|tree| (real, tree)));
    let found = walked.map_blocking(move |(mut real_base, tree)| {
        if !real_base.ends_with('/') {
            real_base.push('/');
        }
        let mut text = String::new();
        for kept in excludes.keep(&base, tree.entries) {
            let below = kept.below();
            if pattern.is_match(&below) {
                text.push_str(&real_base);
                text.push_str(&below);
                text.push('\n');
            }
        }
        if tree.truncated {
            text.push_str(
                "(there may be more: the search was cut short; search in a subdirectory)\n",
            );
        }
        text.pop();
        if text.is_empty() {
            text.push_str("No matches found");
        }
        Ok(ToolResult::text(text))
    });
    context
        .attempt("scandir", &path)
        .finish(found, |result| result)
}

fn base_of(context: &Context, path: &str) -> RelPath {
    // A path that is none fails in the walk.
    RelPath::parse(path.as_bytes(), context.workspace.root_dir()).unwrap_or_default()
}

fn walk(
    context: &Context,
    path: &str,
    excludes: &Excludes,
    max_depth: Option<usize>,
) -> Call<TreeOutcome> {
    let options = SearchOptions {
        exclude: excludes.for_walk.clone(),
        names_only: true,
        limits: SearchLimits {
            max_results: MAX_ENTRIES,
            max_entries: MAX_ENTRIES,
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the bound is far below what any address space holds"
            )]
            max_result_bytes: MAX_TEXT_BYTES as usize,
            ..SearchLimits::default()
        },
        cancel: Some(context.cancel.clone()),
        ..SearchOptions::default()
    };
    context.workspace.tree(path, max_depth, options)
}

fn compile(what: &str, pattern: &str) -> Result<Minimatch> {
    Minimatch::new(pattern).map_err(|problem| {
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!("`{what}`: {problem}"),
        )
    })
}

/// What a call leaves out.
struct Excludes {
    matchers: Vec<Minimatch>,
    /// Those that say the same in the syntax of the walker, which then does not enter what they name.
    for_walk: Vec<String>,
}

/// An entry that is not left out.
struct Kept {
    path: RelPath,
    /// Where the part below the base begins.
    start: usize,
    is_directory: bool,
    /// 1 for what is directly in the base.
    depth: usize,
}

impl Kept {
    fn below(&self) -> Cow<'_, str> {
        let below = self.path.as_bytes().get(self.start..);
        String::from_utf8_lossy(below.unwrap_or_default())
    }

    fn name(&self) -> Cow<'_, str> {
        let bytes = self.path.as_bytes();
        let start = memchr::memrchr(b'/', bytes).map_or(0, |slash| slash + 1);
        String::from_utf8_lossy(&bytes[start..])
    }
}

impl Excludes {
    /// `anywhere` says which patterns name what they name at any depth, with all that is below.
    fn new(patterns: &[String], anywhere: impl Fn(&String) -> bool) -> Result<Self> {
        if patterns.len() > MAX_PATTERNS {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!("`excludePatterns` has more than {MAX_PATTERNS} patterns"),
            ));
        }
        let mut matchers = Vec::with_capacity(patterns.len());
        let mut for_walk = Vec::new();
        for pattern in patterns {
            matchers.push(compile("excludePatterns", pattern)?);
            if anywhere(pattern) {
                matchers.push(compile("excludePatterns", &format!("**/{pattern}"))?);
                matchers.push(compile("excludePatterns", &format!("**/{pattern}/**"))?);
            }
            if is_plain(pattern) {
                let any_depth = anywhere(pattern) && !pattern.contains('/');
                for_walk.push(if any_depth {
                    pattern.clone()
                } else {
                    format!("/{pattern}")
                });
            }
        }
        Ok(Self { matchers, for_walk })
    }

    /// What is left of a tree, parents before children: what is left out takes all below it along.
    fn keep(&self, base: &RelPath, entries: Vec<TreeEntry>) -> Vec<Kept> {
        let mut kept = Vec::with_capacity(entries.len());
        let start = match base.as_bytes().len() {
            0 => 0,
            length => length + 1,
        };
        let mut left_out_at = usize::MAX;
        for TreeEntry { entry, depth } in entries {
            if depth > left_out_at {
                continue;
            }
            left_out_at = usize::MAX;
            let entry = Kept {
                path: entry.path,
                start,
                is_directory: entry.kind == FileKind::Directory,
                depth,
            };
            let is_out = |below: &str| self.matchers.iter().any(|one| one.is_match(below));
            if !self.matchers.is_empty() && is_out(&entry.below()) {
                left_out_at = depth;
            } else {
                kept.push(entry);
            }
        }
        kept
    }
}

/// Whether a pattern means the same to minimatch and to gitignore once it is anchored: names with `*`, or one such name
/// with `**` before or behind it.
fn is_plain(pattern: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*');
    let inner = pattern.strip_prefix("**/").unwrap_or(pattern);
    let inner = inner.strip_suffix("/**").unwrap_or(inner);
    let has_globstar = inner.len() < pattern.len();
    inner.split('/').all(|name| {
        !matches!(name, "" | "." | "..") && name.chars().all(plain) && !name.contains("**")
    }) && !(has_globstar && inner.contains('/'))
}

/// The tree as `JSON.stringify(tree, null, 2)` writes it.
fn write_tree(entries: &[Kept], truncated: bool) -> Result<String> {
    if truncated {
        return Err(Error::new(
            ErrorCode::TooLarge,
            "the tree has too many entries for one call; exclude some of it, or ask for a subdirectory",
        ));
    }
    if entries.is_empty() {
        return Ok("[]".to_owned());
    }
    let mut text = String::with_capacity(entries.len() * 100);
    text.push('[');
    let mut depth = 0;
    for (index, entry) in entries.iter().enumerate() {
        close_down_to(&mut text, &mut depth, entry.depth);
        if entry.depth == depth {
            text.push(',');
        }
        depth = entry.depth;
        start_line(&mut text, 4 * depth - 2);
        text.push('{');
        start_line(&mut text, 4 * depth);
        text.push_str("\"name\": ");
        write_json_string(&mut text, &entry.name());
        text.push(',');
        start_line(&mut text, 4 * depth);
        if entry.is_directory {
            text.push_str("\"type\": \"directory\",");
            start_line(&mut text, 4 * depth);
            text.push_str("\"children\": [");
            let next = entries.get(index + 1);
            if next.is_some_and(|next| next.depth > depth) {
                continue;
            }
            text.push(']');
        } else {
            text.push_str("\"type\": \"file\"");
        }
        start_line(&mut text, 4 * depth - 2);
        text.push('}');
    }
    close_down_to(&mut text, &mut depth, 1);
    text.push_str("\n]");
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(Error::new(
            ErrorCode::TooLarge,
            "the tree is too large for one call; exclude some of it, or ask for a subdirectory",
        ));
    }
    Ok(text)
}

/// Ends the directories that are deeper than the next entry.
fn close_down_to(text: &mut String, depth: &mut usize, target: usize) {
    while *depth > target {
        *depth -= 1;
        start_line(text, 4 * *depth);
        text.push(']');
        start_line(text, 4 * *depth - 2);
        text.push('}');
    }
}

fn start_line(text: &mut String, indent: usize) {
    const SPACES: &str = "                                                                ";
    text.push('\n');
    let mut left = indent;
    while left > 0 {
        let some = left.min(SPACES.len());
        text.push_str(&SPACES[..some]);
        left -= some;
    }
}

fn write_json_string(text: &mut String, value: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if value.bytes().all(is_plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(value).to_string());
    }
}
