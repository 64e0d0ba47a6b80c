//! OpenSSH's `sftp` speaks to the server without SSH between them: `-D` names a program that is its server, which here
//! passes bytes on to a socket.

use std::process::Stdio;

use agent_backend::daemon::sftp::{SymlinkOrder, serve};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::skip::skip;
use super::world::{World, run};

/// Runs commands of `sftp -b`; whether it succeeded, and all that it printed.
async fn sftp(world: &World, commands: &str) -> Option<(bool, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let session = world.session.clone();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(session, SymlinkOrder::TargetFirst, stream).await
    });
    let relay = world.outside.with_file_name("relay");
    std::fs::write(
        &relay,
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}\ncat <&3 &\ncat >&3\nkill $!\n"),
    )
    .unwrap();
    let started = Command::new("sftp")
        .args(["-b", "-", "-D"])
        .arg(format!("/bin/bash {}", relay.display()))
        .current_dir(world.outside.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = started else {
        skip("sftp of OpenSSH is not installed");
        server.abort();
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(commands.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let ended = server.await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let text = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

#[test]
fn sftp_of_openssh_does_all_that_it_can() {
    run(async {
        let world = World::new(1);
        let content: Vec<u8> = (0..5_000_000_u32).map(|at| (at / 3) as u8).collect();
        let local = world.outside.with_file_name("local");
        std::fs::create_dir(&local).unwrap();
        std::fs::write(local.join("big"), &content).unwrap();
        let root = world.root.to_str().unwrap();
        std::fs::write(local.join("half"), &content[..2_000_000]).unwrap();
        let commands = format!(
            "pwd\nmkdir d\nput local/big d/big\nput -f local/big d/flushed\nchmod 600 d/big\n\
             ls -l d\nln -s big d/link\nget d/link local/back\nrename d/big d/moved\n\
             rm d/link\ndf .\ncd {root}/d\nls -la\nput local/half resumed\n\
             reput local/big resumed\nput -p local/big preserved\nmkdir e\nrmdir e\n\
             rm flushed\npwd\n"
        );
        let Some((succeeded, text)) = sftp(&world, &commands).await else {
            return;
        };
        assert!(succeeded, "{text}");
        assert!(
            text.contains(&format!("Remote working directory: {root}\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("Remote working directory: {root}/d\n")),
            "{text}"
        );
        assert!(text.contains("-rw-------   1 "), "{text}");
        assert!(std::fs::read(local.join("back")).unwrap() == content);
        assert!(world.get("d/moved") == content && world.get("d/preserved") == content);
        assert!(world.get("d/resumed") == content);
        assert!(!world.has("d/flushed") && !world.has("d/e") && !world.has("d/link"));
    });
}

#[test]
fn sftp_of_openssh_is_told_why_it_may_not() {
    run(async {
        let world = World::new(1);
        world.put("f", "x");
        world.put("d/g", "y");
        for (command, why) in [
            ("cd ..", "PATH_ESCAPE_ATTEMPT"),
            ("get ../../../outside/secret", "not found"),
            ("get none", "not found"),
            ("ln f h", "hardlink"),
            ("rmdir f", "Failure"),
            ("rm d", "Failure"),
        ] {
            let Some((succeeded, text)) = sftp(&world, command).await else {
                return;
            };
            assert!(!succeeded && text.contains(why), "{command}: {text}");
        }
        assert!(world.outside_is_untouched());
    });
}
