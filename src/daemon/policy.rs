//! The file of `--policy-file`: the rules of access for whoever is served.

use std::path::Path;

use serde::Deserialize;

use crate::access::{AccessPolicy, AccessRule, Allow};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::trusted_file;

/// A longer file is refused.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(rename = "match")]
    pattern: String,
    allow: Level,
    exec: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    None,
    Read,
    Write,
}

/// Reads a policy. `root_dir` is a directory that it must not lie in.
///
/// # Errors
/// `INVALID_CONFIGURATION` with file and field, in one line; those of reading it.
pub(super) fn read(path: &Path, root_dir: Option<&Path>) -> Result<AccessPolicy> {
    let content = trusted_file::read(path, root_dir, MAX_BYTES)?;
    parse(&content).map_err(|error| error.at(path.to_string_lossy()))
}

fn parse(content: &[u8]) -> Result<AccessPolicy> {
    let file: PolicyFile = serde_json::from_slice(content)
        .map_err(|error| wrong(explained(content).unwrap_or_else(|| error.to_string())))?;
    let rules = file.rules.into_iter().map(|rule| AccessRule {
        pattern: rule.pattern,
        allow: match rule.allow {
            Level::None => Allow::None,
            Level::Read => Allow::Read,
            Level::Write => Allow::Write,
        },
        exec: rule.exec.unwrap_or(true),
    });
    AccessPolicy::new(rules.collect()).map_err(|error| {
        let message = error.message();
        wrong(
            message
                .strip_prefix("accessPolicy.")
                .unwrap_or(message)
                .to_owned(),
        )
    })
}

/// Which rule is wrong, where it is one.
fn explained(content: &[u8]) -> Option<String> {
    let whole: serde_json::Value = serde_json::from_slice(content).ok()?;
    let rules = whole.get("rules")?.as_array()?.iter().enumerate();
    rules
        .filter_map(|(index, rule)| Some((index, Rule::deserialize(rule).err()?)))
        .map(|(index, error)| format!("rules[{index}]: {error}"))
        .next()
}

fn wrong(message: String) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        format!("the policy is not valid: {}", message.replace('\n', " ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        let error = parse(text.as_bytes()).unwrap_err().at("f");
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    #[test]
    fn rules_are_read_in_order() {
        let policy = parse(
            br#"{ "rules": [{ "match": "secret/**", "allow": "none" }, { "match": "**", "allow": "write", "exec": false }] }"#,
        );
        let rules = policy.unwrap().rules;
        let path = |text: &[u8]| crate::path::RelPath::parse(text, b"/").unwrap();
        assert_eq!(rules.decides(&path(b"secret/a")), Some(0));
        assert_eq!(rules.decides(&path(b"x")), Some(1));
        assert!(parse(br#"{ "rules": [] }"#).unwrap().guard().is_none());
    }

    #[test]
    fn what_is_wrong_is_named_by_field() {
        for (text, expected) in [
            ("", "EOF"),
            ("[]", "invalid length 0"),
            ("{}", "missing field `rules`"),
            (r#"{"rules":{}}"#, "expected a sequence"),
            (r#"{"rules":[],"rule":[]}"#, "unknown field `rule`"),
            (r#"{"rules":[],"rules":[]}"#, "duplicate field `rules`"),
            (r#"{"rules":[]} x"#, "trailing characters"),
            (
                r#"{"rules":[{"match":"a","allow":"read"},{"match":"b"}]}"#,
                "rules[1]: missing field `allow`",
            ),
            (
                r#"{"rules":[{"match":"a","allow":"rw"}]}"#,
                "rules[0]: unknown variant `rw`, expected one of `none`, `read`, `write`",
            ),
            (
                r#"{"rules":[{"match":"a","allow":"read","exce":true}]}"#,
                "rules[0]: unknown field `exce`",
            ),
            (
                r#"{"rules":[{"match":"a","allow":"read","exec":"no"}]}"#,
                "rules[0]: invalid type",
            ),
            (
                r#"{"rules":[{"match":"a","allow":"read","allow":"write"}]}"#,
                "duplicate field `allow`",
            ),
            (
                r#"{"rules":[{"match":"[","allow":"read"}]}"#,
                "rules[0].match: the glob '['",
            ),
            (
                r#"{"rules":[{"match":"../x","allow":"read"}]}"#,
                "rules[0].match",
            ),
        ] {
            let said = complaint(text);
            assert!(said.contains(expected), "{text}: {said}");
            assert!(said.starts_with("'f': the policy is not valid: "), "{said}");
        }
    }
}
