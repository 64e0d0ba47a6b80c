//! What becomes of the calls that wait when a connection is lost: none waits for ever, what may have been done is not
//! done twice, and what only reads is asked once more.

use std::time::{Duration, Instant};

use agent_backend::backend::remote::Connector as _;
use agent_backend::backend::remote::options::Reconnection;
use agent_backend::backend::remote::status::StatusChange;
use agent_backend::backend::search::GrepQuery;
use agent_backend::backend::{
    BatchOperation, Content, Edit, EditOptions, ListOptions, ReadOptions, RenameOptions, WriteMode,
    WriteOptions,
};
use agent_backend::call::Call;
use agent_backend::error::{ErrorCode, Result};
use agent_backend::pool;
use agent_backend::status::Status;
use agent_backend::workspace::{RunOptions, SearchOptions, Workspace};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::served::Daemon;
use crate::world::{PATIENCE, client, eventually, options, wait, wait_for};

/// After so long each call that has begun is on its way.
const SENT: Duration = Duration::from_millis(200);

/// Begins a call: from now on it goes on by itself.
fn done<T: Send + 'static>(call: Call<T>) -> JoinHandle<Result<()>> {
    pool::runtime().spawn(async move { call.await.map(|_| ()) })
}

fn append(workspace: &Workspace) -> JoinHandle<Result<()>> {
    let options = WriteOptions {
        mode: WriteMode::Append,
        ..WriteOptions::default()
    };
    done(workspace.write("appended", Content::owned(b"x".to_vec()), options))
}

type Asked = (&'static str, JoinHandle<Result<()>>);

/// What only reads, each kind once.
fn reads(workspace: &Workspace) -> Vec<Asked> {
    let grep = GrepQuery {
        pattern: "1".to_owned(),
        ..GrepQuery::default()
    };
    vec![
        ("read", done(workspace.read("a", ReadOptions::default()))),
        ("exists", done(workspace.exists("a"))),
        ("stat", done(workspace.stat("a"))),
        ("list", done(workspace.list(".", ListOptions::default()))),
        (
            "grep",
            done(workspace.grep(".", grep, SearchOptions::default())),
        ),
    ]
}

/// What changes something, each kind once.
fn changes(workspace: &Workspace) -> Vec<Asked> {
    let edit = Edit {
        old_text: "1".into(),
        new_text: "2".into(),
        ..Edit::default()
    };
    let touch = BatchOperation::Touch {
        path: "touched".into(),
    };
    let batch = workspace.batch(vec![touch]);
    // What becomes of its parts is told of each.
    let batch = batch.and_then(|parts| match parts.into_iter().next() {
        Some(Err(error)) => Call::err(error),
        _ => Call::ok(()),
    });
    vec![
        ("append", append(workspace)),
        ("mkdir", done(workspace.create_dir("made", true))),
        (
            "rename",
            done(workspace.rename("b", "c", RenameOptions::default())),
        ),
        (
            "edit",
            done(workspace.edit("a", vec![edit], EditOptions::default())),
        ),
        ("batch", done(batch)),
        (
            "run",
            done(workspace.run("echo x >> ran", RunOptions::default())),
        ),
    ]
}

/// What became of all of them; none may take longer than anything may.
fn ended(asked: Vec<Asked>) -> Vec<(&'static str, Result<()>)> {
    let begin = Instant::now();
    let ended = asked.into_iter().map(|(name, task)| {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        let ended = wait_for(async { tokio::time::timeout(left, task).await });
        let Ok(ended) = ended else {
            panic!("{name} hangs");
        };
        (name, ended.unwrap())
    });
    ended.collect()
}

/// Each step begins where the one before ended.
fn steps(told: &mut UnboundedReceiver<StatusChange>) -> Vec<Status> {
    let mut all = vec![Status::Disconnected];
    while let Ok(step) = told.try_recv() {
        assert_eq!(Some(&step.from), all.last(), "{all:?} and then {step:?}");
        all.push(step.to);
    }
    all
}

#[test]
fn where_the_connection_does_not_come_back_every_call_fails_with_connection_closed() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.reconnection = Reconnection {
        max_retries: 3,
        initial_delay_ms: 5,
        max_delay_ms: 20,
        ..Reconnection::default()
    };
    let client = client(options);
    let mut told = client.connection.subscribe();
    client.put("a", "1").unwrap();
    client.put("b", "1").unwrap();
    proxy.stall();
    let mut asked = reads(&client.workspace);
    asked.extend(changes(&client.workspace));
    std::thread::sleep(SENT);
    proxy.retarget(1);
    proxy.cut();
    for (name, outcome) in ended(asked) {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionClosed, "{name}: {error}");
    }
    client.reaches(Status::Disconnected);
    use Status::{Connected, Connecting, Disconnected, Reconnecting};
    assert_eq!(
        steps(&mut told),
        [
            Disconnected,
            Connecting,
            Connected,
            Reconnecting,
            Disconnected
        ]
    );
    client.destroy();
}

