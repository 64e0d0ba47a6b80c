//! The daemon is killed with -9 at any moment: in the middle of a write, a batch, a command, and while a client comes
//! back. No file is torn, nothing that was told is undone, nothing is done twice, and nothing is left over.

use std::path::PathBuf;
use std::time::Duration;

use agent_backend::backend::{BatchOperation, Content, ReadOptions, WriteOptions};
use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::pool;
use agent_backend::status::Status;
use agent_backend::workspace::RunOptions;
use tokio::task::JoinHandle;

use crate::proxy::Proxy;
use crate::served::{Daemon, TOKEN};
use crate::world::{Client, client, eventually, is_loss, options, wait_for};

const ROUNDS: u64 = 40;
const FILES_OF_BATCH: usize = 8;

/// What a round writes, told from every other round's by each byte.
fn content(round: u64, length: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(round % 26).unwrap());
    letter.to_string().repeat(length)
}

struct World {
    daemon: Option<Daemon>,
    proxy: Proxy,
    client: Client,
    root: PathBuf,
}

impl World {
    fn start() -> Self {
        let daemon = Daemon::with_token(&[]);
        let proxy = Proxy::to(daemon.port);
        let client = client(options(&daemon, proxy.port));
        Self {
            root: daemon.base.path().join("root"),
            daemon: Some(daemon),
            proxy,
            client,
        }
    }

    /// Kills it, and starts another in its place.
    fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
        self.proxy.cut();
        let base = std::mem::replace(&mut daemon.base, tempfile::tempdir().unwrap());
        let next = Daemon::in_directory(base, &[], |command| {
            command.env("AGENT_BACKEND_AUTH_TOKEN", TOKEN);
        });
        self.proxy.retarget(next.port);
        self.daemon = Some(next);
    }

    fn on_disk(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }

    fn write(&self, name: &str, content: String) -> Call<()> {
        let content = Content::owned(content.into_bytes());
        let written = self
            .client
            .workspace
            .write(name, content, WriteOptions::default());
        Call::pending(async move { written.await.map(|_| ()) })
    }
}

fn begun<T: Send + 'static>(call: Call<T>) -> JoinHandle<Result<T>> {
    pool::runtime().spawn(call)
}

/// The file is what it was or what it was to become; where that was told, it is.
#[track_caller]
fn whole(found: &str, old: &str, new: &str, told: &Result<()>) -> bool {
    match told {
        Ok(()) => assert!(found == new, "told, but not done"),
        Err(error) => {
            assert!(is_loss(error.code()), "{error}");
            assert!(found == old || found == new, "torn: {} bytes", found.len());
        }
    }
    told.is_err()
}

#[test]
fn killed_at_any_moment_nothing_is_torn_lost_or_doubled() {
    let mut world = World::start();
    world.client.connect().unwrap();
    let mut lost = [0; 3];
    let batch = |round: u64| {
        let one = |number: usize| BatchOperation::Write {
            path: format!("batch{number}").into(),
            content: Content::owned(content(round, 5_000).into_bytes()),
            options: WriteOptions::default(),
        };
        (0..FILES_OF_BATCH).map(one).collect()
    };
    for round in 1..=ROUNDS {
        let length = if round % 2 == 0 { 4 << 20 } else { 30_000 };
        let (old_file, new_file) = (world.on_disk("file"), content(round, length));
        let old_batch: Vec<String> = (0..FILES_OF_BATCH)
            .map(|number| world.on_disk(&format!("batch{number}")))
            .collect();
        let ran_before = world.on_disk("ran").lines().count();
        let workspace = world.client.workspace.clone();
        let written = begun(world.write("file", new_file.clone()));
        let batched = begun(workspace.batch(batch(round)));
        let run = begun(workspace.run("echo ran >> ran", RunOptions::default()));
        let read = begun(workspace.read("kept", ReadOptions::default()));
        std::thread::sleep(Duration::from_micros(round * 500));
        world.kill();
        if round % 3 == 0 {
            // In the middle of coming back.
            std::thread::sleep(Duration::from_millis(round % 13));
            world.kill();
        }
        let told = wait_for(written).unwrap();
        let told_batch = wait_for(batched).unwrap();
        let told_run = wait_for(run).unwrap();
        if let Err(error) = wait_for(read).unwrap() {
            use agent_backend::error::ErrorCode::NotFound;
            assert!(is_loss(error.code()) || error.code() == NotFound, "{error}");
        }
        world.client.reaches(Status::Connected);
        let torn = whole(&world.on_disk("file"), &old_file, &new_file, &told);
        lost[0] += u32::from(torn);
        for (number, old) in old_batch.iter().enumerate() {
            let found = world.on_disk(&format!("batch{number}"));
            let told = match &told_batch {
                Ok(parts) => parts[number].as_ref().map(|_| ()).map_err(Clone::clone),
                Err(error) => Err(error.clone()),
            };
            lost[1] += u32::from(whole(&found, old, &content(round, 5_000), &told));
        }
        // What is killed with the daemon ends with it; what was told has run, once.
        let ran = world.on_disk("ran").lines().count() - ran_before;
        match told_run {
            Ok(output) => assert_eq!((output.exit_code, ran), (Some(0), 1)),
            Err(error) => {
                lost[2] += 1;
                assert!(is_loss(error.code()), "{error}");
                assert!(ran <= 1, "it ran {ran} times");
            }
        }
        world.client.put("kept", &round.to_string()).unwrap();
        assert_eq!(world.client.get("kept").unwrap(), round.to_string());
    }
    assert!(
        lost.iter().all(|count| *count > 3),
        "the kills hit nothing: {lost:?}"
    );
    let unknown = || {
        let all = std::fs::read_dir(&world.root).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let known = |name: &String| {
            ["file", "ran", "kept"].contains(&name.as_str()) || name.starts_with("batch")
        };
        names.filter(|name| !known(name)).collect::<Vec<_>>()
    };
    eventually("nothing is left over", || unknown().is_empty());
    world.client.destroy();
}
