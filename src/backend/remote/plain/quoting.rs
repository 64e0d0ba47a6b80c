//! Words for a POSIX shell.

/// A word that the shell takes as these bytes and nothing else. NUL cannot be told to a shell; callers refuse it.
pub(super) fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    out.push(b'\'');
    for &byte in bytes {
        if byte == b'\'' {
            out.extend_from_slice(br"'\''");
        } else {
            out.push(byte);
        }
    }
    out.push(b'\'');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    use super::*;

    /// What `/bin/sh` makes of the words, each with a line feed behind it.
    fn printed(words: &[Vec<u8>]) -> Vec<u8> {
        let mut script = b"printf '%s\\n'".to_vec();
        for word in words {
            script.push(b' ');
            script.extend_from_slice(&quoted(word));
        }
        let output = Command::new("/bin/sh")
            .arg("-c")
            .arg(std::ffi::OsStr::from_bytes(&script))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    #[test]
    fn a_shell_reads_any_bytes_as_they_are() {
        let mut words: Vec<Vec<u8>> = [
            "", " ", "'", "''", "\"", "$x", "`x`", "\\", "!x", "a\nb", "~", "*",
        ]
        .map(|word| word.as_bytes().to_vec())
        .to_vec();
        words.push((1..=255).collect());
        // By a generator of our own, so that a failure comes again.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..2_000 {
            let length = usize::try_from(next() % 24).unwrap();
            let word = (0..length).map(|_| {
                let special = b"'\"\\$`! \n\t;&|<>()*?[]#~=%{}-";
                let byte = u8::try_from(next() % 255 + 1).unwrap();
                if next() % 2 == 0 {
                    special[usize::from(byte) % special.len()]
                } else {
                    byte
                }
            });
            words.push(word.collect());
        }
        for some in words.chunks(200) {
            let expected: Vec<u8> = some
                .iter()
                .flat_map(|word| [word, &b"\n"[..]].concat())
                .collect();
            assert!(printed(some) == expected, "{some:?}");
        }
    }
}
