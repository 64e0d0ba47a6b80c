//! The texts that a foreign server's shell is given: one that becomes the command, one that ends it.
//!
//! Both are for a POSIX shell, and so is the one around them, the user's login shell.

use super::quoting::quoted;
use crate::backend::process::{CommandSpec, Stdin};
use crate::error::{Error, ErrorCode, Result};

/// The longest text that a Linux kernel passes to a program as one argument is 128 KiB.
const LONGEST: usize = 120 << 10;
/// What of the login's environment a command sees, where it is set.
const KEPT: [&str; 7] = ["PATH", "LANG", "LC_ALL", "TERM", "TZ", "USER", "LOGNAME"];

/// A text that starts the command. Once the login's own files have run, the shell prints `mark` and its process id in
/// one line, and `mark` alone to standard error; then it becomes the command, which so leads its process group.
///
/// # Errors
/// `TOO_LARGE`; `INVALID_PATH` for a command with NUL.
pub(super) fn start(
    mark: &str,
    directory: &[u8],
    home: &[u8],
    spec: &CommandSpec,
) -> Result<Vec<u8>> {
    if spec.command.contains('\0') {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "the command contains a NUL character",
        ));
    }
    let mut script = b"cd ".to_vec();
    script.extend_from_slice(&quoted(directory));
    script.extend_from_slice(b" || exit 126\n");
    script.extend_from_slice(b"s=/bin/sh n=\n[ -x /bin/bash ] && s=/bin/bash n=--norc\n");
    script.extend_from_slice(format!("printf '{mark} %s\\n' \"$$\"\n").as_bytes());
    if spec.terminal.is_none() {
        script.extend_from_slice(format!("printf '{mark}\\n' >&2\n").as_bytes());
    }
    script.extend_from_slice(b"exec env -i --");
    for word in environment(home, spec) {
        script.push(b' ');
        script.extend_from_slice(&word);
    }
    if spec.login_shell {
        script.extend_from_slice(b" \"${SHELL:-/bin/sh}\" -l");
    } else {
        script.extend_from_slice(b" \"$s\" $n -c -- ");
        script.extend_from_slice(&quoted(spec.command.as_bytes()));
    }
    if matches!(spec.stdin, Stdin::Null) && spec.terminal.is_none() {
        script.extend_from_slice(b" </dev/null");
    }
    let text = in_shell(&script);
    if text.len() > LONGEST {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!(
                "the command and its environment are longer than {LONGEST} bytes, which is more than a server that is \
                 not ours can be told; put it into a file, or use stdin"
            ),
        ));
    }
    Ok(text)
}

/// `NAME=value` words: what is kept of the login's, then what the caller names; a later one wins.
fn environment(home: &[u8], spec: &CommandSpec) -> Vec<Vec<u8>> {
    let removed = |name: &str| spec.env.iter().any(|(named, _)| named == name.as_bytes());
    let mut words: Vec<Vec<u8>> = KEPT
        .into_iter()
        .filter(|name| !removed(name))
        .map(|name| format!("${{{name}+\"{name}=${name}\"}}").into_bytes())
        .collect();
    if !removed("HOME") {
        words.push(quoted(&[b"HOME=", home].concat()));
    }
    for (at, (name, value)) in spec.env.iter().enumerate() {
        let is_last = !spec.env[at + 1..].iter().any(|(later, _)| later == name);
        if let (true, Some(value)) = (is_last, value) {
            words.push(quoted(&[name, b"=".as_slice(), value].concat()));
        }
    }
    words
}

/// A text that ends a command and everything that it started, as far as that can be found: what is in its process group
/// or session, or has one of those as an ancestor. All of it is stopped first, so that nothing starts more meanwhile.
pub(super) fn end(process: u32) -> Vec<u8> {
    let script = END.replace("@PROCESS@", &process.to_string());
    in_shell(script.as_bytes())
}

