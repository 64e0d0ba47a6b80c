//! The native command, without Node in it: says what it is, or runs the daemon.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_backend::daemon::arguments::{self, DaemonOptions, Request};
use agent_backend::daemon::{failed, run};
use agent_backend::docker;
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::health;
use agent_backend::sys::linux::launcher;

const VERSION: &str = concat!("agent-backend ", env!("CARGO_PKG_VERSION"));

const HELP: &str = "\
The workspace of AI agents: files, search and shell behind one API.

Usage: agent-backend daemon --rootDir DIR [options]
       agent-backend start-docker [options]
       agent-backend stop-docker
       agent-backend health [options]
       agent-backend [--help | --version]

Commands:
  daemon         Serve a workspace; see agent-backend daemon --help
  start-docker   Serve one from a container of this machine; see agent-backend start-docker --help
  stop-docker    Stop and remove that container
  health         Ask a daemon of this machine whether it is well; see agent-backend health --help

Options:
  -h, --help     Print this help; `agent-backend help COMMAND` prints that of a command
  -V, --version  Print the version

In a Node.js program, use the package itself: new LocalFilesystemBackend({ rootDir }).";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Before anything else: what stands between a host and a command costs time for each command.
    if let Some(order) = launcher::asked(&arguments) {
        std::process::exit(launcher::run(order));
    }
    match answer(arguments) {
        Ok(Answer::Text(text)) => {
            // Whoever closed the stream does not want the rest.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Ok(Answer::Serve(options)) => run(*options),
        Ok(Answer::StartDocker(options)) => docker::exit_code(&docker::start(&options)),
        Ok(Answer::StopDocker(engine)) => docker::exit_code(&docker::stop(engine.as_deref())),
        Ok(Answer::Health(asked)) => docker::exit_code(&health::ask(&asked)),
        Err(error) => failed(&error),
    }
}

/// What to do.
#[derive(Debug, PartialEq)]
enum Answer {
    Text(&'static str),
    Serve(Box<DaemonOptions>),
    StartDocker(Box<docker::StartOptions>),
    StopDocker(Option<PathBuf>),
    Health(health::Asked),
}

/// What these arguments ask for.
fn answer(mut arguments: Vec<OsString>) -> Result<Answer> {
    let request = match arguments.first().map(|first| first.to_string_lossy()) {
        None => return Ok(Answer::Text(HELP)),
        Some(first) => match &*first {
            "-h" | "--help" => return Ok(Answer::Text(HELP)),
            "help" => return help_of(arguments.get(1)),
            "-V" | "-v" | "--version" | "version" => return Ok(Answer::Text(VERSION)),
            "daemon" => arguments::parse(arguments.drain(1..))?,
            "start-docker" => {
                let variable = |name: &str| std::env::var(name).ok();
                let request = docker::arguments::parse_start(arguments.drain(1..), variable)?;
                return Ok(of_docker(request));
            }
            "stop-docker" => {
                return docker::arguments::parse_stop(arguments.drain(1..)).map(of_docker);
            }
            "health" => return health_of(arguments.drain(1..)),
            flag if flag.starts_with('-') => arguments::parse_without_word(arguments)?,
            // {:?} escapes control characters: what was typed or pasted never steers the terminal.
            command => return Err(unknown(command)),
        },
    };
    Ok(match request {
        Request::Help => Answer::Text(arguments::HELP),
        Request::Serve(options) => Answer::Serve(options),
    })
}

fn unknown(command: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        format!("unknown command {command:?}; see agent-backend --help"),
    )
}

/// The help of a command, or of all.
fn help_of(command: Option<&OsString>) -> Result<Answer> {
    let command = command.map(|command| command.to_string_lossy());
    Ok(Answer::Text(match command.as_deref() {
        None => HELP,
        Some("daemon") => arguments::HELP,
        Some("start-docker" | "stop-docker") => docker::arguments::HELP,
        Some("health") => health::HELP,
        Some(other) => return Err(unknown(other)),
    }))
}

fn of_docker(request: docker::arguments::Request) -> Answer {
    match request {
        docker::arguments::Request::Help => Answer::Text(docker::arguments::HELP),
        docker::arguments::Request::Start(options) => Answer::StartDocker(options),
        docker::arguments::Request::Stop(engine) => Answer::StopDocker(engine),
    }
}

fn health_of(arguments: impl IntoIterator<Item = OsString>) -> Result<Answer> {
    let asked = health::parse(arguments, |name| std::env::var_os(name))?;
    Ok(asked.map_or(Answer::Text(health::HELP), Answer::Health))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Result<Answer> {
        answer(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn without_arguments_it_explains_itself() {
        assert_eq!(ask("").unwrap(), Answer::Text(HELP));
    }

    #[test]
    fn the_version_is_that_of_the_package() {
        for line in ["--version", "-V", "-v", "version"] {
            assert_eq!(ask(line).unwrap(), Answer::Text(VERSION), "{line}");
        }
        assert!(VERSION.ends_with(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn each_command_has_a_help_of_its_own() {
        for (command, help) in [
            ("daemon", arguments::HELP),
            ("start-docker", docker::arguments::HELP),
            ("stop-docker", docker::arguments::HELP),
            ("health", health::HELP),
        ] {
            for line in [format!("{command} -h"), format!("help {command}")] {
                assert_eq!(ask(&line).unwrap(), Answer::Text(help), "{line}");
            }
        }
        assert_eq!(ask("help").unwrap(), Answer::Text(HELP));
        assert!(ask("help nope").is_err());
    }

    #[test]
    fn the_daemon_is_started_by_its_word_or_by_the_flags_of_a_memory_backend() {
        for line in [
            "daemon --rootDir d --local-only",
            "--backend memory --rootDir /d",
        ] {
            let answer = ask(line).unwrap();
            assert!(matches!(answer, Answer::Serve(options) if options.local_only));
        }
    }

    #[test]
    fn containers_and_health_have_words_of_their_own() {
        assert!(
            matches!(ask("start-docker --port 4000").unwrap(), Answer::StartDocker(options) if options.port == 4000)
        );
        assert_eq!(ask("stop-docker").unwrap(), Answer::StopDocker(None));
        assert!(
            matches!(ask("health --port 4000").unwrap(), Answer::Health(asked) if asked.port == 4000)
        );
        assert_eq!(ask("health -h").unwrap(), Answer::Text(health::HELP));
        for line in ["health --port x", "health --nope 1", "health stray"] {
            let problem = ask(line).unwrap_err().to_string();
            assert!(!problem.contains('\n'), "{problem}");
        }
    }

    #[test]
    fn an_unknown_command_is_one_line_without_control_characters() {
        let problem = answer(vec!["dae\u{1b}[2Jmon\n".into()]).unwrap_err();
        let problem = problem.to_string();
        assert!(problem.contains("unknown command") && problem.contains("--help"));
        assert!(!problem.chars().any(char::is_control), "{problem:?}");
    }
}
