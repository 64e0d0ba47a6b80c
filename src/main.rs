//! The native command, without Node in it. It will run the daemon; so far it says what it is.

use std::ffi::OsString;
use std::process::ExitCode;

const VERSION: &str = concat!("agent-backend ", env!("CARGO_PKG_VERSION"));

const HELP: &str = "\
The workspace of AI agents: files, search and shell behind one API.

Usage: agent-backend [--help | --version]

Options:
  -h, --help     Print this help
  -V, --version  Print the version

This version has no subcommands: the daemon that serves a workspace to other machines is not part of it yet.
In a Node.js program, use the package itself: new LocalFilesystemBackend({ rootDir }).";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match answer(&arguments) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("agent-backend: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// What to print for these arguments, or what is wrong with them, in one line.
fn answer(arguments: &[OsString]) -> Result<&'static str, String> {
    let Some(first) = arguments.first() else {
        return Ok(HELP);
    };
    match first.to_str() {
        Some("-h" | "--help" | "help") => Ok(HELP),
        Some("-V" | "--version") => Ok(VERSION),
        // {:?} escapes control characters: what was typed or pasted never steers the terminal.
        _ => Err(format!(
            "unknown command {first:?}; see agent-backend --help"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(argument: &str) -> Result<&'static str, String> {
        answer(&[OsString::from(argument)])
    }

    #[test]
    fn without_arguments_it_explains_itself() {
        assert_eq!(answer(&[]), Ok(HELP));
    }

    #[test]
    fn the_version_is_that_of_the_package() {
        assert_eq!(ask("--version"), Ok(VERSION));
        assert!(VERSION.ends_with(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn an_unknown_command_is_one_line_without_control_characters() {
        let problem = ask("dae\u{1b}[2Jmon\n").expect_err("there is no such command");
        assert!(problem.contains("unknown command") && problem.contains("--help"));
        assert!(!problem.chars().any(char::is_control), "{problem:?}");
    }
}
