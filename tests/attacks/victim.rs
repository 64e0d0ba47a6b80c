//! What of the host an attack is after, beyond files: servers, shared memory, a queue, and a process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::random;

/// Servers that tell the secret to whoever reaches them. They live as long as this process, and cost a thread each.
#[derive(Debug)]
pub struct Servers {
    pub told: Value,
    datagram: Arc<AtomicBool>,
}

impl Servers {
    pub fn start(host: &Path, secret: &str) -> Self {
        let path = host.join("service.sock");
        let by_path = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let name = format!("agent-backend-{}", random());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        for listener in [by_path, UnixListener::bind_addr(&address).unwrap()] {
            let secret = secret.to_owned();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let _ = (&stream).write_all(secret.as_bytes());
                }
            });
        }
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let told = json!({
            "path": path.to_str().unwrap(),
            "datagram": host.join("datagram.sock").to_str().unwrap(),
            "abstract": name,
            "tcp": tcp.local_addr().unwrap().port(),
            "udp": udp.local_addr().unwrap().port(),
        });
        let by_datagram = host.join("datagram.sock");
        let server = UnixDatagram::bind(&by_datagram).unwrap();
        std::fs::set_permissions(&by_datagram, std::fs::Permissions::from_mode(0o777)).unwrap();
        let datagram = Arc::new(AtomicBool::new(false));
        let came = Arc::clone(&datagram);
        std::thread::spawn(move || {
            while server.recv(&mut [0; 64]).is_ok() {
                came.store(true, Ordering::Release);
            }
        });
        let for_tcp = secret.to_owned();
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let _ = (&stream).write_all(for_tcp.as_bytes());
            }
        });
        let for_udp = secret.to_owned();
        std::thread::spawn(move || {
            let mut room = [0; 64];
            while let Ok((_, from)) = udp.recv_from(&mut room) {
                let _ = udp.send_to(for_udp.as_bytes(), from);
            }
        });
        Self { told, datagram }
    }

    /// Whether a datagram has come to the Unix socket. It takes the thread that waits for one a moment to tell.
    pub fn got_a_datagram(&self) -> bool {
        std::thread::sleep(Duration::from_millis(50));
        self.datagram.load(Ordering::Acquire)
    }
}

/// Shared memory and a message queue of the host, open to everybody; they go when this is dropped.
#[derive(Debug)]
pub struct Ipc {
    segment: i32,
    queue: std::ffi::CString,
    file: PathBuf,
    pub told: Value,
}

impl Ipc {
    pub fn make(secret: &str) -> Self {
        let name = format!("agent-backend-{}", random());
        let file = Path::new("/dev/shm").join(&name);
        std::fs::write(&file, secret).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        let queue = std::ffi::CString::new(format!("/{name}")).unwrap();
        // SAFETY: the segment is as large as what is copied into it; the queue's name and text outlive the calls.
        let segment = unsafe {
            let segment = libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666);
            assert!(segment >= 0, "{}", std::io::Error::last_os_error());
            let memory = libc::shmat(segment, std::ptr::null(), 0).cast::<u8>();
            std::ptr::copy_nonoverlapping(secret.as_ptr(), memory, secret.len());
            libc::shmdt(memory.cast());
            let mut attributes: libc::mq_attr = std::mem::zeroed();
            attributes.mq_maxmsg = 2;
            attributes.mq_msgsize = 128;
            let flags = libc::O_CREAT | libc::O_RDWR | libc::O_EXCL;
            let opened = libc::mq_open(queue.as_ptr(), flags, 0o666, &raw mut attributes);
            assert!(opened >= 0, "{}", std::io::Error::last_os_error());
            libc::fchmod(opened, 0o666);
            libc::mq_send(opened, secret.as_ptr().cast(), secret.len(), 0);
            libc::mq_close(opened);
            segment
        };
        let told = json!({
            "segment": segment,
            "queue": queue.to_str().unwrap(),
            "shm": file.to_str().unwrap(),
        });
        Self {
            segment,
            queue,
            file,
            told,
        }
    }
}

impl Drop for Ipc {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        // SAFETY: both are ours, and the name is a C string.
        unsafe {
            libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut());
            libc::mq_unlink(self.queue.as_ptr());
        }
    }
}

/// A process of the host with the secret in its arguments, environment, memory and an open file, and another one to
/// be killed.
#[derive(Debug)]
pub struct Victim {
    process: Child,
    prey: Child,
    pub told: Value,
}

impl Victim {
    pub fn start(uid: u32, secret: &str, file: &Path) -> Self {
        let start = |arguments: &[&str]| {
            let mut command = Command::new("/usr/bin/python3");
            command.args(["-c", include_str!("programs/victim.py")]);
            command.args(arguments).env_clear().current_dir("/");
            command.env("SECRET_IN_ENVIRONMENT", format!("environment:{secret}"));
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            if rustix::process::geteuid().is_root() {
                command.uid(uid).gid(uid);
            }
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut().unwrap())
                .read_line(&mut line)
                .unwrap();
            (child, line.trim().parse::<u64>().unwrap())
        };
        let (process, address) = start(&[&format!("argument:{secret}"), file.to_str().unwrap()]);
        let (prey, _) = start(&["prey", file.to_str().unwrap()]);
        let told = json!({
            "pid": process.id(),
            "prey": prey.id(),
            "address": address,
            "length": "memory:".len() + secret.len(),
        });
        Self {
            process,
            prey,
            told,
        }
    }

    /// Whether the one that was to be killed still lives.
    pub fn prey_is_dead(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.prey.id()));
        !stat.is_ok_and(|stat| !stat.contains(") Z "))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        for child in [&mut self.process, &mut self.prey] {
            let _ = child.kill();
            let _ = child.wait();
            if let Some(stdout) = &mut child.stdout {
                let _ = stdout.read(&mut [0]);
            }
        }
    }
}
