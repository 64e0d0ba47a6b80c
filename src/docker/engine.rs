//! The engine's command line: found in fixed places, since a directory in PATH may be anybody's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::interrupt;
use crate::error::{Error, ErrorCode, Result};

const PLACES: &[&str] = &["/usr/bin/docker", "/usr/local/bin/docker", "/bin/docker"];
/// Of what the engine prints where it fails, this much is told.
const MAX_TOLD: usize = 2_000;

/// A command line that answers.
pub(super) struct Engine(PathBuf);

impl Engine {
    /// The one that is asked for, or the first that is there.
    pub(super) fn find(asked: Option<&Path>) -> Result<Self> {
        let missing = |what: String| Error::new(ErrorCode::MissingUtilities, what);
        let program = match asked {
            Some(program) if program.is_absolute() && program.exists() => program.to_owned(),
            Some(program) if program.is_absolute() => {
                let shown = program.display();
                return Err(missing(format!("--docker {shown}: there is no such file")));
            }
            Some(_) => return Err(missing("--docker must be an absolute path".to_owned())),
            None => PLACES
                .iter()
                .map(PathBuf::from)
                .find(|place| place.exists())
                .ok_or_else(|| {
                    missing(format!(
                        "docker is not installed (looked for {}); --docker names another place",
                        PLACES.join(", ")
                    ))
                })?,
        };
        let engine = Self(program);
        let asked =
            interrupt::output(&mut engine.command(&["version", "--format", "{{.Server.Version}}"]));
        match asked {
            Ok(output) if output.status.success() => Ok(engine),
            Ok(output) => Err(missing(format!(
                "docker is installed, but its engine does not answer: {}",
                told_by(&output)
            ))),
            Err(error) => Err(missing(format!("{}: {error}", engine.0.display()))),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.args(arguments);
        command
    }

    /// Runs a command whose output is the user's to see.
    pub(super) fn show(&self, arguments: &[&str]) -> Result<()> {
        shown(arguments, interrupt::status(&mut self.command(arguments)))
    }

    /// Makes sure that an image is here.
    pub(super) fn have(&self, image: &str) -> Result<()> {
        if self.ask(&["image", "inspect", image]).is_ok() {
            return Ok(());
        }
        interrupt::check()?;
        self.show(&["pull", image])
    }

    /// The architecture of an image that is here, as the engine calls it.
    pub(super) fn architecture(&self, image: &str) -> Option<String> {
        let asked = ["image", "inspect", "--format", "{{.Architecture}}", image];
        Some(self.ask(&asked).ok()?.trim().to_owned())
    }

    /// Runs a container, with secrets in the environment.
    pub(super) fn run(&self, arguments: &[String], secrets: &[(&str, &str)]) -> Result<()> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.command(&words);
        command.envs(secrets.iter().copied());
        if words.contains(&"--detach") {
            return told(&words, interrupt::output(&mut command)).map(|_| ());
        }
        shown(&words, interrupt::status(&mut command))
    }

    /// Removes a container, running or not; whether there was one.
    pub(super) fn remove(&self, name: &str) -> Result<bool> {
        if !self.is_there(name)? {
            return Ok(false);
        }
        // Stopped first: its daemon drains.
        let _ = self.ask(&["stop", "--time", "15", name]);
        match self.ask(&["rm", "--force", name]) {
            Ok(_) => Ok(true),
            // One that ran in the foreground goes by itself.
            Err(error) if error.message().contains("in progress") => Ok(true),
            Err(error) => match self.is_there(name)? {
                true => Err(error),
                false => Ok(true),
            },
        }
    }

    fn is_there(&self, name: &str) -> Result<bool> {
        let filter = format!("name=^{name}$");
        let found = self.ask(&["ps", "--all", "--quiet", "--filter", &filter])?;
        Ok(!found.is_empty())
    }

    /// Removes a container that is of no use, without asking it.
    pub(super) fn discard(&self, name: &str) {
        let _ = self.ask(&["rm", "--force", name]);
    }

    /// The end of what a container printed.
    pub(super) fn logs(&self, name: &str) -> String {
        let asked = ["logs", "--tail", "50", name];
        let output = interrupt::output(&mut self.command(&asked));
        output.map_or_else(
            |_| String::new(),
            |output| text_of(&[&output.stdout[..], &output.stderr[..]].concat()),
        )
    }

    /// Runs a command to its end and gives what it printed.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String> {
        told(arguments, interrupt::output(&mut self.command(arguments)))
    }
}

fn shown(arguments: &[&str], status: std::io::Result<std::process::ExitStatus>) -> Result<()> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(arguments, &format!("{status}; why is above"))),
        Err(error) => Err(failed(arguments, &error.to_string())),
    }
}

fn told(arguments: &[&str], output: std::io::Result<Output>) -> Result<String> {
    match output {
        Ok(output) if output.status.success() => Ok(text_of(&output.stdout)),
        Ok(output) => Err(failed(arguments, &told_by(&output))),
        Err(error) => Err(failed(arguments, &error.to_string())),
    }
}

/// Why the engine's command line failed, without what it puts around every such line.
fn told_by(output: &Output) -> String {
    let text = match output.stderr.is_empty() {
        true => text_of(&output.stdout),
        false => text_of(&output.stderr),
    };
    let lines = text
        .lines()
        .map(|line| {
            let line = line.strip_prefix("docker: ").unwrap_or(line);
            line.strip_prefix("Error response from daemon: ")
                .unwrap_or(line)
        })
        .filter(|line| !line.trim().is_empty())
        .filter(|line| !(line.contains("docker run --help") && line.len() < 80));
    lines.collect::<Vec<_>>().join("; ")
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn failed(arguments: &[&str], why: &str) -> Error {
    let verb = arguments.first().copied().unwrap_or_default();
    let why: String = why.chars().take(MAX_TOLD).collect();
    Error::new(ErrorCode::ExecFailed, format!("docker {verb}: {why}"))
}
