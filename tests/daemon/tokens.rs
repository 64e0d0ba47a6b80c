//! Tokens at every endpoint: wrong ones, what each may do, revocation, and that none can be read anywhere.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::complaint;
use crate::served::{Daemon, TOKEN, head, tool_call};

pub fn tokens_file(directory: &tempfile::TempDir, tokens: &Value) -> PathBuf {
    let file = directory.path().join("tokens.json");
    let new = directory.path().join("tokens.new");
    std::fs::write(&new, tokens.to_string()).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&new, &file).unwrap();
    file
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn every_wrong_token_is_answered_alike_at_every_endpoint() {
    let daemon = Daemon::with_token(&[]);
    let prefix = bearer(&TOKEN[..TOKEN.len() - 1]);
    let longer = bearer(&format!("{TOKEN}x"));
    let query = format!("?token={TOKEN}");
    let mut bodies = std::collections::BTreeSet::new();
    for path in ["/mcp", "/ssh", "/metrics"] {
        let basic = format!("Basic {TOKEN}");
        for headers in [
            &[][..],
            &[("Authorization", "")],
            &[("Authorization", "Bearer ")],
            &[("Authorization", &basic)],
            &[("Authorization", TOKEN)],
            &[("X-Token", TOKEN)],
        ] {
            let answer = daemon.get(path, headers);
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            bodies.insert(answer.text());
        }
        let answer = daemon.get(&format!("{path}{query}"), &[]);
        assert_eq!(answer.status, 401, "{path}");
    }
    for wrong in [&prefix, &longer] {
        let answer = daemon.get("/mcp", &[("Authorization", wrong)]);
        assert_eq!(answer.status, 401);
        bodies.insert(answer.text());
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let good = bearer(TOKEN);
    let twice = [("Authorization", &*good), ("authorization", &*good)];
    assert_eq!(daemon.get("/mcp", &twice).status, 400);
    // The canary: the right one is let in, with its scheme in any case.
    let lower = format!("bearer {TOKEN}");
    for right in [&good, &lower] {
        assert_eq!(daemon.get("/mcp", &[("Authorization", right)]).status, 405);
    }
}

#[test]
fn wrong_tokens_take_longer_each_time_and_the_right_one_does_not() {
    let daemon = Daemon::with_token(&[]);
    let wrong = bearer("wrong-wrong-wrong");
    let timed = |token: &str| {
        let begun = Instant::now();
        daemon.get("/mcp", &[("Authorization", token)]);
        begun.elapsed()
    };
    let times: Vec<Duration> = (0..4).map(|_| timed(&wrong)).collect();
    for (time, least) in times.iter().zip([100, 200, 400, 800]) {
        assert!(*time >= Duration::from_millis(least), "{times:?}");
    }
    assert!(timed(&bearer(TOKEN)) < Duration::from_millis(800));
    assert!(timed(&wrong) < Duration::from_millis(800), "it begins anew");
}

#[test]
fn guessing_at_the_health_endpoint_is_no_faster() {
    let daemon = Daemon::with_token(&[]);
    let timed = |headers: &[(&str, &str)]| {
        let begun = Instant::now();
        let answer = daemon.get("/health", headers);
        assert_eq!(answer.status, 200);
        (begun.elapsed(), answer.text().contains("uptimeSeconds"))
    };
    let wrong = bearer("wrong-wrong-wrong");
    for least in [100, 200, 400] {
        let (took, knows) = timed(&[("Authorization", &*wrong)]);
        assert!(took >= Duration::from_millis(least) && !knows, "{took:?}");
    }
    // Whoever does not guess is answered at once, and so is whoever knows.
    let (took, knows) = timed(&[]);
    assert!(took < Duration::from_millis(400) && !knows, "{took:?}");
    let (took, knows) = timed(&[("Authorization", &*bearer(TOKEN))]);
    assert!(took < Duration::from_millis(400) && knows, "{took:?}");
}

#[test]
fn however_many_guess_at_once_each_waits() {
    let daemon = Daemon::with_token(&["--max-connections", "600"]);
    let wrong = bearer("wrong-wrong-wrong");
    // More than ever waited at a time, of which the first few make all that follow slow.
    let asked = head("GET", "/mcp", &[("Authorization", &*wrong)], None);
    let mut streams: Vec<_> = (0..400).map(|_| daemon.connect()).collect();
    for stream in &mut streams {
        std::io::Write::write_all(stream, asked.as_bytes()).unwrap();
    }
    std::thread::sleep(Duration::from_millis(3_500));
    let answered = |stream: &&std::net::TcpStream| {
        stream.set_nonblocking(true).unwrap();
        stream.peek(&mut [0]).is_ok()
    };
    let early = streams.iter().filter(answered).count();
    // Each doubles the time of the next: 100 ms to 3.2 s, then 5 s.
    assert!((1..=6).contains(&early), "{early} were answered by then");
}

#[test]
fn a_token_in_the_query_is_taken_only_with_the_flag_and_logged_never() {
    let mut daemon = Daemon::with_token(&["--allow-query-token", "--log-level", "trace"]);
    let path = format!("/mcp?token={TOKEN}");
    assert_eq!(daemon.get(&path, &[]).status, 405);
    assert_eq!(daemon.get("/mcp?token=wrong", &[]).status, 401);
    daemon.signal(15);
    let log = daemon.rest_of_log();
    assert!(log.contains("/mcp"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains("token="), "{log}");
}

#[test]
fn the_rights_of_a_token_hold_at_every_message() {
    let directory = tempfile::tempdir().unwrap();
    let file = tokens_file(
        &directory,
        &json!([
            { "token": "reader-reader-reader", "name": "reader", "rights": ["read"] },
            { "token": "writer-writer-writer", "name": "writer", "rights": ["write"] },
            { "token": "all-all-all-all-all", "name": "all" },
        ]),
    );
    let daemon = Daemon::start(&["--tokens-file", file.to_str().unwrap()]);
    std::fs::write(daemon.base.path().join("root/a"), "canary").unwrap();
    let call = |token: &str, tool: &str, arguments: Value| {
        let answer = daemon.post(
            &tool_call(1, tool, arguments),
            &[("Authorization", &bearer(token))],
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"]["content"][0]["text"].to_string()
    };
    let read = |token| call(token, "read_text_file", json!({ "path": "a" }));
    let write = |token| call(token, "write_file", json!({ "path": "b", "content": "x" }));
    let exec = |token| call(token, "exec", json!({ "command": "echo ran" }));
    let refused = |text: String| text.contains("POLICY_DENIED");
    assert!(read("all-all-all-all-all").contains("canary"));
    assert!(!refused(write("all-all-all-all-all")));
    assert!(exec("all-all-all-all-all").contains("ran"));
    assert!(read("reader-reader-reader").contains("canary"));
    assert!(refused(write("reader-reader-reader")));
    assert!(refused(exec("reader-reader-reader")));
    assert!(!refused(write("writer-writer-writer")));
    assert!(refused(read("writer-writer-writer")));
    assert!(refused(exec("writer-writer-writer")));
}

#[test]
fn a_token_that_disappears_from_its_file_is_revoked_with_what_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let keep = json!({ "token": "keep-keep-keep-keep", "name": "keep" });
    let lose = json!({ "token": "lose-lose-lose-lose", "name": "lose" });
    let file = tokens_file(&directory, &json!([keep, lose]));
    let mut daemon = Daemon::start(&["--tokens-file", file.to_str().unwrap()]);
    let list = tool_call(1, "list_directory", json!({ "path": "." }));
    let (keep_header, lose_header) = (bearer("keep-keep-keep-keep"), bearer("lose-lose-lose-lose"));
    assert_eq!(
        daemon
            .post(&list, &[("Authorization", &lose_header)])
            .status,
        200
    );
    let marker = daemon.base.path().join("root/late");
    let running = std::thread::scope(|scope| {
        let sleeping = scope.spawn(|| {
            let command = json!({ "command": "sleep 6; touch late" });
            daemon.post(
                &tool_call(2, "exec", command),
                &[("Authorization", &lose_header)],
            )
        });
        std::thread::sleep(Duration::from_millis(500));
        tokens_file(&directory, &json!([keep]));
        sleeping.join().unwrap()
    });
    assert_eq!(running.status, 401, "{running:?}");
    assert_eq!(
        daemon
            .post(&list, &[("Authorization", &lose_header)])
            .status,
        401
    );
    assert_eq!(
        daemon
            .post(&list, &[("Authorization", &keep_header)])
            .status,
        200
    );
    std::thread::sleep(Duration::from_secs(6));
    assert!(!marker.exists(), "its command was ended");
    // A wrong file changes nothing; SIGHUP reads it at once.
    std::fs::write(&file, "[").unwrap();
    daemon.signal(1);
    daemon.wait_for("the tokens stay as they are");
    assert_eq!(
        daemon
            .post(&list, &[("Authorization", &keep_header)])
            .status,
        200
    );
    tokens_file(&directory, &json!([keep, lose]));
    daemon.signal(1);
    daemon.wait_for("the tokens were read again");
    assert_eq!(
        daemon
            .post(&list, &[("Authorization", &lose_header)])
            .status,
        200
    );
}

#[test]
fn the_end_of_a_token_is_not_that_of_commands_of_others_in_the_same_place() {
    let directory = tempfile::tempdir().unwrap();
    let keep = json!({ "token": "keep-keep-keep-keep", "name": "keep" });
    let lose = json!({ "token": "lose-lose-lose-lose", "name": "lose" });
    let file = tokens_file(&directory, &json!([keep, lose]));
    let mut daemon = Daemon::start(&["--tokens-file", file.to_str().unwrap()]);
    let exec = tool_call(1, "exec", json!({ "command": "sleep 3; echo finished" }));
    let keep_header = bearer("keep-keep-keep-keep");
    let answer = std::thread::scope(|scope| {
        let running = scope.spawn(|| daemon.post(&exec, &[("Authorization", &keep_header)]));
        std::thread::sleep(Duration::from_millis(500));
        tokens_file(&directory, &json!([keep]));
        running.join().unwrap()
    });
    assert!(answer.text().contains("finished"), "{answer:?}");
    daemon.wait_for("the tokens were read again");
}

#[test]
fn no_token_can_be_read_from_the_process_its_log_or_its_commands() {
    let secret = "flag-flag-flag-flag-flag";
    for flags in [
        &["--auth-token", secret][..],
        &[&format!("--auth-token={secret}")],
        &[],
    ] {
        let mut daemon = Daemon::with(flags, |command| {
            if flags.is_empty() {
                command.env("AUTH_TOKEN", secret);
            }
        });
        let proc = |name: &str| {
            let path = format!("/proc/{}/{name}", daemon.child.id());
            String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
        };
        let arguments = proc("cmdline");
        assert!(arguments.contains("--rootDir"), "{arguments}");
        assert!(!arguments.contains(secret), "{arguments}");
        assert!(!proc("environ").contains(secret));
        let answer = daemon.post(
            &tool_call(1, "exec", json!({ "command": "env; tr '\\0' '\\n' < /proc/self/environ; tr '\\0' ' ' < /proc/$PPID/cmdline" })),
            &[("Authorization", &bearer(secret))],
        );
        let text = answer.text();
        assert!(text.contains("HOME="), "{text}");
        assert!(!text.contains(secret), "{text}");
        daemon.signal(15);
        assert!(!daemon.rest_of_log().contains(secret));
    }
}

#[test]
fn a_file_of_tokens_that_others_could_read_or_write_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let file = tokens_file(&directory, &json!([{ "token": "aaaaaaaaaa", "name": "a" }]));
    for flag in ["--tokens-file", "--auth-token-file"] {
        for mode in [0o644, 0o622, 0o604] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let said = complaint(&[
                "daemon",
                "--rootDir",
                root.to_str().unwrap(),
                flag,
                file.to_str().unwrap(),
            ]);
            assert!(said.contains("others may"), "{said}");
        }
    }
    std::fs::create_dir(&root).unwrap();
    let inside = root.join("tokens.json");
    std::fs::rename(&file, &inside).unwrap();
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = complaint(&[
        "daemon",
        "--rootDir",
        root.to_str().unwrap(),
        "--tokens-file",
        inside.to_str().unwrap(),
    ]);
    assert!(said.contains("lies in the workspace"), "{said}");
}

