//! The arguments of `start-docker` and `stop-docker`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser};

use crate::backend::local::command::Isolation;
use crate::error::{Error, ErrorCode, Result};

/// What `agent-backend start-docker --help` prints.
pub const HELP: &str = "\
Builds an image with the daemon over a base image and runs it as the container agentbe-daemon, in place of one that runs.

Usage: agent-backend start-docker [options]
       agent-backend stop-docker [--docker PATH]

Options:
      --base-image IMAGE  What the image is built over (default: debian:bookworm-slim)
      --image IMAGE       Run this image instead of building one
      --workspace DIR     Serve a directory of this machine (default: the volume agentbe-workspace)
      --port PORT         Port of this machine for MCP and SSH in WebSockets (default: 3001)
      --bind ADDRESS      Address of this machine to publish on (default: 127.0.0.1)
      --auth-token TOKEN  The token; better by the variable AUTH_TOKEN. Default: a new one, printed once
      --ssh-users USERS   SSH on TCP for these name:password pairs; better by the variable SSH_USERS
      --ssh-port PORT     Port of this machine for SSH on TCP (default: 2222)
      --insecure-default-credentials
                          SSH on TCP for root:agents
      --env-file FILE     More variables for the container
      --isolation LEVEL   The wall around commands inside the container (default: auto, which is bwrap or no commands)
      --host-network      Share the network of this machine
      --foreground        Stay attached
      --docker PATH       The engine's command line (default: the first of /usr/bin, /usr/local/bin and /bin)
  -h, --help              Print this help";

/// Who is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Whoever has a token that is made at the start.
    #[default]
    Random,
    /// Whoever has this token.
    Token(String),
    /// A new token, and `root:agents` over SSH.
    InsecureDefault,
}

/// How to run the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartOptions {
    /// What the image is built over.
    pub base_image: String,
    /// An image to run as it is.
    pub image: Option<String>,
    /// An absolute directory of this machine to serve.
    pub workspace: Option<String>,
    /// Port of this machine for HTTP.
    pub port: u16,
    /// Address of this machine.
    pub bind: String,
    /// Who is let in.
    pub credentials: Credentials,
    /// `name:password` pairs.
    pub ssh_users: Option<String>,
    /// Port of this machine for SSH.
    pub ssh_port: u16,
    /// More variables.
    pub env_file: Option<String>,
    /// The wall inside.
    pub isolation: Option<String>,
    /// Whether the container has no network of its own.
    pub network_is_host: bool,
    /// Whether to stay attached.
    pub foreground: bool,
    /// The engine's command line.
    pub docker: Option<PathBuf>,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            base_image: "debian:bookworm-slim".to_owned(),
            image: None,
            workspace: None,
            port: 3001,
            bind: "127.0.0.1".to_owned(),
            credentials: Credentials::default(),
            ssh_users: None,
            ssh_port: 2222,
            env_file: None,
            isolation: None,
            network_is_host: false,
            foreground: false,
            docker: None,
        }
    }
}

impl StartOptions {
    /// Whether a kernel wall is wanted inside, for which the container needs rights.
    pub(super) fn has_wall(&self) -> bool {
        !matches!(
            self.isolation.as_deref(),
            Some("none" | "software" | "landlock")
        )
    }

    /// Whether SSH on TCP is served.
    pub(super) fn serves_ssh(&self) -> bool {
        self.ssh_users.is_some() || self.credentials == Credentials::InsecureDefault
    }
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`HELP`].
    Help,
    /// `start-docker`.
    Start(Box<StartOptions>),
    /// `stop-docker`, with the engine's command line.
    Stop(Option<PathBuf>),
}

/// Reads the arguments that follow `start-docker`; `environment` gives `AUTH_TOKEN` and `SSH_USERS`.
///
/// # Errors
/// `INVALID_CONFIGURATION` with a message of one line.
pub fn parse_start(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Request> {
    let mut options = StartOptions {
        ssh_users: environment("SSH_USERS").filter(|users| !users.is_empty()),
        ..StartOptions::default()
    };
    let mut token = environment("AUTH_TOKEN").filter(|token| !token.is_empty());
    let mut insecure = false;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong)? {
        let name = match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long(name) => name.to_owned(),
            other => return Err(wrong(other.unexpected())),
        };
        match name.as_str() {
            "insecure-default-credentials" => insecure = true,
            "host-network" => options.network_is_host = true,
            "foreground" => options.foreground = true,
            "auth-token" => token = Some(text(&mut parser, &name)?),
            _ => take(&mut options, &name, &mut parser)?,
        }
    }
    if options.image.is_some() && options.base_image != StartOptions::default().base_image {
        return Err(invalid(
            "--image and --base-image exclude each other".to_owned(),
        ));
    }
    options.credentials = match (token, insecure) {
        (Some(_), true) => {
            return Err(invalid(
                "--insecure-default-credentials and a token (--auth-token, AUTH_TOKEN) exclude each other".to_owned(),
            ));
        }
        (Some(token), false) => Credentials::Token(token),
        (None, true) => Credentials::InsecureDefault,
        (None, false) => Credentials::Random,
    };
    Ok(Request::Start(Box::new(options)))
}

