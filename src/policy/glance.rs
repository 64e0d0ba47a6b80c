//! A look at the bytes that lets most commands pass without being read: no word in them, however quoted, is one that
//! any rule cares about, and nothing in them could make such a word.

/// Words without which no rule matches, where no path leads out of the workspace. In alphabetical order.
const WORDS: &[&[u8]] = &[
    b"-exec",
    b"-execdir",
    b"-ok",
    b"-okdir",
    b"addgroup",
    b"adduser",
    b"aria2c",
    b"arptables",
    b"axel",
    b"capsh",
    b"chage",
    b"chfn",
    b"chmod",
    b"chpasswd",
    b"chroot",
    b"chsh",
    b"coproc",
    b"crontab",
    b"cryptcat",
    b"curl",
    b"curlie",
    b"date",
    b"delgroup",
    b"deluser",
    b"doas",
    b"domainname",
    b"dzdo",
    b"ebtables",
    b"elinks",
    b"fetch",
    b"firewall-cmd",
    b"function",
    b"gosu",
    b"gpasswd",
    b"groupadd",
    b"groupdel",
    b"groupmod",
    b"halt",
    b"hostname",
    b"hostnamectl",
    b"http",
    b"https",
    b"hwclock",
    b"ifconfig",
    b"init",
    b"insmod",
    b"install",
    b"invoke-rc",
    b"ip",
    b"ip6tables",
    b"ip6tables-restore",
    b"ipset",
    b"iptables",
    b"iptables-legacy",
    b"iptables-nft",
    b"iptables-restore",
    b"kexec",
    b"kill",
    b"killall",
    b"killall5",
    b"ksu",
    b"links",
    b"localectl",
    b"loginctl",
    b"lynx",
    b"machinectl",
    b"mkfifo",
    b"mkfs",
    b"mknod",
    b"modprobe",
    b"mount",
    b"nc",
    b"ncat",
    b"netcat",
    b"newusers",
    b"nft",
    b"nsenter",
    b"openssl",
    b"parallel",
    b"passwd",
    b"pfexec",
    b"pkexec",
    b"pkill",
    b"pm-hibernate",
    b"pm-suspend",
    b"poweroff",
    b"printf",
    b"rc-service",
    b"reboot",
    b"rmmod",
    b"route",
    b"rtcwake",
    b"run0",
    b"runuser",
    b"service",
    b"setcap",
    b"setenforce",
    b"setpriv",
    b"shutdown",
    b"socat",
    b"su",
    b"su-exec",
    b"sudo",
    b"sudo-rs",
    b"sudoedit",
    b"swapoff",
    b"swapon",
    b"sysctl",
    b"systemctl",
    b"systemd-run",
    b"telinit",
    b"telnet",
    b"timedatectl",
    b"ufw",
    b"umount",
    b"unshare",
    b"until",
    b"useradd",
    b"userdel",
    b"usermod",
    b"vigr",
    b"vipw",
    b"visudo",
    b"w3m",
    b"wget",
    b"while",
    b"xargs",
    b"xh",
    b"yes",
    b"zpool",
];
const LONGEST: usize = 17;

/// The words as text; also the programs that a pattern in the place of a program may stand for.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    WORDS
        .iter()
        .filter_map(|word| std::str::from_utf8(word).ok())
        .filter(|word| !word.starts_with('-'))
}

