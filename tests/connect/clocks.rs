//! Somebody sets the wall clock while a daemon and its clients run: by days, forwards and backwards. Nothing but what
//! tells the time may notice.

use std::io::{BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use agent_backend::backend::remote::options::Secret;
use agent_backend::error::ErrorCode;
use agent_backend::pool;
use agent_backend::status::Status;
use agent_backend::workspace::RunOptions;
use serde_json::json;

use crate::alone::ran_alone_with;
use crate::faketime::{self, Jumps, jump};
use crate::proxy::Proxy;
use crate::served::{Daemon, TOKEN, head, read_answer};
use crate::skip::skip;
use crate::tls;
use crate::world::{PATIENCE, client, options, wait};

/// Forwards, backwards, and home again.
const OFFSETS: [&str; 5] = ["+5d", "-9d", "+400d", "-4000d", "+0"];

/// A daemon whose clock jumps.
struct Jumping {
    daemon: Daemon,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Jumping {
    fn start(jumps: Jumps, flags: &[&str]) -> Option<Self> {
        let library = match faketime::library() {
            Ok(library) => library,
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("clock");
        let daemon = Daemon::with(flags, |command| {
            command.env("AGENT_BACKEND_AUTH_TOKEN", TOKEN);
            faketime::follow(command, &library, &file, jumps);
        });
        Some(Self {
            daemon,
            file,
            _directory: directory,
        })
    }

    /// The date that the daemon tells, without the time of the day.
    fn date(&self) -> String {
        let answer = self.daemon.get("/health", &[]);
        answer.header("date").unwrap()[..16].to_owned()
    }
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

#[test]
fn a_daemon_serves_on_while_its_clock_jumps_by_days() {
    let Some(mut world) = Jumping::start(Jumps::Wall, &[]) else {
        return;
    };
    let proxy = Proxy::to(world.daemon.port);
    let mut options = options(&world.daemon, proxy.port);
    options.keepalive_interval_ms = 100;
    let client = client(options);
    client.put("a", "1").unwrap();
    let mut steps = client.connection.subscribe();
    let mut kept = world.daemon.connect();
    let started = world
        .daemon
        .call("exec_start", json!({ "command": "echo early" }), &[]);
    let id = started["structuredContent"]["id"].clone();
    let mut dates = vec![world.date()];
    for offset in OFFSETS {
        // Begun before the jump, ended after it.
        let workspace = client.workspace.clone();
        let running = pool::runtime().spawn(async move {
            let options = RunOptions {
                timeout_ms: Some(60_000),
                ..RunOptions::default()
            };
            workspace.run("sleep 0.5; echo done", options).await
        });
        std::thread::sleep(Duration::from_millis(100));
        jump(&world.file, offset);
        dates.push(world.date());
        let ran = pool::runtime().block_on(running).unwrap().unwrap();
        assert_eq!(&ran.stdout[..], b"done\n", "{offset}");
        assert_eq!(client.get("a").unwrap(), "1", "{offset}");
        client.put("a", "1").unwrap();
        // A connection of HTTP that was open before.
        let request = head("GET", "/health", &[], None);
        kept.write_all(request.as_bytes()).unwrap();
        let answer = read_answer(&mut BufReader::new(kept.try_clone().unwrap()));
        assert_eq!(answer.status, 200, "{offset}");
        // What has ended is kept for an hour.
        let output = world
            .daemon
            .call("exec_output", json!({ "id": id.clone() }), &[]);
        assert!(output.to_string().contains("early"), "{offset}: {output}");
        let read = world
            .daemon
            .call("read_text_file", json!({ "path": "a" }), &[]);
        assert!(read.to_string().contains('1'), "{offset}: {read}");
        // Some keepalives.
        std::thread::sleep(Duration::from_millis(400));
    }
    // That the jumps have arrived.
    assert_eq!(dates.first(), dates.last());
    let mut different = dates.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), OFFSETS.len(), "{dates:?}");
    assert_eq!(proxy.connections(), 1);
    assert!(steps.try_recv().is_err(), "the connection was lost");
    client.destroy();
    drop(kept);
    world.daemon.signal(libc_sigterm());
    assert_eq!(world.daemon.end(), Some(0));
    let log = world.daemon.rest_of_log();
    let days = log.lines().filter_map(|line| line.get(..10));
    let mut days: Vec<&str> = days.collect();
    days.sort_unstable();
    days.dedup();
    assert!(days.len() >= OFFSETS.len(), "{days:?}");
}

fn libc_sigterm() -> i32 {
    rustix::process::Signal::TERM.as_raw()
}

/// How long a command with a time limit of two seconds runs where the clock jumps meanwhile.
fn limited(world: &Jumping, offset: &str) -> Duration {
    let client = client(options(&world.daemon, world.daemon.port));
    client.connect().unwrap();
    let workspace = client.workspace.clone();
    let begin = Instant::now();
    let running = pool::runtime().spawn(async move {
        let options = RunOptions {
            timeout_ms: Some(2_000),
            ..RunOptions::default()
        };
        workspace.run("sleep 60", options).await
    });
    std::thread::sleep(Duration::from_millis(300));
    jump(&world.file, offset);
    let error = pool::runtime().block_on(running).unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
    client.destroy();
    begin.elapsed()
}

#[test]
fn a_command_has_the_time_that_it_was_given() {
    let Some(world) = Jumping::start(Jumps::Wall, &[]) else {
        return;
    };
    for offset in OFFSETS {
        let took = limited(&world, offset);
        assert!(took >= Duration::from_millis(1_900), "{offset}: {took:?}");
        assert!(took < Duration::from_secs(20), "{offset}: {took:?}");
    }
}

#[test]
fn an_idle_connection_is_not_closed_by_a_jump() {
    let Some(world) = Jumping::start(Jumps::Wall, &["--idle-timeout", "3s"]) else {
        return;
    };
    for offset in OFFSETS {
        let mut idle = world.daemon.connect();
        let begin = Instant::now();
        std::thread::sleep(Duration::from_millis(200));
        jump(&world.file, offset);
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).unwrap();
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(2_800), "{offset}: {took:?}");
        assert!(took < PATIENCE, "{offset}: {took:?}");
    }
}

