//! `agent-backend start-docker` and `stop-docker`: the daemon in a container of this machine. The image is built here,
//! from a base image of the user's and from this very binary, so that nothing of ours has to be pulled from anywhere.

pub mod arguments;
mod engine;
mod image;
mod interrupt;
mod starting;

use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;

pub use arguments::{Credentials, StartOptions};
use engine::Engine;

use crate::error::Result;
use crate::workspace::unguessable;

/// The name of the container.
pub const CONTAINER: &str = "agentbe-daemon";
/// Where the container's own ports are; what the host publishes them on is an option.
const MCP_PORT: u16 = 3001;
const SSH_PORT: u16 = 2222;

/// Builds the image where it has to be, replaces a container of the same name, and waits until its daemon is healthy.
/// Says where it is, and the token where it made one. What fails, or is interrupted, leaves no container.
///
/// # Errors
/// `MISSING_UTILITIES` where there is no engine, `EXEC_FAILED` for what the engine or the container says, `ABORTED`.
pub fn start(options: &StartOptions) -> Result<()> {
    interrupt::listen()?;
    let engine = Engine::find(options.docker.as_deref())?;
    let image = match &options.image {
        Some(image) => engine.have(image).map(|()| image.clone())?,
        None => image::build(&engine, &options.base_image)?,
    };
    interrupt::check()?;
    if let Some(directory) = &options.workspace {
        image::workspace(directory)?;
    }
    engine.remove(CONTAINER)?;
    let secrets = Secrets::of(options)?;
    // The engine's command line reads the profile; the container does not.
    let directory = image::Directory::make()?;
    let profile = directory.put("seccomp.json", image::SECCOMP.as_bytes())?;
    let arguments = container(options, &image, &profile);
    if options.foreground {
        // Nothing is said after it has ended.
        if secrets.is_new {
            say(&secrets.told());
        }
        return engine.run(&arguments, &secrets.environment());
    }
    let found = starting::run(&engine, options, &arguments, &secrets.environment())?;
    say(&report(options, &secrets, found));
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
        Err(error) => {
            let code = crate::daemon::failed(error);
            interrupt::exit_code().map_or(code, ExitCode::from)
        }
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

    fn told(&self) -> String {
        format!("token, shown this once: {}", self.token)
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
    add(&[if options.foreground {
        "--rm"
    } else {
        "--detach"
    }]);
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
        let bind = in_address(&options.bind);
        let publish = |host: u16, inside: u16| format!("{bind}:{host}:{inside}");
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

/// As it stands before a port.
fn in_address(bind: &str) -> String {
    match bind.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => bind.to_owned(),
    }
}

/// What the user has to know, once.
fn report(options: &StartOptions, secrets: &Secrets, found: starting::Found) -> String {
    let bind = in_address(&options.bind);
    let (http, ws) = match found.has_tls {
        true => ("https", "wss"),
        false => ("http", "ws"),
    };
    let mut lines = vec![format!(
        "agentbe-daemon is running: MCP at {http}://{bind}:{0}/mcp, SSH at {ws}://{bind}:{0}/ssh",
        options.port
    )];
    if options.serves_ssh() {
        lines.push(format!("SSH on TCP at {bind}:{}", options.ssh_port));
    }
    if secrets.is_new {
        lines.push(secrets.told());
    }
    if options.credentials == Credentials::InsecureDefault {
        lines.push("warning: SSH lets root:agents in, which everybody knows".to_owned());
    }
    if !options.has_wall() {
        lines.push(
            "warning: commands run without a wall of their own inside the container".to_owned(),
        );
    }
    if found.is_read_only {
        let workspace = options.workspace.as_deref().unwrap_or("its volume");
        lines.push(format!(
            "warning: the daemon's user cannot write in {workspace}"
        ));
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
            "run --name agentbe-daemon --init --detach",
            "--cap-drop ALL --security-opt no-new-privileges",
            "--security-opt seccomp=/profile --security-opt apparmor=unconfined",
            "--security-opt systempaths=unconfined --publish 127.0.0.1:3001:3001",
            "--volume agentbe-workspace:/var/workspace",
            "--volume agentbe-state:/var/lib/agent-backend --env AUTH_TOKEN image:tag",
        ];
        assert_eq!(arguments(|_| {}).join(" "), expected.join(" "));
    }

    #[test]
    fn an_address_of_version_six_stands_in_brackets() {
        let bound = |bind: &str| arguments(|options| options.bind = bind.to_owned()).join(" ");
        assert!(bound("::1").contains("--publish [::1]:3001:3001"));
        assert!(bound("[::1]").contains("--publish [::1]:3001:3001"));
        let options = StartOptions {
            bind: "::1".to_owned(),
            ..StartOptions::default()
        };
        let secrets = Secrets::of(&options).unwrap();
        let found = starting::Found {
            has_tls: true,
            is_read_only: true,
        };
        let told = report(&options, &secrets, found);
        assert!(told.contains("https://[::1]:3001/mcp") && told.contains("wss://[::1]:3001/ssh"));
        assert!(told.contains("cannot write"), "{told}");
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
        assert!(report(&options, &one, starting::Found::default()).contains(&one.token));
        let options = StartOptions {
            credentials: Credentials::Token("given".to_owned()),
            ..options
        };
        let secrets = Secrets::of(&options).unwrap();
        assert!(!report(&options, &secrets, starting::Found::default()).contains("given"));
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
        assert!(report(&options, &secrets, starting::Found::default()).contains("warning"));
    }
}
