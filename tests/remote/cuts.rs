//! The connection ends after any number of bytes: every call ends too, with what it promises or with
//! `CONNECTION_CLOSED`, and files are what they were or what they were to become.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agent_backend::backend::remote::Ours;
use agent_backend::backend::remote::link::Link;
use agent_backend::backend::remote::progress::Progress;
use agent_backend::backend::{ListOptions, ReadOptions, RenameOptions, WriteOptions};
use agent_backend::daemon::command_channel;
use agent_backend::daemon::sftp::{self, SymlinkOrder};
use agent_backend::error::{ErrorCode, Result};
use agent_backend::path::RelPath;
use agent_backend::pool;
use agent_backend::wire::operations::{Answer, Operation, Request};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::world::World;

const OLD: &str = "what was there before";

/// How many bytes may still pass, in both directions together.
struct Budget {
    left: AtomicUsize,
    passed: AtomicUsize,
    spent: CancellationToken,
}

impl Budget {
    fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(bytes),
            passed: AtomicUsize::new(0),
            spent: CancellationToken::new(),
        })
    }

    /// How many of so many bytes may pass.
    fn take(&self, wanted: usize) -> usize {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(left.saturating_sub(wanted))
            });
        let taken = wanted.min(before.unwrap());
        self.passed.fetch_add(taken, Ordering::SeqCst);
        if taken < wanted {
            self.spent.cancel();
        }
        taken
    }
}

/// Passes bytes on until the budget is spent; then both ends are dropped.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    budget: Arc<Budget>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            () = budget.spent.cancelled() => return,
        };
        let may = budget.take(read);
        if read == 0 || to.write_all(&buffer[..may]).await.is_err() || may < read {
            budget.spent.cancel();
            return;
        }
    }
}

/// A link whose operations pass a budget of bytes.
async fn link(world: &World, budget: &Arc<Budget>) -> Result<Arc<dyn Link>> {
    let (near, middle_near) = tokio::io::duplex(64 << 10);
    let (middle_far, far) = tokio::io::duplex(64 << 10);
    let (near_commands, far_commands) = tokio::io::duplex(1024);
    tokio::spawn(sftp::serve(world.session(), SymlinkOrder::default(), far));
    tokio::spawn(command_channel::serve(world.session(), far_commands));
    let (near_reader, near_writer) = tokio::io::split(middle_near);
    let (far_reader, far_writer) = tokio::io::split(middle_far);
    tokio::spawn(pass(near_reader, far_writer, Arc::clone(budget)));
    tokio::spawn(pass(far_reader, near_writer, Arc::clone(budget)));
    Ours::open(near, near_commands, CancellationToken::new()).await
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

async fn ask(link: &Arc<dyn Link>, operation: Operation) -> Result<Answer> {
    let scope = RelPath::root();
    let asked = link.request(Request { scope, operation }, Progress::default());
    let answered = tokio::time::timeout(Duration::from_secs(20), asked).await;
    // A call that never ends.
    answered.unwrap()
}

fn write(name: &str, content: Bytes) -> Operation {
    Operation::Write {
        path: path(name),
        content,
        options: WriteOptions::default(),
    }
}

fn read(name: &str) -> Operation {
    Operation::Read {
        path: path(name),
        options: ReadOptions::default(),
    }
}

/// What is left of a conversation: which calls said that they were done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    written: bool,
    renamed: bool,
    batch: bool,
    all: bool,
}

/// A few calls, one after another, up to the first that fails.
async fn converse(world: &World, budget: &Arc<Budget>, new: &Bytes) -> (Told, Result<()>) {
    let mut told = Told::default();
    let ended = async {
        let link = link(world, budget).await?;
        ask(&link, write("a", new.clone())).await?;
        told.written = true;
        let Answer::Read { outcome, rest } = ask(&link, read("a")).await? else {
            panic!("not what was asked for");
        };
        // Never an empty success, and never a part.
        assert!(outcome.bytes == *new && rest.is_none());
        let rename = Operation::Rename {
            from: path("b"),
            to: path("c"),
            options: RenameOptions::default(),
        };
        ask(&link, rename).await?;
        told.renamed = true;
        let list = Operation::List {
            path: RelPath::root(),
            options: ListOptions { with_stat: true },
        };
        let Answer::List(entries) = ask(&link, list).await? else {
            panic!("not what was asked for");
        };
        let names: Vec<_> = entries.iter().map(|entry| &entry.name[..]).collect();
        assert_eq!(names, [b"a", b"c"]);
        let both = Operation::Batch(vec![
            write("d", Bytes::from_static(b"1")),
            write("e", Bytes::from_static(b"2")),
        ]);
        let Answer::Batch(answers) = ask(&link, both).await? else {
            panic!("not what was asked for");
        };
        for answer in answers {
            answer?;
            told.batch = true;
        }
        told.all = true;
        Ok(())
    }
    .await;
    (told, ended)
}

/// Tries one cut; gives how many bytes passed and whether the conversation came to its end.
fn cut_after(bytes: usize, new: &Bytes) -> (usize, bool) {
    let world = World::new();
    world.put("a", OLD);
    world.put("b", OLD);
    let budget = Budget::new(bytes);
    let (told, ended) = pool::runtime().block_on(converse(&world, &budget, new));
    if let Err(error) = ended {
        assert_eq!(
            error.code(),
            ErrorCode::ConnectionClosed,
            "after {bytes}: {error}"
        );
    }
    // What the daemon had begun it ends, or gives up; nobody sees a part of it.
    let now = world.get("a");
    assert!(
        now == OLD || now.as_bytes() == *new,
        "after {bytes}: {} bytes",
        now.len()
    );
    assert!(
        !told.written || now.as_bytes() == *new,
        "after {bytes}: a lost write"
    );
    let renamed = world.root().join("c").exists();
    assert!(!told.renamed || renamed, "after {bytes}: a lost rename");
    assert!(renamed != world.root().join("b").exists());
    assert!(!told.batch || world.get("d") == "1");
    (budget.passed.load(Ordering::SeqCst), told.all)
}

#[test]
fn a_conversation_that_is_cut_at_any_byte_tells_no_untruth() {
    let new = Bytes::from("what is there afterwards, and somewhat longer");
    let (length, is_whole) = cut_after(usize::MAX, &new);
    assert!(is_whole);
    let mut whole = 0;
    for bytes in 0..=length {
        whole += usize::from(cut_after(bytes, &new).1);
    }
    println!("a conversation of {length} bytes, cut after each: {whole} came to the end");
    // All that the last cuts may leave out is what nobody waits for.
    assert!((1..=32).contains(&whole), "{whole}");
}

#[test]
fn a_large_write_that_is_cut_is_all_there_or_not_at_all() {
    let new = Bytes::from(vec![b'x'; (1 << 20) + 300_000]);
    let (length, is_whole) = cut_after(usize::MAX, &new);
    assert!(is_whole);
    // The beginning of each packet, and its end, are near a multiple of the length of a piece.
    let pieces = (0..=length / (256 << 10)).map(|piece| piece * (256 << 10));
    let around = pieces.flat_map(|at| (0..14).map(move |step| at + step * 37));
    let through = (0..40).map(|step| length / 40 * step);
    for bytes in around.chain(through).chain([length]) {
        cut_after(bytes, &new);
    }
}
