//! OpenSSH's server on a port of the loopback, with keys of its own, for as long as a test runs.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::remote::connection::Connection;
use agent_backend::backend::remote::options::{
    HostKeyPolicy, RemoteOptions, Secret, SshAuth, Transport,
};
use agent_backend::backend::remote::{RemoteBackend, RootOptions};
use tempfile::TempDir;

/// Where distributions put it.
const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"];

/// A running server. Dropping it ends it and all that it started for its clients.
pub struct Sshd {
    child: Child,
    pub port: u16,
    pub directory: TempDir,
}

/// Whether one can be started here; otherwise why not.
pub fn program() -> Result<&'static str, String> {
    let found = PROGRAMS.iter().find(|path| Path::new(path).exists());
    let Some(program) = found else {
        return Err("OpenSSH's sshd is not installed".to_owned());
    };
    // As root it insists on this directory, which its package's service makes.
    let separation = Path::new("/run/sshd");
    let made = separation.exists() || std::fs::create_dir(separation).is_ok();
    if !made && user() == "root" {
        return Err("/run/sshd cannot be made".to_owned());
    }
    Ok(program)
}

pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A new key pair; the path of the private one.
pub fn key(directory: &Path, name: &str, kind: &str) -> PathBuf {
    let path = directory.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-C", "test", "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

impl Sshd {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With further lines of configuration.
    pub fn start_with(further: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        key(directory.path(), "host_key", "ed25519");
        let user_key = key(directory.path(), "user_key", "ed25519");
        std::fs::copy(
            user_key.with_extension("pub"),
            directory.path().join("authorized_keys"),
        )
        .unwrap();
        std::fs::create_dir(directory.path().join("root")).unwrap();
        for _ in 0..20 {
            if let Some((child, port)) = attempt(directory.path(), further) {
                return Self {
                    child,
                    port,
                    directory,
                };
            }
        }
        let log = std::fs::read_to_string(directory.path().join("log"));
        panic!("sshd does not start: {log:?}");
    }

    pub fn root(&self) -> PathBuf {
        // Without links, so that paths can be compared with what commands print.
        self.directory.path().join("root").canonicalize().unwrap()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// What connects to it, with its key pinned and nothing kept elsewhere.
    pub fn options(&self) -> RemoteOptions {
        let root = self.root().into_os_string().into_encoded_bytes();
        let mut options = RemoteOptions::new(root, "127.0.0.1");
        options.port = Some(self.port);
        options.transport = Transport::Ssh;
        options.ssh_auth = Some(SshAuth::Key {
            user: user(),
            private_key: Secret::new(self.read("user_key")),
            passphrase: None,
        });
        options.host_key = Some(HostKeyPolicy::Pin(vec![self.read("host_key.pub")]));
        options.state_dir = Some(self.directory.path().join("state"));
        options
    }

    #[allow(dead_code, reason = "not every test asks")]
    pub fn backend(&self) -> Arc<RemoteBackend> {
        backend(self.options())
    }
}

pub fn backend(options: RemoteOptions) -> Arc<RemoteBackend> {
    let root = RootOptions {
        root_dir: options.root_dir.clone(),
        operation_timeout: None,
    };
    RemoteBackend::new(Arc::new(Connection::new(options).unwrap()), root).unwrap()
}

/// One start on a port that was free a moment ago; `None` where it is not any more.
fn attempt(directory: &Path, further: &str) -> Option<(Child, u16)> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let shown = directory.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\n\
         HostKey {shown}/host_key\n\
         AuthorizedKeysFile {shown}/authorized_keys\n\
         PidFile none\n\
         StrictModes no\n\
         UsePAM no\n\
         PasswordAuthentication no\n\
         PermitRootLogin yes\n\
         MaxStartups 200\n\
         PrintMotd no\n\
         SetEnv SHLVL=2\n\
         Subsystem sftp internal-sftp\n\
         {further}\n"
    );
    std::fs::write(directory.join("sshd_config"), config).unwrap();
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut child = Command::new(program().unwrap())
        .args(["-D", "-e", "-f"])
        .arg(directory.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        // By its own word: another server may have taken the port meanwhile, and would answer too.
        let said = std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        if said.contains("Server listening on") {
            return Some((child, port));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