/// Whether a command can be let through unread.
pub(super) fn is_harmless(command: &str, root: &[u8]) -> bool {
    // Everything is inside a workspace that is the whole file system, its system directories included.
    if root.iter().all(|&b| b == b'/') {
        return false;
    }
    let bytes = command.as_bytes();
    let mut word = Word::default();
    let (mut slash, mut pattern, mut brace, mut comma) = (false, false, false, false);
    // The last two characters that are not quotes.
    let (mut last, mut last_but_one) = (b' ', b' ');
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => word.push(byte),
            // An option may hold a command of its own: `env -S'sudo ls'`.
            b'\'' | b'"' if word.is_option() => return false,
            // Quotes vanish inside a word.
            b'\'' | b'"' | 0 => {
                at += 1;
                continue;
            }
            b'\\' => {
                match bytes.get(at + 1) {
                    Some(b'\n') => at += 1,
                    // `printf '\162m'`.
                    Some(b'0'..=b'9' | b'x' | b'u' | b'U') => return false,
                    _ => {}
                }
                at += 1;
                continue;
            }
            // Expansions make words of anything.
            b'$' | b'`' => return false,
            _ => {
                let climbs = byte == b'.' && last == b'.';
                // A path from the root, and one glued to an option.
                let relative = last.is_ascii_alphanumeric()
                    || matches!(last, b'_' | b'-' | b'*' | b'?' | b']' | b'}')
                    || (last == b'.' && !matches!(last_but_one, b'.' | b'='));
                let absolute =
                    byte == b'/' && (!relative || word.is_option()) && !is_safe(bytes, at);
                let defines = byte == b')' && last == b'(';
                let counts = byte == b'(' && last == b'(';
                if word.matters() || climbs || absolute || byte == b'~' || defines || counts {
                    return false;
                }
                word = Word::default();
                slash |= byte == b'/';
                pattern |= matches!(byte, b'*' | b'?' | b'[');
                brace |= byte == b'{';
                comma |= byte == b',';
            }
        }
        // Blanks between parentheses do not tell anything: `f ( )`.
        if !(matches!(byte, b' ' | b'\t' | b'\r' | b'\n') && last == b'(') {
            (last_but_one, last) = (last, byte);
        }
        at += 1;
    }
    // `/bin/r?` and `{r,}m` name programs, too.
    !(word.matters() || (slash && pattern) || (brace && comma))
}

/// A redirection to `/dev/null`, which no rule cares about; the whole word, so that nothing can be glued to it.
fn is_safe(bytes: &[u8], at: usize) -> bool {
    let Some(rest) = bytes[at..].strip_prefix(b"/dev/null") else {
        return false;
    };
    let before = bytes[..at].trim_ascii_end();
    let redirected = before.ends_with(b">") && !before.ends_with(b"\\>");
    redirected
        && matches!(
            rest.first(),
            None | Some(b' ' | b'\n' | b';' | b'|' | b'&' | b')')
        )
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
            .is_some_and(|bytes| bytes.len() > 1 && WORDS.binary_search(&bytes).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_harmless(command: &str) -> bool {
        super::is_harmless(command, b"/srv/workspace")
    }

    #[test]
    fn quoting_does_not_hide_a_word() {
        for text in [
            "su x",
            "s\\u x",
            "s''u x",
            "\"su\" x",
            "s\\\nu x",
            "a;sudo b",
            "$'\\x72m' x",
            "{s,}u x",
            "rm -rf /",
            "rm -rf \"\"/",
            "rm -rf ''/",
            "rm -rf ~",
            "cd ..; rm -rf x",
            "cd .''.; rm -rf x",
            "cd .\\.; rm -rf x",
            "curl -o/etc/x y",
            "a >/etc/x",
            "dd of=/etc/x",
            "f ( ) { f|f& }; f",
            "for ((;;)); do x & done",
            "ls > /dev/null/../sda",
            "env -S'sudo ls'",
        ] {
            assert!(!is_harmless(text), "{text}");
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
            "rm -rf node_modules ./dist",
            "npm test > /dev/null 2>&1",
            "./build.sh --fast src/main.rs",
        ] {
            assert!(is_harmless(text), "{text}");
        }
    }

    #[test]
    fn the_words_are_in_order_and_no_longer_than_the_buffer() {
        assert!(WORDS.is_sorted());
        assert!(WORDS.iter().all(|word| word.len() <= LONGEST));
    }
}