#[test]
fn guesses_are_held_up_for_as_long_wherever_the_clock_stands() {
    let Some(world) = Jumping::start(Jumps::Wall, &[]) else {
        return;
    };
    let guess = || {
        let begin = Instant::now();
        let wrong = [("Authorization", "Bearer a-wrong-token-of-32-letters-0000")];
        assert_eq!(world.daemon.get("/metrics", &wrong).status, 401);
        begin.elapsed()
    };
    let mut expected = Duration::from_millis(100);
    for offset in OFFSETS {
        let took = guess();
        assert!(took >= expected, "{offset}: {took:?} of {expected:?}");
        assert!(took < PATIENCE, "{offset}: {took:?}");
        expected *= 2;
        // A forgotten guess would begin anew.
        jump(&world.file, offset);
    }
    let right = [("Authorization", &*bearer())];
    assert_eq!(world.daemon.get("/metrics", &right).status, 200);
}

/// That these tests would notice: with a monotonic clock that jumps too, the same time limit has passed at once.
#[test]
fn a_clock_that_measures_time_would_be_noticed() {
    let Some(world) = Jumping::start(Jumps::All, &["--idle-timeout", "60s"]) else {
        return;
    };
    let mut idle = world.daemon.connect();
    std::thread::sleep(Duration::from_millis(200));
    jump(&world.file, "+5d");
    // Something wakes it.
    let _ = world.daemon.get("/health", &[]);
    let begin = Instant::now();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30), "{begin:?}");
}

