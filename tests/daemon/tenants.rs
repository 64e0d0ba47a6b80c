//! What one tenant holds, another can still have.

use std::io::{BufReader, Write as _};
use std::time::Duration;

use serde_json::json;

use crate::served::{Daemon, TOKEN, head, mcp_request, read_answer, tool_call};
use crate::tokens::{bearer, tokens_file};

/// A daemon for two, and what each says of itself.
fn of_two(flags: &[&str]) -> (Daemon, tempfile::TempDir, [String; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let tokens = ["one-one-one-one-one", "two-two-two-two-two"];
    let file = tokens_file(
        &directory,
        &json!([{ "token": tokens[0], "name": "one" }, { "token": tokens[1], "name": "two" }]),
    );
    let daemon = Daemon::start(&[flags, &["--tokens-file", file.to_str().unwrap()]].concat());
    (daemon, directory, tokens.map(bearer))
}

#[test]
fn bodies_that_never_end_keep_nobody_else_out() {
    let (daemon, _directory, [one, two]) = of_two(&[]);
    let mut lying = Vec::new();
    // As much as there is, and then what still fits.
    for (size, count) in [(40 << 20, 7), (1 << 20, 40), (64 << 10, 30), (1 << 10, 90)] {
        // What was refused has left its room by then.
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..count {
            let headers = [
                ("Authorization", &*one),
                ("Content-Type", "application/json"),
            ];
            let mut stream = daemon.connect();
            let head = head("POST", "/mcp", &headers, Some(size + 1));
            stream.write_all(head.as_bytes()).unwrap();
            // Whoever is refused meanwhile is cut off.
            let _ = stream.write_all(&vec![b' '; size]);
            lying.push(stream);
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    let list = tool_call(1, "list_directory", json!({ "path": "." }));
    let ask = |token: &str| daemon.post(&list, &[("Authorization", token)]).status;
    assert_eq!(ask(&two), 200);
    // The canary: its own share is used up.
    assert_eq!(ask(&one), 503);
    drop(lying);
}

#[test]
fn commands_that_never_end_keep_nobody_else_from_running_one() {
    let (daemon, _directory, [one, two]) = of_two(&["--max-commands", "4"]);
    let ran = |token: &str, command: &str| {
        let call = tool_call(1, "exec", json!({ "command": command }));
        daemon.post(&call, &[("Authorization", token)]).text()
    };
    std::thread::scope(|scope| {
        let running = (0..4).map(|_| scope.spawn(|| ran(&one, "sleep 3; echo slept")));
        let running: Vec<_> = running.collect();
        std::thread::sleep(Duration::from_secs(1));
        assert!(ran(&two, "echo of two").contains("of two"));
        let answers = running.into_iter().map(|one| one.join().unwrap());
        let answers: Vec<String> = answers.collect();
        let refused = answers
            .iter()
            .filter(|text| text.contains("LIMIT_EXCEEDED"));
        assert_eq!(refused.count(), 2, "{answers:?}");
    });
}

#[test]
fn connections_that_say_nothing_make_way_for_whoever_has_a_token() {
    let daemon = Daemon::with_token(&["--max-connections", "8"]);
    let header = bearer(TOKEN);
    let list = tool_call(1, "list_directory", json!({ "path": "." }));
    let mut known = daemon.connect();
    known
        .write_all(&mcp_request(&list, &[("Authorization", &header)]))
        .unwrap();
    let mut known = BufReader::new(known);
    assert_eq!(read_answer(&mut known).status, 200);
    let silent: Vec<_> = (0..20).map(|_| daemon.connect()).collect();
    for _ in 0..5 {
        let answer = daemon.post(&list, &[("Authorization", &header)]);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // Whoever has said who it is makes way for nobody.
    (known.get_mut())
        .write_all(&mcp_request(&list, &[("Authorization", &header)]))
        .unwrap();
    assert_eq!(read_answer(&mut known).status, 200);
    drop(silent);
}
