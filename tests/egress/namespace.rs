//! The way the proxy is meant to be used: a command in a network namespace with nothing but its loopback, whose listening
//! socket was made inside and handed out.

use std::io::IoSliceMut;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use agent_backend::egress::{Limits, Verdict, environment};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::skip::skip;
use crate::support::{PUBLIC, World, web};

const PORT: u16 = 3128;

/// Runs in the namespace: brings the loopback up, hands the listener out, then is the command.
const INSIDE: &str = "
import array, fcntl, os, socket, struct, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(probe, 0x8914, struct.pack('16sh', b'lo', 0x41))
door = socket.create_server(('127.0.0.1', 3128))
out = socket.socket(socket.AF_UNIX)
out.connect(sys.argv[1])
out.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [door.fileno()]))])
door.close()
out.recv(1)
os.execvp('sh', ['sh', '-c', sys.argv[2]])
";

#[test]
fn a_command_without_a_network_reaches_what_is_listed_and_nothing_else() {
    let works = Command::new("unshare")
        .args(["-rn", "python3", "-c", "pass"])
        .stderr(Stdio::null())
        .status();
    if !works.is_ok_and(|status| status.success()) {
        return skip("network namespaces, or python3, cannot be had here");
    }
    let directory = tempfile::tempdir().unwrap();
    let meeting = directory.path().join("socket");
    let meet = UnixListener::bind(&meeting).unwrap();
    let (address, _) = web("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
    let script = format!(
        "curl -sS http://a.example/; \
         curl -sS -x socks5h://127.0.0.1:{PORT} http://a.example/; \
         curl -sS -o /dev/null -w '%{{http_code}}\\n' http://evil.example/; \
         curl -sS -o /dev/null -w '%{{http_code}}\\n' http://169.254.169.254/; \
         curl -sS --noproxy '*' -m 3 http://127.0.0.1:{}/ 2>/dev/null || echo unreachable; \
         curl -sS --noproxy '*' -m 3 http://{PUBLIC}/ 2>/dev/null || echo unreachable",
        address.port()
    );
    let child = Command::new("unshare")
        .args(["-rn", "python3", "-c", INSIDE])
        .arg(&meeting)
        .arg(&script)
        .envs(environment(PORT))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (meet, _) = meet.accept().unwrap();
    let door = TcpListener::from(receive(&meet));
    let world = World::on(door, PORT, &["a.example"], Limits::default()).leads_to(address);
    std::io::Write::write_all(&mut &meet, b"x").unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "ok\nok\n403\n403\nunreachable\nunreachable\n",
        "{errors}"
    );
    let verdicts: Vec<bool> = world
        .decisions()
        .iter()
        .map(|decision| decision.verdict == Verdict::Allowed)
        .collect();
    assert_eq!(verdicts, [true, true, false, false]);
}

/// The one descriptor that comes over a socket.
fn receive(from: &std::os::unix::net::UnixStream) -> OwnedFd {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    recvmsg(from, &mut bytes, &mut rights, RecvFlags::CMSG_CLOEXEC).unwrap();
    let message = rights.drain().next();
    let Some(RecvAncillaryMessage::ScmRights(mut descriptors)) = message else {
        panic!("a descriptor comes");
    };
    descriptors.next().unwrap()
}
