//! The engine's command line: found in fixed places, since a directory in PATH may be anybody's.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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
        match engine.ask(&["version", "--format", "{{.Server.Version}}"]) {
            Ok(_) => Ok(engine),
            Err(error) => Err(missing(format!(
                "docker is installed, but its engine does not answer: {}",
                error.message()
            ))),
        }
    }

    /// Runs a command whose output is the user's to see.
    pub(super) fn show(&self, arguments: &[&str]) -> Result<()> {
        let status = Command::new(&self.0)
            .args(arguments)
            .stdin(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(arguments, &status.to_string())),
            Err(error) => Err(failed(arguments, &error.to_string())),
        }
    }

    /// Runs a container, with secrets in the environment.
    pub(super) fn run(&self, arguments: &[String], secrets: &[(&str, &str)]) -> Result<()> {
        let is_detached = arguments.iter().any(|word| word == "--detach");
        let mut command = Command::new(&self.0);
        command
            .args(arguments)
            .envs(secrets.iter().copied())
            .stdin(Stdio::null());
        if is_detached {
            return told(&["run"], command.output()).map(|_| ());
        }
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(&["run"], &status.to_string())),
            Err(error) => Err(failed(&["run"], &error.to_string())),
        }
    }

    /// Removes a container, running or not; whether there was one.
    pub(super) fn remove(&self, name: &str) -> Result<bool> {
        let filter = format!("name=^{name}$");
        let found = self.ask(&["ps", "--all", "--quiet", "--filter", &filter])?;
        if found.trim().is_empty() {
            return Ok(false);
        }
        // Stopped first: its daemon drains.
        let _ = self.ask(&["stop", "--time", "15", name]);
        self.ask(&["rm", "--force", name])?;
        Ok(true)
    }

    /// The end of what a container printed.
    pub(super) fn logs(&self, name: &str) -> String {
        let output = Command::new(&self.0)
            .args(["logs", "--tail", "50", name])
            .stdin(Stdio::null())
            .output();
        output.map_or_else(|_| String::new(), |output| text_of(&output))
    }

    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.0)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        told(arguments, output)
    }
}

fn told(arguments: &[&str], output: std::io::Result<Output>) -> Result<String> {
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(failed(arguments, &text_of(&output))),
        Err(error) => Err(failed(arguments, &error.to_string())),
    }
}

fn text_of(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn failed(arguments: &[&str], why: &str) -> Error {
    let verb = arguments.first().copied().unwrap_or_default();
    let why: String = why.chars().take(MAX_TOLD).collect();
    Error::new(ErrorCode::ExecFailed, format!("docker {verb}: {why}"))
}
