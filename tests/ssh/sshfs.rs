//! sshfs: a tree of the server's files as a file system of this machine, used by what knows nothing of SFTP.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::server::{Fixture, has_openssh};
use crate::skip::{lacks_device, skip};

/// How long all of it may take: a program that waits for a file system that does not answer cannot be stopped otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// What sshfs says where nothing may be mounted.
const MAY_NOT: &str = "mount failed: Operation not permitted";

/// A mounted file system; it goes when it is dropped, whatever hangs in it.
struct Mount {
    at: PathBuf,
    /// Dropped, it tells that the mount is no longer needed.
    _needed: Sender<()>,
    watch: Option<std::thread::JoinHandle<()>>,
}

impl Mount {
    /// The root of the fixture, unless something that this takes is missing.
    fn of(fixture: &Fixture) -> Option<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
        if let Err(error) = device {
            lacks_device("/dev/fuse", &error.to_string());
            return None;
        }
        let found = Command::new("sshfs")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            skip("sshfs is missing");
            return None;
        }
        let at = fixture.base.path().join("mount");
        fs::create_dir(&at).unwrap();
        let before = fs::metadata(&at).unwrap().dev();
        let said = fixture.base.path().join("sshfs");
        let mut sshfs = Command::new("sshfs")
            .arg("agent@127.0.0.1:")
            .arg(&at)
            .args(["-f", "-p", &fixture.address.port().to_string()])
            .args(fixture.options())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while fs::metadata(&at).is_ok_and(|found| found.dev() == before) {
            if let Some(ended) = sshfs.try_wait().unwrap() {
                let said = fs::read_to_string(&said).unwrap();
                // A container that has the device, and not the right to mount.
                assert!(said.contains(MAY_NOT), "sshfs ended: {ended:?}: {said}");
                lacks_device("/dev/fuse", &said);
                return None;
            }
            assert!(started.elapsed() < PATIENCE, "it mounts nothing");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (needed, dropped) = channel();
        let mounted = at.clone();
        let watch = std::thread::spawn(move || {
            let _ = dropped.recv_timeout(PATIENCE);
            unmount(&mounted, sshfs);
        });
        Some(Self {
            at,
            _needed: needed,
            watch: Some(watch),
        })
    }

    /// Unmounts as people do, which fails where something is still open.
    fn end(mut self) {
        let ended = Command::new("fusermount3")
            .arg("-u")
            .arg(&self.at)
            .output()
            .unwrap();
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(fs::read_dir(&self.at).unwrap().count(), 0);
        let watch = self.watch.take();
        drop(self);
        watch.unwrap().join().unwrap();
    }
}

fn unmount(at: &Path, mut sshfs: Child) {
    let _ = Command::new("fusermount3")
        .args(["-u", "-z", "-q"])
        .arg(at)
        .stderr(Stdio::null())
        .status();
    let _ = sshfs.kill();
    let _ = sshfs.wait();
}

/// The file system at its place, and the directory that the server serves.
fn mounted(test: impl FnOnce(&Path, &Path)) {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let Some(mount) = Mount::of(&fixture) else {
        return;
    };
    test(&mount.at, &fixture.root());
    mount.end();
}

