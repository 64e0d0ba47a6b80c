//! Commands and shells with a terminal, at every level that this machine has: job control, keys, the window, and that all
//! of it ends when the terminal goes.

use std::time::{Duration, Instant};

use agent_backend::backend::local::command::Isolation;
use agent_backend::backend::process::{
    CommandSpec, ExitStatus, Process, ProcessEvent, Stdin, Terminal, TerminalSize,
};
use agent_backend::pool;
use bytes::Bytes;

use super::support::{Fixture, eventually, finish, is_alive, read_number};
use super::{landlocked, walled};

const SIZE: TerminalSize = TerminalSize {
    columns: 100,
    rows: 30,
    pixel_width: 0,
    pixel_height: 0,
};

/// A fixture for each level that works here, with its name.
fn levels() -> Vec<(&'static str, Fixture)> {
    let mut levels = vec![
        ("none", Fixture::new(Isolation::None)),
        ("software", Fixture::new(Isolation::Software)),
    ];
    levels.extend(landlocked::fixture().map(|fixture| ("landlock", fixture)));
    levels.extend(walled::fixture().map(|fixture| ("bwrap", fixture)));
    levels
}

fn spec(command: &str) -> CommandSpec {
    CommandSpec {
        terminal: Some(Terminal {
            name: "xterm-256color".to_owned(),
            size: SIZE,
            modes: Vec::new(),
        }),
        ..Fixture::spec(command)
    }
}

fn shell() -> CommandSpec {
    CommandSpec {
        login_shell: true,
        ..spec("")
    }
}

/// The end of a prompt: as root at the levels where commands run as us, else as an ordinary user.
fn prompt(level: &str) -> &'static str {
    let as_root = rustix::process::geteuid().is_root() && matches!(level, "none" | "software");
    if as_root { "# " } else { "$ " }
}

/// A terminal with somebody in front of it.
struct Screen {
    process: Process,
    shown: String,
    level: &'static str,
}

impl Screen {
    fn new(level: &'static str, fixture: &Fixture, spec: CommandSpec) -> Self {
        Self {
            process: fixture.start(spec).unwrap(),
            shown: String::new(),
            level,
        }
    }

    fn types(&self, text: &str) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let written = self.process.control.write_stdin(bytes);
        pool::runtime().block_on(written).unwrap();
    }

    /// Waits until something is shown that was not before, and takes the screen up to it.
    fn shows(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(at) = self.shown.find(text) {
                let rest = self.shown.split_off(at + text.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let next = async { tokio::time::timeout(left, self.process.events.recv()).await };
            match pool::runtime().block_on(next) {
                Ok(Some(ProcessEvent::Stdout(bytes))) => {
                    self.shown.push_str(&String::from_utf8_lossy(&bytes));
                }
                other => panic!(
                    "{}: {text:?} was never shown, but {:?}, then {other:?}",
                    self.level, self.shown
                ),
            }
        }
    }

    /// Its end, and all that it showed until then.
    fn ends(mut self) -> (String, ExitStatus) {
        loop {
            let next = async {
                tokio::time::timeout(Duration::from_secs(10), self.process.events.recv()).await
            };
            match pool::runtime().block_on(next) {
                Ok(Some(ProcessEvent::Stdout(bytes))) => {
                    self.shown.push_str(&String::from_utf8_lossy(&bytes));
                }
                Ok(Some(ProcessEvent::Exit(status))) => return (self.shown, status),
                other => panic!("{}: {:?}, then {other:?}", self.level, self.shown),
            }
        }
    }
}

#[test]
fn a_command_has_a_terminal_of_its_own_and_is_told_of_its_window() {
    for (level, fixture) in levels() {
        let command = "test -t 0 && test -t 1 && test -t 2 && echo all three; \
            stty size; echo $TERM; tty; echo to the terminal > /dev/tty; \
            perl -MPOSIX -e 'print \"named \", POSIX::ttyname(0), \"\\n\"'; exit 7";
        let (shown, status) = Screen::new(level, &fixture, spec(command)).ends();
        assert_eq!(status.code, Some(7), "{level}: {shown}");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[..3],
            ["all three", "30 100", "xterm-256color"],
            "{level}"
        );
        assert!(lines[3].starts_with("/dev/"), "{level}: {shown}");
        assert_eq!(lines[4], "to the terminal", "{level}");
        assert_eq!(lines[5], format!("named {}", lines[3]), "{level}");
    }
}

#[test]
fn a_window_that_changes_is_noticed() {
    for (level, fixture) in levels() {
        let command = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
        let mut screen = Screen::new(level, &fixture, spec(command));
        screen.shows("ready");
        screen.process.control.resize(TerminalSize {
            columns: 66,
            rows: 44,
            ..SIZE
        });
        screen.shows("44 66");
    }
}

