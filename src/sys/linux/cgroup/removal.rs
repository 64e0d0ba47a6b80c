//! Removes groups whose last processes are still going. The kernel refuses until they are gone, and whoever drops a
//! group must not wait for that.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What cannot be removed for so long has processes that nobody kills; the next sweep of a later process tries again.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Waiting {
    paths: Vec<(PathBuf, Instant)>,
    /// A thread is at it.
    attended: bool,
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting {
    paths: Vec::new(),
    attended: false,
});

/// Removes groups, now where that is possible.
pub(super) fn remove(paths: impl Iterator<Item = PathBuf>) {
    let busy: Vec<PathBuf> = paths.filter(|path| !is_gone(path)).collect();
    if busy.is_empty() {
        return;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting
        .paths
        .extend(busy.into_iter().map(|path| (path, deadline)));
    if !waiting.attended {
        let thread = std::thread::Builder::new().name("agent-backend-groups".to_owned());
        // Without a thread the next removal tries again.
        waiting.attended = thread.spawn(attend).is_ok();
    }
}

fn is_gone(path: &PathBuf) -> bool {
    match std::fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Tries again and again, until nothing waits any more.
fn attend() {
    let mut pause = FIRST_PAUSE;
    loop {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        waiting
            .paths
            .retain(|(path, deadline)| !is_gone(path) && now < *deadline);
        if waiting.paths.is_empty() {
            waiting.attended = false;
            return;
        }
    }
}
