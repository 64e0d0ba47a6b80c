//! The repository's own rules, as tests: what a reviewer would otherwise have to remember.

#![allow(
    clippy::expect_used,
    reason = "tests may say what they take for granted"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_backend::workspace::OPERATIONS;

/// A file of more lines is more than one room.
const LONGEST_FILE: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that git knows or would add, relative to the root.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .expect("git lists the files of the repository");
    assert!(listed.status.success(), "the tests run in a git clone");
    String::from_utf8(listed.stdout)
        .expect("file names are UTF-8")
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect()
}

fn files_with(extensions: &[&str]) -> Vec<(PathBuf, String)> {
    files()
        .into_iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
        })
        .filter(|path| !is_generated(path))
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .collect()
}

fn is_generated(path: &Path) -> bool {
    ["index.js", "index.d.ts"]
        .iter()
        .any(|name| path == Path::new(name))
        || path.ends_with("package-lock.json")
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with every offender at once.
fn none_of(rule: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{rule}:\n  {}",
        offenders.join("\n  ")
    );
}

#[test]
fn no_file_is_longer_than_one_can_keep_in_mind() {
    let offenders: Vec<String> = files_with(&["rs", "ts", "tsx", "js", "mjs", "sh"])
        .iter()
        .filter(|(_, text)| text.lines().count() > LONGEST_FILE)
        .map(|(path, text)| format!("{} has {} lines", path.display(), text.lines().count()))
        .collect();
    none_of("a file has at most 400 lines", &offenders);
}

