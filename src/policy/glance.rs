//! A look at the bytes that lets most commands pass without being read: no word in them, however quoted, is one that
//! any rule cares about, and nothing in them could make such a word.

/// Words without which no rule matches, apart from writes outside the workspace.
const WORDS: &[&[u8]] = &[
    b"rm",
    b"sudo",
    b"sudoedit",
    b"doas",
    b"su",
    b"pkexec",
    b"curl",
    b"wget",
    b"aria2c",
    b"fetch",
    b"http",
    b"https",
    b"xh",
    b"curlie",
    b"lynx",
    b"w3m",
    b"links",
    b"elinks",
    b"axel",
    b"-delete",
];
const LONGEST: usize = 8;

/// Whether a command can be let through unread.
pub(super) fn is_harmless(command: &str, refuse_outside_writes: bool) -> bool {
    let bytes = command.as_bytes();
    let mut word = Word::default();
    let (mut slash, mut pattern, mut brace, mut comma) = (false, false, false, false);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            c @ (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-') => word.push(c),
            // Quotes vanish inside a word.
            // An option may hold a command of its own: `env -S'sudo ls'`.
            b'\'' | b'"' if word.is_option() => return false,
            b'\'' | b'"' | 0 => {}
            b'\\' => match bytes.get(at + 1) {
                Some(b'\n') => at += 1,
                // `printf '\162m'`.
                Some(b'0'..=b'9' | b'x' | b'u' | b'U') => return false,
                _ => {}
            },
            // Expansions make words of anything.
            b'$' | b'`' => return false,
            c => {
                if word.matters() {
                    return false;
                }
                word = Word::default();
                slash |= c == b'/';
                pattern |= matches!(c, b'*' | b'?' | b'[');
                brace |= c == b'{';
                comma |= c == b',';
                let outside =
                    matches!(c, b'/' | b'~') && (at == 0 || !bytes[at - 1].is_ascii_alphanumeric());
                if refuse_outside_writes
                    && (outside || (c == b'.' && bytes.get(at + 1) == Some(&b'.')))
                {
                    return false;
                }
            }
        }
        at += 1;
    }
    // `/bin/r?` and `{r,}m` name programs, too; `cd ..` alone does not write.
    !(word.matters() || (slash && pattern) || (brace && comma))
}

#[derive(Default)]
struct Word {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
        }
        self.length += 1;
    }

    fn is_option(&self) -> bool {
        self.length > 0 && self.bytes[0] == b'-'
    }

    fn matters(&self) -> bool {
        self.bytes
            .get(..self.length)
            .is_some_and(|bytes| !bytes.is_empty() && WORDS.contains(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_does_not_hide_a_word() {
        for text in [
            "rm x",
            "r\\m x",
            "r''m x",
            "\"rm\" x",
            "r\\\nm x",
            "a;sudo b",
            "$'\\x72m' x",
            "{r,}m x",
            "env -S'sudo ls'",
        ] {
            assert!(!is_harmless(text, false), "{text}");
        }
    }

    #[test]
    fn everyday_commands_pass_unread() {
        for text in [
            "true",
            "ls -la",
            "cargo test --all",
            "docker run --rm x",
            "git status && npm ci",
        ] {
            assert!(is_harmless(text, false), "{text}");
        }
    }

    #[test]
    fn no_word_is_longer_than_the_buffer() {
        assert!(WORDS.iter().all(|word| word.len() <= LONGEST));
    }
}