#[test]
fn a_login_shell_has_job_control_and_starts_at_home_without_files_of_the_workspace() {
    for (level, fixture) in levels() {
        for planted in [".bashrc", ".bash_profile", ".profile", ".bash_login"] {
            std::fs::write(fixture.root().join(planted), "echo planted\n").unwrap();
        }
        let mut screen = Screen::new(level, &fixture, shell());
        let greeting = screen.shows(prompt(level));
        assert!(!greeting.contains("no job control"), "{level}: {greeting}");
        assert!(!greeting.contains("planted"), "{level}: {greeting}");
        screen.types("echo \"<$PWD|$HOME|$0|$-|$TERM>\"\r");
        let said = screen.shows("xterm-256color>");
        let root = fixture.root();
        let home = root.display();
        // The fixture's own way to write its root.
        let said = said[said.rfind('<').unwrap()..].replacen("/|", "|", 1);
        assert!(
            said.starts_with(&format!("<{home}|{home}|")),
            "{level}: {said}"
        );
        assert!(said.contains("bash|"), "{level}: {said}");
        let options = said.split('|').nth(3).unwrap();
        assert!(
            options.contains('i') && options.contains('m'),
            "{level}: {said}"
        );
        // A job in the foreground, stopped, in the background, and ended.
        screen.types("sleep 61\r");
        std::thread::sleep(Duration::from_millis(300));
        screen.types("\x1a");
        screen.shows("Stopped");
        screen.types("jobs; kill -9 %1; wait; sleep 0.5; echo no\" more\"\r");
        screen.shows("no more");
        screen.types("exit 5\r");
        let (shown, status) = screen.ends();
        assert_eq!(status.code, Some(5), "{level}: {shown}");
        let litter: Vec<_> = std::fs::read_dir(fixture.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(litter.len(), 4, "{level}: {litter:?}");
    }
}

#[test]
fn a_key_interrupts_what_is_in_the_foreground_and_nothing_else() {
    for (level, fixture) in levels() {
        let mut screen = Screen::new(level, &fixture, shell());
        screen.shows(prompt(level));
        screen.types("sleep 62\r");
        std::thread::sleep(Duration::from_millis(300));
        screen.types("\x03");
        screen.types("echo code $((100 + $?))\r");
        screen.shows("code 230");
        // A key that comes before the shell reads again would be the terminal's own.
        screen.shows(prompt(level));
        screen.types("\x04");
        let (shown, _) = screen.ends();
        assert!(shown.contains("logout"), "{level}: {shown}");

        // The same where the command has no shell around it.
        let command = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
        let mut screen = Screen::new(level, &fixture, spec(command));
        screen.shows("ready");
        screen.types("\x03");
        let (shown, status) = screen.ends();
        assert!(shown.contains("caught"), "{level}: {shown}");
        assert_eq!(status.code, Some(9), "{level}");
    }
}

#[test]
fn signals_reach_what_has_a_terminal() {
    for (level, fixture) in levels() {
        let command = "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
        let mut screen = Screen::new(level, &fixture, spec(command));
        screen.shows("ready");
        screen.process.control.signal(15);
        let (shown, status) = screen.ends();
        assert!(shown.contains("told"), "{level}: {shown}");
        assert_eq!(status.code, Some(3), "{level}");
    }
}

#[test]
fn at_the_end_all_that_used_the_terminal_has_ended() {
    // This test runs twice at a time: for an ordinary user too.
    let mark = format!("63.{}", std::process::id());
    for (level, fixture) in levels() {
        let command = format!(
            "setsid sleep {mark} & nohup sleep {mark} > /dev/null 2>&1 & \
            (trap '' HUP; exec sleep {mark}) & ps -o pid= -C sleep; sleep 0.2; exit 4"
        );
        let before = sleepers(&mark);
        assert_eq!(before, 0, "{level}");
        let (_, status) = Screen::new(level, &fixture, spec(&command)).ends();
        assert_eq!(status.code, Some(4), "{level}");
        eventually("what it left has ended", || sleepers(&mark) == 0);
    }
}

/// How many processes sleep for so long.
fn sleepers(seconds: &str) -> usize {
    let wanted = [&b"sleep\0"[..], seconds.as_bytes(), b"\0"].concat();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| *line == wanted)
        .count()
}

#[test]
fn whoever_hangs_up_ends_it_after_a_word_of_warning() {
    for (level, fixture) in levels() {
        let warned = fixture.root().join("warned");
        let command = "trap 'echo 1 > warned' HUP; echo ready; while :; do sleep 0.05; done";
        let mut screen = Screen::new(level, &fixture, spec(command));
        screen.shows("ready");
        let pid = i32::try_from(screen.process.control.pid()).unwrap();
        drop(screen);
        eventually("it is told", || read_number(&warned) == Some(1));
        eventually("it ends all the same", || !is_alive(pid));
        eventually("it is forgotten", || fixture.launcher.running_count() == 0);
    }
}

