//! `agent-backend start-docker` and `stop-docker`: the daemon in a container of this machine. The image is built here,
//! from a base image of the user's and from this very binary, so that nothing of ours has to be pulled from anywhere.

pub mod arguments;
mod engine;
mod image;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use arguments::{Credentials, StartOptions};
use engine::Engine;

use crate::error::{Error, ErrorCode, Result};
use crate::health;
use crate::workspace::unguessable;

/// The name of the container.
pub const CONTAINER: &str = "agentbe-daemon";
/// Where the container's own ports are; what the host publishes them on is an option.
const MCP_PORT: u16 = 3001;
const SSH_PORT: u16 = 2222;
/// How long a container may take until its daemon is healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);

/// Builds the image where it has to be, replaces a container of the same name, and waits until its daemon is healthy.
/// Says where it is, and the token where it made one.
///
/// # Errors
/// `MISSING_UTILITIES` where there is no engine, `EXEC_FAILED` for what the engine says, `TIMEOUT`.
pub fn start(options: &StartOptions) -> Result<()> {
    let engine = Engine::find(options.docker.as_deref())?;
    let image = match &options.image {
        Some(image) => image.clone(),
        None => image::build(&engine, &options.base_image)?,
    };
    engine.remove(CONTAINER)?;
    let secrets = Secrets::of(options)?;
    // The engine's command line reads the profile; the container does not.
    let directory = image::Directory::make()?;
    let profile = directory.put("seccomp.json", image::SECCOMP.as_bytes())?;
    let arguments = container(options, &image, &profile);
    engine.run(&arguments, &secrets.environment())?;
    if options.foreground {
        return Ok(());
    }
    if let Err(error) = wait_until_healthy(options) {
        say(&engine.logs(CONTAINER));
        return Err(error);
    }
    say(&report(options, &secrets));
    Ok(())
}

/// Stops and removes the container; one that is not there is fine.
///
/// # Errors
/// As [`start`].
pub fn stop(docker: Option<&std::path::Path>) -> Result<()> {
    let engine = Engine::find(docker)?;
    let was_there = engine.remove(CONTAINER)?;
    say(if was_there {
        "agentbe-daemon is stopped and removed; its workspace stays"
    } else {
        "there is no container agentbe-daemon"
    });
    Ok(())
}

/// Runs one of the two and gives the exit status.
#[must_use]
pub fn exit_code(outcome: &Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::daemon::failed(error),
    }
}

/// What lets a client in.
struct Secrets {
    token: String,
    /// Whether the user has not seen the token yet.
    is_new: bool,
    ssh_users: Option<String>,
}

impl Secrets {
    fn of(options: &StartOptions) -> Result<Self> {
        let given = match &options.credentials {
            Credentials::Token(token) => Some(token.clone()),
            Credentials::Random | Credentials::InsecureDefault => None,
        };
        let insecure = options.credentials == Credentials::InsecureDefault;
        Ok(Self {
            is_new: given.is_none(),
            token: match given {
                Some(token) => token,
                None => unguessable()?,
            },
            ssh_users: match insecure {
                true => Some("root:agents".to_owned()),
                false => options.ssh_users.clone(),
            },
        })
    }

    /// Passed by the environment: what is in an argument stands in every process list.
    fn environment(&self) -> Vec<(&'static str, &str)> {
        let users = self.ssh_users.as_deref().map(|users| ("SSH_USERS", users));
        std::iter::once(("AUTH_TOKEN", self.token.as_str()))
            .chain(users)
            .collect()
    }
}

