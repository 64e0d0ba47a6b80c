//! The file of `--ssh-authorized-keys`.

use std::path::Path;

use super::key::{self, Key};
use super::wrong;
use crate::error::{Printable, Result};
use crate::sys::linux::trusted_file;

/// A longer file is refused.
const MAX_BYTES: u64 = 1 << 20;

/// The keys of a file. A line that cannot be honoured as it stands is left out and logged by number, so that one new
/// option does not lock everybody out.
///
/// # Errors
/// Those of reading it; `INVALID_CONFIGURATION` where no line is a key.
pub(super) fn read(path: &Path, outside: Option<&Path>) -> Result<Vec<Key>> {
    let content = trusted_file::read(path, outside, MAX_BYTES)?;
    let shown = path.to_string_lossy();
    let keys = parse(&content, |number, why| {
        tracing::warn!(
            file = %Printable(&shown), line = number, "ignored a line of authorized keys: {}", Printable(why)
        );
    });
    if keys.is_empty() {
        return Err(wrong("no line of it is a key that can be used").at(shown));
    }
    Ok(keys)
}

fn parse(content: &[u8], mut ignored: impl FnMut(usize, &str)) -> Vec<Key> {
    let mut keys = Vec::new();
    for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match key::parse(line) {
            Ok(key) => keys.push(key),
            Err(error) => ignored(index + 1, error.message()),
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_honoured_are_left_out_by_number() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let text = format!(
            "# comment\n\n{key} one\ncommand=\"date\" {key} two\r\nrestrict {key} three\r\n\u{fffd}\n"
        );
        let mut ignored = Vec::new();
        let keys = parse(text.as_bytes(), |line, why| {
            ignored.push((line, why.to_owned()));
        });
        assert_eq!(keys.len(), 2);
        let lines: Vec<usize> = ignored.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 6], "{ignored:?}");
        assert!(ignored[0].1.contains("command"), "{ignored:?}");
    }

    #[test]
    fn a_file_without_keys_is_an_error_that_names_it() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("keys");
        std::fs::write(&file, "# none\n").unwrap();
        let error = read(&file, None).unwrap_err();
        assert!(error.to_string().contains("keys"), "{error}");
        assert!(read(&base.path().join("missing"), None).is_err());
    }
}