#[test]
fn closing_its_input_leaves_it_running() {
    for (level, fixture) in levels() {
        let mut screen = Screen::new(level, &fixture, spec("cat; echo over"));
        screen.types("one\r");
        screen.shows("one\r\none\r\n");
        screen.process.control.close_stdin();
        let late = screen.process.control.write_stdin(Bytes::from_static(b"x"));
        assert!(pool::runtime().block_on(late).is_err(), "{level}");
        screen.process.control.signal(15);
        let (shown, _) = screen.ends();
        assert!(!shown.contains("over"), "{level}: {shown}");
    }
}

#[test]
fn what_is_given_as_input_is_typed_first() {
    for (level, fixture) in levels() {
        let spec = CommandSpec {
            stdin: Stdin::Bytes(Bytes::from_static(b"first\r")),
            ..spec("read a; read b; echo \"[$a $b]\"")
        };
        let mut screen = Screen::new(level, &fixture, spec);
        screen.shows("first");
        screen.types("second\r");
        screen.shows("[first second]");
        assert_eq!(screen.ends().1.code, Some(0), "{level}");
    }
}

#[test]
fn much_that_is_shown_and_typed_arrives_whole() {
    for (level, fixture) in levels() {
        let count =
            "stty raw -echo; echo ready; head -c 1000000 | wc -c; seq 100000 | tail -c 588895";
        let mut screen = Screen::new(level, &fixture, spec(count));
        screen.shows("ready");
        screen.types(&"0123456789".repeat(100_000));
        screen.shows("1000000\n");
        let (shown, _) = screen.ends();
        assert_eq!(shown.len(), 588_895, "{level}");
        assert!(shown.ends_with("99999\n100000\n"), "{level}");
    }
}

#[test]
fn without_a_terminal_a_login_shell_reads_its_input() {
    for (level, fixture) in levels() {
        let spec = CommandSpec {
            terminal: None,
            stdin: Stdin::Bytes(Bytes::from_static(
                b"echo $0; shopt -q login_shell && echo login\nexit 6\n",
            )),
            ..shell()
        };
        let done = finish(fixture.start(spec).unwrap());
        assert!(done.text().ends_with("bash\nlogin"), "{level}: {done:?}");
        assert!(done.stderr.is_empty(), "{level}: {done:?}");
        assert_eq!(done.status.code, Some(6), "{level}");
    }
}

#[test]
fn behind_a_wall_nothing_is_typed_for_others_and_their_terminals_are_out_of_reach() {
    for (level, fixture) in levels() {
        let walled = matches!(level, "landlock" | "bwrap");
        // Somebody else's, of the host.
        let other = Fixture::new(Isolation::None);
        let mut other = Screen::new("none", &other, spec("tty; sleep 60"));
        let name = other.shows("\r\n").trim().to_owned();
        assert!(name.starts_with("/dev/pts/"), "{name}");
        // TIOCSTI is 0x5412, TIOCLINUX 0x541c, TIOCSETD 0x5423.
        let command = format!(
            "perl -e 'for my $call (0x5412, 0x541c, 0x5423) {{ my $c = \"x\"; \
             print ioctl(STDIN, $call, $c) ? \"typed\\n\" : \"refused: $!\\n\" }}'; \
             ls /dev/pts; (echo intruder > {name}) 2>&1; echo over"
        );
        let mut screen = Screen::new(level, &fixture, spec(&command));
        let shown = screen.shows("over");
        if walled {
            let refused = shown.matches("refused: Operation not permitted").count();
            assert_eq!(refused, 3, "{level}: {shown}");
            assert!(!shown.contains("typed"), "{level}: {shown}");
        }
        drop(screen);
        std::thread::sleep(Duration::from_millis(100));
        other.process.control.signal(9);
        let (shown, _) = other.ends();
        // Where there is no wall it gets there.
        assert_eq!(!shown.contains("intruder"), walled, "{level}: {shown}");
    }
}

#[test]
fn a_terminal_belongs_to_the_user_of_its_command() {
    for (level, fixture) in levels() {
        let command = "stat -L -c %u:%a /proc/self/fd/0; id -u; echo again > /proc/self/fd/0";
        let (shown, _) = Screen::new(level, &fixture, spec(command)).ends();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], format!("{}:600", lines[1]), "{level}: {shown}");
        // By name it is not granted at `landlock`; `/dev/tty` is.
        assert_eq!(lines[2] == "again", level != "landlock", "{level}: {shown}");
    }
}

#[test]
fn a_terminal_whose_reader_stopped_is_ended_all_the_same() {
    for (level, fixture) in levels() {
        let mut screen = Screen::new(level, &fixture, spec("yes"));
        screen.shows("y\r\ny");
        std::thread::sleep(Duration::from_millis(300));
        let pid = i32::try_from(screen.process.control.pid()).unwrap();
        let begun = Instant::now();
        drop(screen);
        eventually("it ends", || !is_alive(pid));
        assert!(begun.elapsed() < Duration::from_secs(5), "{level}");
    }
}