fn names(at: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = fs::read_dir(at)
        .unwrap()
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_of_sshfs_are_made_read_and_changed_in_place() {
    mounted(|at, root| {
        fs::write(at.join("a"), "hello").unwrap();
        assert_eq!(fs::read(root.join("a")).unwrap(), b"hello");
        let mut end = OpenOptions::new().append(true).open(at.join("a")).unwrap();
        end.write_all(b", world").unwrap();
        drop(end);
        assert_eq!(fs::read(at.join("a")).unwrap(), b"hello, world");
        let file = OpenOptions::new().write(true).open(at.join("a")).unwrap();
        file.set_len(5).unwrap();
        assert_eq!(fs::read(root.join("a")).unwrap(), b"hello");
        file.set_len(8).unwrap();
        file.write_at(b"J", 0).unwrap();
        file.sync_all().unwrap();
        drop(file);
        assert_eq!(fs::read(at.join("a")).unwrap(), b"Jello\0\0\0");
        fs::write(at.join("a"), "").unwrap();
        assert_eq!(fs::metadata(root.join("a")).unwrap().len(), 0);
        assert!(File::create_new(at.join("a")).is_err());
        // What is there already, made by somebody else, is seen.
        fs::write(root.join("theirs"), "x").unwrap();
        assert_eq!(fs::read(at.join("theirs")).unwrap(), b"x");
        // A file that has no name any more is still there for who has it open.
        let mut open = File::create_new(at.join("gone")).unwrap();
        open.write_all(b"kept").unwrap();
        drop(open);
        let mut open = OpenOptions::new()
            .read(true)
            .write(true)
            .open(at.join("gone"))
            .unwrap();
        fs::remove_file(at.join("gone")).unwrap();
        open.write_all(b"K").unwrap();
        open.seek(SeekFrom::Start(0)).unwrap();
        let mut content = String::new();
        open.read_to_string(&mut content).unwrap();
        assert_eq!(content, "Kept");
        drop(open);
        let missing = fs::read(at.join("missing")).unwrap_err();
        assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    });
}

#[test]
fn a_large_file_goes_through_sshfs_and_back_unharmed() {
    mounted(|at, root| {
        let content: Vec<u8> = (0..12_000_000_u32)
            .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        fs::write(at.join("large"), &content).unwrap();
        assert!(fs::read(root.join("large")).unwrap() == content);
        fs::rename(root.join("large"), root.join("again")).unwrap();
        assert!(fs::read(at.join("again")).unwrap() == content);
        // In places, behind what was read ahead.
        let file = File::open(at.join("again")).unwrap();
        for at in [0, 4_095, 20_000_001, 47_999_990] {
            let mut some = [0; 10];
            file.read_exact_at(&mut some, at as u64).unwrap();
            assert_eq!(some, content[at..at + 10], "{at}");
        }
    });
}

#[test]
fn names_of_sshfs_are_made_moved_and_removed() {
    mounted(|at, root| {
        fs::create_dir(at.join("d")).unwrap();
        fs::create_dir_all(at.join("d/deep/er")).unwrap();
        assert!(fs::create_dir(at.join("d")).is_err());
        assert!(fs::remove_dir(at.join("d")).is_err(), "it is not empty");
        assert!(fs::remove_file(at.join("d")).is_err(), "it is a directory");
        for number in 0..300 {
            fs::write(at.join(format!("d/{number:03}")), [number as u8]).unwrap();
        }
        assert_eq!(names(&at.join("d")).len(), 301);
        assert_eq!(names(&at.join("d")), names(&root.join("d")));
        // A rename replaces, as in any file system.
        fs::write(at.join("new"), "new").unwrap();
        fs::write(at.join("old"), "old").unwrap();
        fs::rename(at.join("new"), at.join("old")).unwrap();
        assert_eq!(fs::read(root.join("old")).unwrap(), b"new");
        fs::rename(at.join("old"), at.join("d/deep/er/x")).unwrap();
        let nowhere = fs::rename(at.join("d"), at.join("no/parent")).unwrap_err();
        assert_eq!(nowhere.kind(), std::io::ErrorKind::NotFound);
        fs::rename(at.join("d"), at.join("moved")).unwrap();
        assert_eq!(names(at), ["moved"]);
        assert_eq!(fs::read(at.join("moved/deep/er/x")).unwrap(), b"new");
        fs::remove_dir_all(at.join("moved")).unwrap();
        assert!(names(root).is_empty());
    });
}

#[test]
fn attributes_and_links_of_sshfs_are_those_of_the_server() {
    mounted(|at, root| {
        fs::write(at.join("f"), "content").unwrap();
        fs::set_permissions(at.join("f"), Permissions::from_mode(0o640)).unwrap();
        let file = OpenOptions::new().write(true).open(at.join("f")).unwrap();
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(981_173_106);
        file.set_modified(modified).unwrap();
        drop(file);
        for place in [at, root] {
            let found = fs::metadata(place.join("f")).unwrap();
            assert_eq!(found.mode() & 0o7777, 0o640);
            assert_eq!((found.mtime(), found.len()), (981_173_106, 7));
        }
        symlink("f", at.join("link")).unwrap();
        assert!(symlink("f", at.join("link")).is_err());
        for place in [at, root] {
            let target = fs::read_link(place.join("link")).unwrap();
            assert_eq!(target, Path::new("f"));
            assert_eq!(fs::read(place.join("link")).unwrap(), b"content");
        }
        // What SFTP, or the server, does not do.
        assert!(fs::hard_link(at.join("f"), at.join("second")).is_err());
        let df = Command::new("df").arg("-k").arg(at).output().unwrap();
        let df = String::from_utf8(df.stdout).unwrap();
        let blocks: Vec<u64> = (df.lines().nth(1).unwrap().split_whitespace())
            .filter_map(|word| word.parse().ok())
            .collect();
        let free = rustix::fs::statvfs(root).unwrap();
        assert_eq!(blocks[0], free.f_blocks * free.f_frsize / 1024, "{df}");
    });
}
