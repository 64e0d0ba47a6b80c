//! Listing a directory.

use std::cmp::{Ordering, Reverse};
use std::fmt::Write as _;
use std::sync::LazyLock;

use icu_collator::CollatorBorrowed;
use icu_collator::options::CollatorOptions;
use serde::Deserialize;
use serde_json::json;

use super::super::context::Context;
use super::super::definition::{Definition, Effect, text_output};
use super::super::result::ToolResult;
use super::{Tool, with};
use crate::backend::{DirEntry, FileKind, ListOptions};
use crate::call::Call;
use crate::error::Result;
use crate::workspace::Workspace;

pub(super) const LIST_DIRECTORY: Tool = Tool {
    name: "list_directory",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "List Directory",
            description: "Get a detailed listing of all files and directories in a specified path. Results clearly \
                          distinguish between files and directories with [FILE] and [DIR] prefixes. This tool is \
                          essential for understanding directory structure and finding specific files within a \
                          directory. Only works within allowed directories.",
            properties: json!({ "path": { "type": "string" } }),
            required: &["path"],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, list_directory),
};

#[derive(Deserialize)]
struct ListDirectory {
    path: String,
}

fn list_directory(context: &Context, arguments: ListDirectory) -> Call<ToolResult> {
    let ListDirectory { path } = arguments;
    let listing = context.workspace.list(&path, ListOptions::default());
    let listing = listing.map_blocking(|entries| Ok(ToolResult::text(lines_of(&entries))));
    context
        .attempt("scandir", &path)
        .finish(listing, |result| result)
}

fn lines_of(entries: &[DirEntry]) -> String {
    let mut text = String::new();
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(prefix(entry.kind));
        text.push(' ');
        text.push_str(&String::from_utf8_lossy(&entry.name));
    }
    text
}

/// A link is a file to a listing, whatever it points to.
fn prefix(kind: FileKind) -> &'static str {
    if kind == FileKind::Directory {
        "[DIR]"
    } else {
        "[FILE]"
    }
}

