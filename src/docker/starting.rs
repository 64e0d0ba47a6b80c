//! A container from its start until its daemon is healthy, or is gone again.

use std::time::{Duration, Instant};

use super::engine::Engine;
use super::{CONTAINER, StartOptions, interrupt, say};
use crate::error::{Error, ErrorCode, Result};
use crate::health;

/// How long a container may take until its daemon is healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What the user has to know about a daemon that is healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether it has TLS.
    pub(super) has_tls: bool,
    /// Whether it cannot write in what it serves.
    pub(super) is_read_only: bool,
}

/// Runs the container and waits until its daemon is healthy. Where that fails, nothing is left of it.
pub(super) fn run(
    engine: &Engine,
    options: &StartOptions,
    arguments: &[String],
    secrets: &[(&str, &str)],
) -> Result<Found> {
    let outcome = engine
        .run(arguments, secrets)
        .map_err(|error| refused(options, error))
        .and_then(|()| until_healthy(engine, options));
    let outcome = match (interrupt::check(), outcome) {
        (Err(interrupted), _) => Err(interrupted),
        (Ok(()), outcome) => outcome,
    };
    // From here on it comes back by itself; before, one that cannot start would be started for ever.
    let kept = outcome.and_then(|has_tls| {
        engine.ask(&["update", "--restart", "unless-stopped", CONTAINER])?;
        Ok(has_tls)
    });
    match kept {
        Ok(has_tls) => Ok(Found {
            has_tls,
            is_read_only: is_read_only(engine),
        }),
        Err(error) => {
            engine.discard(CONTAINER);
            Err(error)
        }
    }
}

/// What the engine says where it cannot listen does not name the flag that helps.
fn refused(options: &StartOptions, error: Error) -> Error {
    let said = error.message();
    if said.contains("cannot assign requested address") {
        return Error::new(
            ErrorCode::ExecFailed,
            format!(
                "{} is no address of this machine; --bind names another",
                options.bind
            ),
        );
    }
    let is_taken = ["address already in use", "port is already allocated"]
        .iter()
        .any(|sign| said.contains(sign));
    if !is_taken {
        return error;
    }
    let is_ssh = options.serves_ssh() && said.contains(&format!(":{}", options.ssh_port));
    let (port, flag) = match is_ssh {
        true => (options.ssh_port, "--ssh-port"),
        false => (options.port, "--port"),
    };
    Error::new(
        ErrorCode::ExecFailed,
        format!(
            "port {port} of {} is in use; {flag} names another",
            options.bind
        ),
    )
}

/// Whether it has TLS.
fn until_healthy(engine: &Engine, options: &StartOptions) -> Result<bool> {
    let asked = health::Asked {
        host: options.bind.clone(),
        port: options.port,
        certificate: None,
    };
    let until = Instant::now() + HEALTHY_WITHIN;
    loop {
        interrupt::check()?;
        let error = match health::ask(&asked) {
            Ok(()) => return Ok(false),
            Err(error) => error,
        };
        // Whoever answers in something else than HTTP has TLS, and its certificate is in the container.
        let has_tls = error.code() == ErrorCode::InvalidConfiguration;
        if has_tls
            && engine
                .ask(&["exec", CONTAINER, "agent-backend", "health"])
                .is_ok()
        {
            return Ok(true);
        }
        if engine.ask(&["inspect", "--format", "{{.State.Running}}", CONTAINER])? == "false" {
            return Err(gave_up(engine, "the daemon ended at once"));
        }
        if Instant::now() >= until {
            let seconds = HEALTHY_WITHIN.as_secs();
            let why = format!("not healthy within {seconds} s: {}", error.message());
            return Err(gave_up(engine, &why));
        }
        std::thread::sleep(PAUSE);
    }
}

fn gave_up(engine: &Engine, why: &str) -> Error {
    let printed = engine.logs(CONTAINER);
    let (code, what) = (ErrorCode::ExecFailed, "the container is removed again");
    if printed.is_empty() {
        return Error::new(code, format!("{why}; it printed nothing; {what}"));
    }
    say(&printed);
    Error::new(code, format!("{why}; what it printed is above; {what}"))
}

/// As which user the daemon runs is the image's to say, so only it can tell.
fn is_read_only(engine: &Engine) -> bool {
    let test = "test -w \"${ROOT_DIR:-/var/workspace}\"";
    engine.ask(&["exec", CONTAINER, "sh", "-c", test]).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_cannot_listen_the_flag_that_helps_is_told() {
        let options = StartOptions {
            ssh_users: Some("a:b".to_owned()),
            ..StartOptions::default()
        };
        let told = |said: &str| {
            let error = Error::new(ErrorCode::ExecFailed, said);
            refused(&options, error).message().to_owned()
        };
        for (said, flag) in [
            (
                "listen tcp4 127.0.0.1:3001: bind: address already in use.",
                "--port ",
            ),
            (
                "Bind for 127.0.0.1:2222 failed: port is already allocated.",
                "--ssh-port ",
            ),
            (
                "listen tcp4 192.0.2.1:3001: bind: cannot assign requested address.",
                "--bind ",
            ),
        ] {
            assert!(told(said).contains(flag), "{}", told(said));
        }
        assert_eq!(told("something else"), "something else");
    }
}