#[test]
fn several_tenants_need_a_wall_or_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let file = tokens_file(
        &directory,
        &json!([{ "token": "aaaaaaaaaa", "name": "a", "scope": "users/a" }]),
    );
    for level in ["landlock", "software", "none"] {
        let said = complaint(&[
            "daemon",
            "--rootDir",
            directory.path().join("root").to_str().unwrap(),
            "--tokens-file",
            file.to_str().unwrap(),
            "--isolation",
            level,
        ]);
        assert!(said.contains("--allow-weak-isolation"), "{said}");
    }
}

#[test]
fn several_tenants_need_a_wall_or_a_word_also_when_they_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let one = json!([{ "token": "aaaaaaaaaaaaaaaaaaaa", "name": "a" }]);
    let file = tokens_file(&directory, &one);
    let flags = [
        "--isolation",
        "none",
        "--tokens-file",
        file.to_str().unwrap(),
    ];
    let mut daemon = Daemon::with(&flags, |_| {});
    let scoped = json!({ "token": "bbbbbbbbbbbbbbbbbbbb", "name": "b", "scope": "users/b" });
    tokens_file(&directory, &json!([one[0], scoped]));
    daemon.signal(1);
    let line = daemon.wait_for("the tokens stay as they are");
    assert!(line.contains("--allow-weak-isolation"), "{line}");
    let of = |token: &str| {
        daemon
            .get("/mcp", &[("Authorization", &*bearer(token))])
            .status
    };
    assert_eq!(of("aaaaaaaaaaaaaaaaaaaa"), 405, "it is let in as before");
    assert_eq!(of("bbbbbbbbbbbbbbbbbbbb"), 401);
}

#[test]
fn the_upgrade_asks_for_the_token_too() {
    let daemon = Daemon::with_token(&[]);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(daemon.get("/ssh", &upgrade).status, 401);
    let good = bearer(TOKEN);
    let with_token = [&upgrade[..], &[("Authorization", &*good)]].concat();
    let mut stream = daemon.connect();
    std::io::Write::write_all(
        &mut stream,
        head("GET", "/ssh", &with_token, None).as_bytes(),
    )
    .unwrap();
    let mut got = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut got).unwrap();
    assert_eq!(&got, b"HTTP/1.1 101");
}