pub(super) const LIST_DIRECTORY_WITH_SIZES: Tool = Tool {
    name: "list_directory_with_sizes",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "List Directory with Sizes",
            description: "Get a detailed listing of all files and directories in a specified path, including sizes. \
                          Results clearly distinguish between files and directories with [FILE] and [DIR] prefixes. \
                          This tool is useful for understanding directory structure and finding specific files \
                          within a directory. Only works within allowed directories.",
            properties: json!({
                "path": { "type": "string" },
                "sortBy": {
                    "default": "name",
                    "description": "Sort entries by name or size",
                    "type": "string",
                    "enum": ["name", "size"]
                }
            }),
            required: &["path"],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, list_directory_with_sizes),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListDirectoryWithSizes {
    path: String,
    #[serde(default)]
    sort_by: SortBy,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SortBy {
    #[default]
    Name,
    Size,
}

fn list_directory_with_sizes(
    context: &Context,
    arguments: ListDirectoryWithSizes,
) -> Call<ToolResult> {
    let ListDirectoryWithSizes { path, sort_by } = arguments;
    let attempt = context.attempt("scandir", &path);
    let sized = Call::spawned(sized(context.workspace.clone(), path));
    attempt.finish(
        sized.map_blocking(move |entries| Ok(ToolResult::text(table_of(entries, sort_by)))),
        |result| result,
    )
}

struct Sized {
    name: String,
    is_directory: bool,
    size: u64,
}

/// The entries with their sizes; a link has that of what it points to, and none where that cannot be reached.
async fn sized(workspace: Workspace, path: String) -> Result<Vec<Sized>> {
    let entries = workspace
        .list(&path, ListOptions { with_stat: true })
        .await?;
    let mut sized = Vec::with_capacity(entries.len());
    for entry in entries {
        let size = if entry.kind == FileKind::Symlink {
            let target = [path.as_bytes(), b"/", &entry.name].concat();
            workspace.stat(target).await.map_or(0, |stat| stat.size)
        } else {
            entry.stat.map_or(0, |stat| stat.size)
        };
        sized.push(Sized {
            name: String::from_utf8_lossy(&entry.name).into_owned(),
            is_directory: entry.kind == FileKind::Directory,
            size,
        });
    }
    Ok(sized)
}

fn table_of(mut entries: Vec<Sized>, sort_by: SortBy) -> String {
    // Stable, as the reference's sort is: what is equal stays in byte order.
    match sort_by {
        SortBy::Name => entries.sort_by(|a, b| compare_names(&a.name, &b.name)),
        SortBy::Size => entries.sort_by_key(|entry| Reverse(entry.size)),
    }
    let mut text = String::new();
    for entry in &entries {
        let size = if entry.is_directory {
            String::new()
        } else {
            format!("{:>10}", format_size(entry.size))
        };
        let kind = if entry.is_directory {
            FileKind::Directory
        } else {
            FileKind::File
        };
        // Widths are counted in UTF-16 units, as JavaScript pads.
        let padding = 30usize.saturating_sub(entry.name.encode_utf16().count());
        let _ = writeln!(
            text,
            "{} {}{:padding$} {size}",
            prefix(kind),
            entry.name,
            ""
        );
    }
    let files = || entries.iter().filter(|entry| !entry.is_directory);
    let _ = write!(
        text,
        "\nTotal: {} files, {} directories\nCombined size: {}",
        files().count(),
        entries.len() - files().count(),
        format_size(files().map(|entry| entry.size).sum())
    );
    text
}

/// As JavaScript's `localeCompare` in English, that is by the order of CLDR's root.
fn compare_names(a: &str, b: &str) -> Ordering {
    static COLLATOR: LazyLock<Option<CollatorBorrowed<'static>>> = LazyLock::new(|| {
        CollatorBorrowed::try_new(Default::default(), CollatorOptions::default()).ok()
    });
    COLLATOR
        .as_ref()
        .map_or_else(|| a.cmp(b), |collator| collator.compare(a, b))
}

/// `12 B`, `1.50 KB`; two digits rounded half up, as `toFixed` does, since the quotients are exact.
fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(4);
    let divisor = 1u128 << (10 * power);
    let hundredths = (u128::from(bytes) * 200 + divisor) / (2 * divisor);
    let unit = UNITS[power as usize - 1];
    format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_as_javascript_does() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KB"),
            (1536, "1.50 KB"),
            // 1.125: exactly between two.
            (1152, "1.13 KB"),
            (1_048_575, "1024.00 KB"),
            (1_048_576, "1.00 MB"),
            (5 << 40, "5.00 TB"),
            (5 << 50, "5120.00 TB"),
        ] {
            assert_eq!(format_size(bytes), expected);
        }
    }

    #[test]
    fn names_are_in_the_order_of_a_dictionary() {
        let mut names = [
            "b", "B", "a", "_x", "10", "9", "Ä", "z", ".git", "-", "a b", "ab",
        ];
        names.sort_by(|a, b| compare_names(a, b));
        assert_eq!(
            names,
            [
                "_x", "-", ".git", "10", "9", "a", "Ä", "a b", "ab", "b", "B", "z"
            ]
        );
    }

    #[test]
    fn a_directory_has_no_size_and_does_not_count() {
        let entry = |name: &str, is_directory, size| Sized {
            name: name.to_owned(),
            is_directory,
            size,
        };
        let entries = vec![
            entry("a.txt", false, 2048),
            entry("d", true, 4096),
            entry("b.txt", false, 10),
        ];
        assert_eq!(
            table_of(entries, SortBy::Size),
            "[DIR] d                              \n\
             [FILE] a.txt                             2.00 KB\n\
             [FILE] b.txt                                10 B\n\
             \n\
             Total: 2 files, 1 directories\n\
             Combined size: 2.01 KB"
        );
    }
}