const END: &str = r#"r=@PROCESS@
scan() {
  t=
  if [ -r /proc/self/stat ]; then
    for f in /proc/[0-9]*/stat; do
      { read -r l < "$f"; } 2>/dev/null || continue
      p=${l%% *}
      l=${l##*) }
      set -- $l
      t="$t $p:$2:$3:$4:$1"
    done
  else
    t=$(ps -A -o pid= -o ppid= -o pgid= -o sess= 2>/dev/null | while read -r p q g s; do printf ' %s:%s:%s:%s:R' "$p" "$q" "$g" "$s"; done)
  fi
  k=' '
  more=1
  while [ $more = 1 ]; do
    more=0
    for e in $t; do
      p=${e%%:*}
      e=${e#*:}
      q=${e%%:*}
      e=${e#*:}
      g=${e%%:*}
      e=${e#*:}
      s=${e%%:*}
      [ "${e#*:}" = Z ] && continue
      case "$k" in *" $p "*) continue ;; esac
      if [ "$p" = $r ] || [ "$g" = $r ] || [ "$s" = $r ]; then
        k="$k$p "
        more=1
        continue
      fi
      case "$k" in *" $q "*) k="$k$p " more=1 ;; esac
    done
  done
}
last=
i=0
while [ $i -lt 10 ]; do
  scan
  [ "$k" = "$last" ] && break
  last=$k
  [ "$k" = ' ' ] || kill -STOP $k 2>/dev/null
  i=$((i + 1))
done
[ "$k" = ' ' ] || kill -KILL $k 2>/dev/null
kill -KILL -- -$r 2>/dev/null
exit 0
"#;

fn in_shell(script: &[u8]) -> Vec<u8> {
    [b"exec /bin/sh -c ", &quoted(script)[..]].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Output};

    use super::*;

    fn run(spec: &CommandSpec) -> Output {
        let text = start("mark", b"/", b"/home of/it's", spec).unwrap();
        Command::new("/bin/sh")
            .arg("-c")
            .arg(std::ffi::OsStr::from_bytes(&text))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C")
            .env("SECRET", "of the login")
            .output()
            .unwrap()
    }

    fn spec(command: &str) -> CommandSpec {
        CommandSpec {
            command: command.to_owned(),
            ..CommandSpec::default()
        }
    }

    #[test]
    fn the_command_comes_behind_the_mark_with_its_own_process_id_and_environment() {
        let mut spec = spec("echo $$; env | sort; cat");
        spec.env = vec![
            ("A".into(), Some("1".into())),
            ("A".into(), Some("two\nlines 'and' $quotes".into())),
            ("LANG".into(), None),
            ("-n".into(), Some("odd".into())),
        ];
        let output = run(&spec);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines = text.lines();
        let marked = lines.next().unwrap().strip_prefix("mark ").unwrap();
        assert_eq!(lines.next(), Some(marked), "{text}");
        assert_eq!(output.stderr, b"mark\n");
        // Sorted by line, also within a value.
        assert!(text.contains("A=two\n") && !text.contains("A=1"), "{text}");
        assert!(text.contains("lines 'and' $quotes\n"), "{text}");
        assert!(
            text.contains("\n-n=odd\n") && text.contains("HOME=/home of/it's\n"),
            "{text}"
        );
        assert!(
            !text.contains("LANG=") && !text.contains("SECRET"),
            "{text}"
        );
        assert!(text.contains("PATH=/usr/bin:/bin\n"), "{text}");
    }

    #[test]
    fn a_command_that_looks_like_an_option_is_a_command() {
        let output = run(&spec("-x; echo after"));
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .ends_with("after\n")
        );
    }

    #[test]
    fn what_no_server_can_be_told_is_refused() {
        let error = start("m", b"/", b"/", &spec(&"x".repeat(LONGEST))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TooLarge);
        assert!(start("m", b"/", b"/", &spec("a\0b")).is_err());
    }
}