/// Reads the arguments that follow `stop-docker`.
///
/// # Errors
/// `INVALID_CONFIGURATION` with a message of one line.
pub fn parse_stop(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    let mut docker = None;
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("docker") => docker = Some(parser.value().map_err(wrong)?.into()),
            Arg::Long(name) => return Err(unknown(name)),
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(Request::Stop(docker))
}

fn take(options: &mut StartOptions, name: &str, parser: &mut Parser) -> Result<()> {
    match name {
        "base-image" => options.base_image = text(parser, name)?,
        "image" => options.image = Some(text(parser, name)?),
        "workspace" => options.workspace = Some(directory(&text(parser, name)?)?),
        "port" => options.port = port(parser, name)?,
        "bind" => options.bind = text(parser, name)?,
        "ssh-users" => options.ssh_users = Some(text(parser, name)?),
        "ssh-port" => options.ssh_port = port(parser, name)?,
        "env-file" => {
            let file = text(parser, name)?;
            // Before anything is built or stopped.
            std::fs::File::open(&file)
                .map_err(|error| invalid(format!("--env-file {file:?}: {error}")))?;
            options.env_file = Some(file);
        }
        "docker" => options.docker = Some(parser.value().map_err(wrong)?.into()),
        "isolation" => {
            let level = text(parser, name)?;
            if Isolation::from_name(&level).is_none() {
                return Err(invalid(format!(
                    "--isolation must be auto, bwrap, landlock, software or none, not {level:?}"
                )));
            }
            options.isolation = Some(level);
        }
        // Of agent-backend 0.13.
        "build" | "dev" => {
            return Err(invalid(format!(
                "--{name} is not needed: the image is built here, from --base-image and the binary that is started"
            )));
        }
        _ => return Err(unknown(name)),
    }
    Ok(())
}

fn unknown(name: &str) -> Error {
    let name = name.escape_debug();
    invalid(format!(
        "unknown flag --{name}; see agent-backend start-docker --help"
    ))
}

/// The engine takes a relative path for the name of a volume.
fn directory(text: &str) -> Result<String> {
    let path = std::path::absolute(text)
        .map_err(|error| invalid(format!("--workspace {text:?}: {error}")))?;
    match path.to_str() {
        Some(path) if !path.contains(':') => Ok(path.to_owned()),
        _ => Err(invalid(format!(
            "--workspace {text:?}: docker takes no path with a colon"
        ))),
    }
}

fn text(parser: &mut Parser, name: &str) -> Result<String> {
    let value = parser.value().map_err(wrong)?;
    match value.into_string() {
        Ok(value) if !value.is_empty() => Ok(value),
        _ => Err(invalid(format!("--{name} needs a value"))),
    }
}

fn port(parser: &mut Parser, name: &str) -> Result<u16> {
    let value = text(parser, name)?;
    match value.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(invalid(format!(
            "--{name} must be a port from 1 to 65535, not {value:?}"
        ))),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is a map_err argument")]
fn wrong(error: lexopt::Error) -> Error {
    invalid(error.to_string())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, variables: &[(&str, &str)]) -> Result<StartOptions> {
        let words = line.split_whitespace().map(OsString::from);
        let found = parse_start(words, |name| {
            let known = variables.iter().find(|(known, _)| *known == name)?;
            Some(known.1.to_owned())
        })?;
        match found {
            Request::Start(options) => Ok(*options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_arguments_there_are_defaults_and_a_new_token() {
        assert_eq!(parse("", &[]).unwrap(), StartOptions::default());
    }

    #[test]
    fn tokens_and_users_come_from_flags_or_from_the_environment() {
        let flag = parse("--auth-token a --ssh-users u:p", &[("AUTH_TOKEN", "b")]).unwrap();
        assert_eq!(flag.credentials, Credentials::Token("a".to_owned()));
        assert_eq!(flag.ssh_users.as_deref(), Some("u:p"));
        let variables = parse("", &[("AUTH_TOKEN", "b"), ("SSH_USERS", "v:q")]).unwrap();
        assert_eq!(variables.credentials, Credentials::Token("b".to_owned()));
        assert_eq!(variables.ssh_users.as_deref(), Some("v:q"));
    }

    #[test]
    fn each_mistake_is_one_line_that_names_it() {
        for (line, named) in [
            ("--port 0", "--port"),
            ("--port x", "--port"),
            ("--ssh-port 70000", "--ssh-port"),
            ("--isolation walls", "--isolation"),
            ("--nope", "--nope"),
            ("--workspace a:b", "colon"),
            ("--env-file /not/there", "--env-file"),
            ("--image a --base-image b", "--base-image"),
            ("--insecure-default-credentials --auth-token x", "exclude"),
            ("stray", "stray"),
            ("--build", "--base-image"),
            ("--dev", "--base-image"),
        ] {
            let message = parse(line, &[]).unwrap_err().message().to_owned();
            assert!(
                message.contains(named) && !message.contains('\n'),
                "{line}: {message}"
            );
        }
    }

    #[test]
    fn stop_docker_is_as_exact() {
        let refused = parse_stop([OsString::from("--nope")]).unwrap_err();
        let expected = "unknown flag --nope; see agent-backend start-docker --help";
        assert_eq!(refused.message(), expected);
    }

    #[test]
    fn a_workspace_becomes_an_absolute_path() {
        let options = parse("--workspace some/where", &[]).unwrap();
        let workspace = options.workspace.unwrap();
        assert!(workspace.starts_with('/') && workspace.ends_with("/some/where"));
    }
}