/// The arguments of `docker run`, without secrets; `profile` is the file of system calls that are refused.
fn container(options: &StartOptions, image: &str, profile: &str) -> Vec<String> {
    let mut arguments: Vec<String> = ["run", "--name", CONTAINER, "--init"]
        .map(str::to_owned)
        .into();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
    if !options.foreground {
        add(&["--detach", "--restart", "unless-stopped"]);
    }
    add(&["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]);
    if options.has_wall() {
        // The same three that docker/compose.yaml explains.
        add(&["--security-opt", &format!("seccomp={profile}")]);
        add(&["--security-opt", "apparmor=unconfined"]);
        add(&["--security-opt", "systempaths=unconfined"]);
    }
    if options.network_is_host {
        add(&["--network", "host"]);
        add(&["--env", &format!("PORT={}", options.port)]);
        add(&["--env", &format!("HOST={}", options.bind)]);
        add(&["--env", &format!("SSH_PORT={}", options.ssh_port)]);
    } else {
        let publish = |host: u16, inside: u16| format!("{}:{host}:{inside}", options.bind);
        add(&["--publish", &publish(options.port, MCP_PORT)]);
        if options.serves_ssh() {
            add(&["--publish", &publish(options.ssh_port, SSH_PORT)]);
        }
    }
    let workspace = match &options.workspace {
        Some(directory) => format!("{directory}:/var/workspace"),
        None => "agentbe-workspace:/var/workspace".to_owned(),
    };
    add(&["--volume", &workspace]);
    add(&["--volume", "agentbe-state:/var/lib/agent-backend"]);
    if let Some(file) = &options.env_file {
        add(&["--env-file", file]);
    }
    if let Some(level) = &options.isolation {
        add(&["--env", &format!("ISOLATION={level}")]);
    }
    add(&["--env", "AUTH_TOKEN"]);
    if options.serves_ssh() {
        add(&["--env", "SSH_USERS"]);
    }
    add(&[image]);
    arguments
}

fn wait_until_healthy(options: &StartOptions) -> Result<()> {
    // On every address also on this one.
    let host = match options.bind.as_str() {
        "0.0.0.0" | "::" | "[::]" => "127.0.0.1",
        bind => bind,
    };
    let until = Instant::now() + HEALTHY_WITHIN;
    loop {
        match health::ask(host, options.port) {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => {
                return Err(Error::new(
                    ErrorCode::Timeout,
                    format!(
                        "the container did not become healthy within {} s ({}); what it printed is above, and it is \
                         left for a look: docker logs {CONTAINER}",
                        HEALTHY_WITHIN.as_secs(),
                        error.message()
                    ),
                ));
            }
        }
    }
}

/// What the user has to know, once.
fn report(options: &StartOptions, secrets: &Secrets) -> String {
    let mut lines = vec![format!(
        "agentbe-daemon is running: MCP at http://{0}:{1}/mcp, SSH at ws://{0}:{1}/ssh",
        options.bind, options.port
    )];
    if options.serves_ssh() {
        lines.push(format!(
            "SSH on TCP at {}:{}",
            options.bind, options.ssh_port
        ));
    }
    if secrets.is_new {
        lines.push(format!("token, shown this once: {}", secrets.token));
    }
    if options.credentials == Credentials::InsecureDefault {
        lines.push("warning: SSH lets root:agents in, which everybody knows".to_owned());
    }
    if !options.has_wall() {
        lines.push(
            "warning: commands run without a wall of their own inside the container".to_owned(),
        );
    }
    lines.push("stop it with: agent-backend stop-docker".to_owned());
    lines.join("\n")
}

fn say(text: &str) {
    // Whoever closed the stream does not want the rest.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(change: impl FnOnce(&mut StartOptions)) -> Vec<String> {
        let mut options = StartOptions::default();
        change(&mut options);
        container(&options, "image:tag", "/profile")
    }

    #[test]
    fn a_container_is_reached_from_this_machine_only_and_keeps_no_capability() {
        let expected = [
            "run --name agentbe-daemon --init --detach --restart unless-stopped",
            "--cap-drop ALL --security-opt no-new-privileges",
            "--security-opt seccomp=/profile --security-opt apparmor=unconfined",
            "--security-opt systempaths=unconfined --publish 127.0.0.1:3001:3001",
            "--volume agentbe-workspace:/var/workspace",
            "--volume agentbe-state:/var/lib/agent-backend --env AUTH_TOKEN image:tag",
        ];
        assert_eq!(arguments(|_| {}).join(" "), expected.join(" "));
    }

    #[test]
    fn without_a_wall_the_container_keeps_the_profile_of_the_engine() {
        let words = arguments(|options| options.isolation = Some("none".to_owned()));
        assert!(
            !words
                .iter()
                .any(|word| word.contains("unconfined") || word.contains("seccomp"))
        );
        assert!(words.contains(&"ISOLATION=none".to_owned()));
    }

    #[test]
    fn no_secret_is_an_argument() {
        let words = arguments(|options| {
            options.credentials = Credentials::Token("secret-token".to_owned());
            options.ssh_users = Some("agent:secret-password".to_owned());
        });
        assert!(
            !words.iter().any(|word| word.contains("secret")),
            "{words:?}"
        );
        assert!(words.contains(&"SSH_USERS".to_owned()));
    }

    #[test]
    fn a_token_is_made_unless_one_is_given_and_each_is_another() {
        let options = StartOptions::default();
        let (one, other) = (
            Secrets::of(&options).unwrap(),
            Secrets::of(&options).unwrap(),
        );
        assert!(one.is_new && one.token.len() >= 32 && one.token != other.token);
        assert!(report(&options, &one).contains(&one.token));
        let options = StartOptions {
            credentials: Credentials::Token("given".to_owned()),
            ..options
        };
        let secrets = Secrets::of(&options).unwrap();
        assert!(!report(&options, &secrets).contains("given"));
    }

    #[test]
    fn the_well_known_credentials_are_only_there_when_asked_for_by_their_name() {
        assert_eq!(
            Secrets::of(&StartOptions::default()).unwrap().ssh_users,
            None
        );
        let options = StartOptions {
            credentials: Credentials::InsecureDefault,
            ..StartOptions::default()
        };
        let secrets = Secrets::of(&options).unwrap();
        assert_eq!(secrets.ssh_users.as_deref(), Some("root:agents"));
        assert!(report(&options, &secrets).contains("warning"));
    }
}