#[test]
fn where_it_comes_back_what_reads_is_answered_and_nothing_is_done_twice() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    let mut told = client.connection.subscribe();
    let root = daemon.base.path().join("root");
    let length = |name: &str| std::fs::metadata(root.join(name)).map_or(0, |found| found.len());
    let mut lost = 0;
    for round in 0..30_u64 {
        // Where all was done before the cut, nobody knows yet that the connection is gone.
        eventually("both are there", || {
            client.put("a", "1").is_ok() && client.put("b", "1").is_ok()
        });
        let before = (length("appended"), length("ran"));
        // In a third of the rounds nothing arrives; in the others much is done of which nobody hears.
        if round % 3 == 0 {
            proxy.stall();
        }
        let read = reads(&client.workspace);
        let changed = changes(&client.workspace);
        std::thread::sleep(Duration::from_micros(round * 150));
        proxy.cut();
        proxy.pass_all();
        for (name, outcome) in ended(read) {
            outcome.unwrap_or_else(|error| panic!("round {round}: {name}: {error}"));
        }
        for (name, outcome) in ended(changed) {
            let added = match name {
                "append" => length("appended") - before.0,
                // As long as its line; it may still be on its way where nobody has heard of it.
                "run" => (length("ran") - before.1) / 2,
                _ => u64::from(outcome.is_ok()),
            };
            match outcome {
                Ok(()) => assert_eq!(added, 1, "round {round}: {name}"),
                Err(error) => {
                    lost += 1;
                    assert_eq!(error.code(), ErrorCode::ConnectionClosed, "{name}: {error}");
                    assert!(added <= 1, "round {round}: {name} was done twice");
                }
            }
        }
    }
    assert!(lost > 30, "the cuts hit nothing: {lost}");
    client.destroy();
    steps(&mut told);
}

/// One that takes the daemon a while.
fn long_search(workspace: &Workspace) -> JoinHandle<Result<()>> {
    let query = GrepQuery {
        pattern: r"([a-z]+ ){7,9}\w{9,40}$".to_owned(),
        ..GrepQuery::default()
    };
    done(workspace.grep("d", query, SearchOptions::default()))
}

#[test]
fn what_reads_is_asked_once_more_and_no_oftener() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    let directory = daemon.base.path().join("root/d");
    std::fs::create_dir(&directory).unwrap();
    let text = "a line that is none of those\n".repeat(20_000);
    for number in 0..300 {
        std::fs::write(directory.join(number.to_string()), &text).unwrap();
    }
    let mut told = client.connection.subscribe();
    let mut connected = || {
        let until = async {
            while let Some(step) = told.recv().await {
                if step.to == Status::Connected {
                    return;
                }
            }
        };
        wait_for(async { tokio::time::timeout(PATIENCE, until).await.unwrap() });
    };
    client.connect().unwrap();
    connected();
    let mut twice = 0;
    for _ in 0..3 {
        let search = long_search(&client.workspace);
        std::thread::sleep(Duration::from_millis(5));
        proxy.cut();
        connected();
        std::thread::sleep(Duration::from_millis(5));
        proxy.cut();
        for (_, outcome) in ended(vec![("grep", search)]) {
            if let Err(error) = outcome {
                twice += 1;
                assert_eq!(error.code(), ErrorCode::ConnectionClosed, "{error}");
            }
        }
        connected();
    }
    assert!(twice > 0, "no search was lost twice");
    client.destroy();
}

#[test]
fn while_it_does_not_come_back_a_call_takes_no_longer_than_its_limit() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.operation_timeout_ms = 300;
    let client = client(options);
    client.put("a", "1").unwrap();
    proxy.stall();
    let waiting = reads(&client.workspace);
    std::thread::sleep(SENT);
    proxy.retarget(1);
    proxy.cut();
    client.reaches(Status::Reconnecting);
    let begin = Instant::now();
    let late = reads(&client.workspace);
    for (name, outcome) in ended(waiting.into_iter().chain(late).collect()) {
        let error = outcome.unwrap_err();
        let known = [ErrorCode::Timeout, ErrorCode::ConnectionFailed];
        assert!(known.contains(&error.code()), "{name}: {error}");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(client.connection.status(), Status::Reconnecting);
    proxy.pass_all();
    proxy.retarget(daemon.port);
    client.reaches(Status::Connected);
    assert_eq!(wait(client.workspace.exists("a")).ok(), Some(true));
    client.destroy();
}
