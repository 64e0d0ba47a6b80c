//! Hooks for tests: functions that remember what they were asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent_backend::access::{AccessHook, AccessRequest, Decision};
use agent_backend::call::{BoxFuture, Call};

type Answer = Box<dyn Fn(&AccessRequest) -> BoxFuture<Decision> + Send + Sync>;

/// A hook that is a function, and remembers what it was asked.
pub struct Hook {
    asked: Mutex<Vec<AccessRequest>>,
    /// Answers that are awaited right now.
    waiting: Arc<AtomicUsize>,
    answer: Answer,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AccessHook for Hook {
    fn ask(&self, request: AccessRequest) -> BoxFuture<Decision> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Waiting(Arc::clone(&self.waiting));
        let answer = (self.answer)(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(async move {
            let _waiting = waiting;
            answer.await
        })
    }
}

impl Hook {
    pub fn new(
        answer: impl Fn(&AccessRequest) -> BoxFuture<Decision> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            waiting: Arc::default(),
            answer: Box::new(answer),
        })
    }

    pub fn always(decision: Decision) -> Arc<Self> {
        Self::new(move |_| Box::pin(std::future::ready(decision.clone())))
    }

    pub fn never() -> Arc<Self> {
        Self::new(|_| Box::pin(std::future::pending()))
    }

    pub fn asked(&self) -> Vec<AccessRequest> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

/// Begins a call and waits until its question was asked.
pub fn asked<T: Send + 'static>(
    hook: &Hook,
    call: Call<T>,
) -> tokio::task::JoinHandle<agent_backend::error::Result<T>> {
    let task = agent_backend::pool::runtime().spawn(call);
    let deadline = Instant::now() + Duration::from_secs(5);
    while hook.waiting() == 0 {
        assert!(Instant::now() < deadline, "nobody asked");
        std::thread::sleep(Duration::from_millis(1));
    }
    task
}

pub fn forgotten(hook: &Hook) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while hook.waiting() > 0 {
        assert!(Instant::now() < deadline, "the question is still open");
        std::thread::sleep(Duration::from_millis(1));
    }
}