/// In a process of its own, where the test goes on: the file that its clock follows. `None` where it has run there, or
/// cannot here.
fn alone_with_a_clock(test: &str) -> Option<PathBuf> {
    let library = match faketime::library() {
        Ok(library) => library,
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let has_run = ran_alone_with(test, |command: &mut Command| {
        let file = directory.path().join("clock");
        faketime::follow(command, &library, &file, Jumps::Wall);
    });
    let file = || PathBuf::from(std::env::var_os("FAKETIME_TIMESTAMP_FILE").unwrap());
    (!has_run).then(file)
}

/// The client's side, in a process whose clock jumps; the daemon's stands.
#[test]
fn a_client_works_on_while_its_clock_jumps_by_days() {
    let Some(file) = alone_with_a_clock("clocks::a_client_works_on_while_its_clock_jumps_by_days")
    else {
        return;
    };
    // Only this process.
    let daemon = Daemon::with(&[], |command| {
        command
            .env("AGENT_BACKEND_AUTH_TOKEN", TOKEN)
            .env_remove("LD_PRELOAD");
    });
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.keepalive_interval_ms = 100;
    options.operation_timeout_ms = 2_000;
    let client = client(options);
    let mut steps = client.connection.subscribe();
    client.put("a", "1").unwrap();
    let mut clocks = Vec::new();
    for (round, offset) in OFFSETS.into_iter().enumerate() {
        let workspace = client.workspace.clone();
        let running = pool::runtime().spawn(async move {
            let options = RunOptions::default();
            workspace.run("sleep 0.5; echo done", options).await
        });
        std::thread::sleep(Duration::from_millis(100));
        jump(&file, offset);
        clocks.push(SystemTime::now());
        let ran = pool::runtime().block_on(running).unwrap().unwrap();
        assert_eq!(&ran.stdout[..], b"done\n", "{offset}");
        assert_eq!(client.get("a").unwrap(), "1");
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(proxy.connections(), 1 + round, "{offset}");
        // It is lost and comes back, after the wait that it was told: the known key is known.
        proxy.cut();
        let read = client.get("a").unwrap();
        assert_eq!(read, "1");
        client.reaches(Status::Connected);
    }
    let distance = |clock: &SystemTime| {
        let days = Duration::from_secs(86_400);
        clock
            .duration_since(clocks[clocks.len() - 1])
            .map_or_else(|back| back.duration() > days, |on| on > days)
    };
    let moved = clocks.iter().filter(|clock| distance(clock)).count();
    assert_eq!(moved, OFFSETS.len() - 1, "the clock did not jump");
    // The limit of an operation: it neither passes with the clock nor waits for it.
    for offset in ["+5d", "-9d"] {
        jump(&file, "+0");
        proxy.stall();
        let begin = Instant::now();
        let waiting = client.workspace.exists("a");
        std::thread::sleep(Duration::from_millis(100));
        jump(&file, offset);
        let ended = wait(waiting);
        let took = begin.elapsed();
        assert!(ended.is_err() && took < Duration::from_secs(20), "{took:?}");
        assert!(took >= Duration::from_millis(250), "{offset}: {took:?}");
        proxy.cut();
        proxy.pass_all();
        assert_eq!(client.get("a").unwrap(), "1");
    }
    while let Ok(step) = steps.try_recv() {
        assert_ne!(step.to, Status::Disconnected);
    }
    client.destroy();
}

/// What is meant to ask the wall clock: until when a certificate is valid.
#[test]
fn a_certificate_is_judged_by_the_clock_as_it_stands() {
    let Some(file) =
        alone_with_a_clock("clocks::a_certificate_is_judged_by_the_clock_as_it_stands")
    else {
        return;
    };
    let Some(world) = tls::world("IP:127.0.0.1", "30") else {
        return;
    };
    let secure = || {
        let mut options = world.options(world.daemon.port);
        options.auth_token = Some(Secret::new(TOKEN));
        client(options)
    };
    let long_lived = secure();
    long_lived.put("a", "1").unwrap();
    for (offset, why) in [("+40d", "expired"), ("-40d", "not valid yet")] {
        jump(&file, offset);
        let error = secure().connect().unwrap_err();
        assert!(error.message().contains(why), "{offset}: {error}");
        // What is connected stays so.
        assert_eq!(long_lived.get("a").unwrap(), "1");
    }
    jump(&file, "+0");
    assert_eq!(secure().get("a").unwrap(), "1");
}