#[test]
fn napi_is_named_only_by_the_node_door() {
    let offenders: Vec<String> = files_with(&["rs", "toml"])
        .iter()
        .filter(|(path, _)| {
            !path.starts_with("bindings/node") && path != Path::new("tests/tidy.rs")
        })
        .filter(|(_, text)| {
            text.lines()
                .any(|line| line.contains("napi") && !is_comment(line))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    none_of("only bindings/node names napi", &offenders);
}

#[test]
fn rmcp_is_named_only_where_the_protocol_is_kept() {
    let offenders: Vec<String> = files_with(&["rs"])
        .iter()
        .filter(|(path, _)| {
            !path.starts_with("src/mcp/protocol") && path != Path::new("tests/tidy.rs")
        })
        .filter(|(_, text)| {
            text.lines()
                .any(|line| line.contains("rmcp::") && !is_comment(line))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    none_of("only src/mcp/protocol names rmcp", &offenders);
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with('#')
}

#[test]
fn system_calls_are_made_only_where_they_are_kept() {
    let offenders: Vec<String> = files_with(&["rs"])
        .iter()
        .filter(|(path, _)| {
            [
                "src/error",
                "src/access",
                "src/egress",
                "src/path",
                "src/policy",
                "src/workspace",
                "src/mcp",
                "src/backend/memory",
                "src/daemon",
                "src/main.rs",
            ]
            .iter()
            .any(|layer| path.starts_with(layer))
        })
        .filter(|(path, _)| !path.components().any(|part| part.as_os_str() == "tests"))
        // Names error numbers, and calls nothing.
        .filter(|(path, _)| path != Path::new("src/error/system.rs"))
        .filter(|(_, text)| {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            code.contains("libc::") || code.contains("rustix::") || code.contains("std::fs::")
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    none_of(
        "these layers reach the system only through sys and backend",
        &offenders,
    );
}

#[test]
fn only_one_file_loads_the_addon() {
    let offenders: Vec<String> = files_with(&["ts"])
        .iter()
        .filter(|(path, _)| path.starts_with("ts") && path != Path::new("ts/native.ts"))
        .filter(|(_, text)| {
            text.lines().any(|line| {
                line.contains(".node\"")
                    || line.contains("\"../index.js\"")
                    || line.contains("\"../../index.js\"")
            })
        })
        // ts/errors/x.ts may import ts/index.ts; the addon's loader lies one further up.
        .filter(|(path, text)| {
            let up = "../".repeat(path.components().count() - 1);
            text.contains(&format!("\"{up}index.js\"")) || text.contains(".node\"")
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    none_of("only ts/native.ts imports the addon", &offenders);
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let mut manifests = vec![PathBuf::from("package.json")];
    manifests.extend(
        files()
            .into_iter()
            .filter(|path| path.starts_with("npm") && path.ends_with("package.json")),
    );
    assert!(manifests.len() > 1, "the platform packages are there");
    let wanted = format!("\"version\": \"{version}\"");
    let offenders: Vec<String> = manifests
        .iter()
        .filter(|path| !read(path).contains(&wanted))
        .map(|path| format!("{} does not have version {version}", path.display()))
        .collect();
    none_of(
        "Cargo.toml, package.json and npm/*/package.json agree",
        &offenders,
    );
    let changes = read(Path::new("CHANGELOG.md"));
    assert!(
        changes.contains(&format!("## [{version}]")),
        "CHANGELOG.md has a section [{version}]"
    );
}

#[test]
fn every_package_that_ships_is_apache_licensed() {
    let offenders: Vec<String> = files()
        .into_iter()
        .filter(|path| path.ends_with("package.json") && !path.starts_with("bench"))
        .filter(|path| path.starts_with("npm") || path == Path::new("package.json"))
        .filter(|path| !read(path).contains("\"license\": \"Apache-2.0\""))
        .map(|path| path.display().to_string())
        .collect();
    none_of("each package names its licence", &offenders);
    assert!(read(Path::new("LICENSE")).contains("Apache License"));
}

#[test]
fn the_package_needs_no_other_package_at_run_time() {
    let manifest = read(Path::new("package.json"));
    assert!(
        !manifest.contains("\"dependencies\""),
        "no runtime npm dependency"
    );
}

#[test]
fn lock_files_do_not_name_a_registry() {
    let offenders: Vec<String> = files()
        .into_iter()
        .filter(|path| path.ends_with("package-lock.json"))
        .filter(|path| read(path).contains("\"resolved\": \"http"))
        .map(|path| path.display().to_string())
        .collect();
    none_of(
        "a clone installs from whatever registry its owner uses",
        &offenders,
    );
}

#[test]
fn every_decision_is_dated_and_says_what_why_and_at_what_cost() {
    let decisions: Vec<PathBuf> = files()
        .into_iter()
        .filter(|path| path.starts_with("docs/decisions"))
        .collect();
    assert!(!decisions.is_empty());
    let mut offenders = Vec::new();
    for path in decisions {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let date = name.get(..11).unwrap_or_default();
        let dated = date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 | 10 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        if date.len() != 11 || !dated || !name.ends_with(".md") {
            offenders.push(format!("{name} is not named YYYY-MM-DD-slug.md"));
        }
        let text = read(&path);
        for section in ["# ", "## Context", "## Decision", "## Consequences"] {
            if !text.lines().any(|line| line.starts_with(section)) {
                offenders.push(format!("{name} has no \"{section}\""));
            }
        }
    }
    none_of("a decision is a dated record", &offenders);
}

#[test]
fn the_architecture_fits_on_a_few_pages_and_states_its_invariants() {
    let text = read(Path::new("ARCHITECTURE.md"));
    assert!(text.lines().count() <= 150, "at most 150 lines");
    assert!(text.matches("Architecture Invariant").count() >= 3);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let homes = ["/root/", "/home/", "/Users/"];
    let offenders: Vec<String> = files_with(&["rs", "ts", "js", "mjs", "json", "md", "sh", "toml"])
        .iter()
        .filter(|(path, _)| path != Path::new("tests/tidy.rs"))
        .flat_map(|(path, text)| {
            let home = root().to_string_lossy().into_owned();
            text.lines()
                .enumerate()
                .filter(|(_, line)| home.len() > 4 && line.contains(home.as_str()))
                .map(|(number, _)| format!("{}:{}", path.display(), number + 1))
                .collect::<Vec<_>>()
        })
        .collect();
    none_of("no path of this clone is committed", &offenders);
    let sources: Vec<String> = files_with(&["mjs", "json", "toml", "sh"])
        .iter()
        .filter(|(path, text)| {
            !path.starts_with("__test__") && homes.iter().any(|home| text.contains(home))
        })
        .map(|(path, _)| path.display().to_string())
        .collect();
    none_of(
        "no home directory is named in scripts and manifests",
        &sources,
    );
}

/// The quoted words of a text between two marks, without those that only the published package knows.
fn words(text: &str, from: &str, to: &str) -> Vec<String> {
    const OF_THE_PACKAGE: [&str; 5] = [
        "writeFile",
        "readFile",
        "readWithStat",
        "readdirWithStats",
        "scope",
    ];
    let (_, rest) = text.split_once(from).expect("it begins");
    let (list, _) = rest.split_once(to).expect("it ends");
    let mut words: Vec<String> = (list.split('"').skip(1).step_by(2))
        .filter(|word| !OF_THE_PACKAGE.contains(word))
        .map(str::to_owned)
        .collect();
    words.sort();
    words
}

#[test]
fn both_languages_know_the_same_operations_of_the_log() {
    let text = read(Path::new("ts/logging/types.ts"));
    let ours = |only_changes: bool| {
        let mut names: Vec<&str> = (OPERATIONS.iter())
            .filter(|(_, changes)| *changes || !only_changes)
            .map(|(name, _)| *name)
            .collect();
        names.sort_unstable();
        names
    };
    let all = words(&text, "export type OperationType =", ";");
    assert_eq!(all, ours(false), "OperationType");
    let modifying = words(&text, "Object.freeze([", "]");
    assert_eq!(modifying, ours(true), "MODIFYING_OPERATIONS");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut offenders = Vec::new();
    for (path, text) in files_with(&["md"]) {
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            let beside = root().join(&path);
            let place = beside.parent().unwrap_or(root()).join(file);
            if !file.is_empty() && !target.contains("://") && !place.exists() {
                offenders.push(format!("{} links to {target}", path.display()));
            }
        }
    }
    none_of("links in documents", &offenders);
}
