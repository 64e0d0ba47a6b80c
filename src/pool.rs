//! Threads for work that may block, and the runtime for work that waits.
//!
//! Both live as long as the process: nothing of a caller's is kept in them, and a command's `PDEATHSIG` is tied to
//! the thread that started it, so such a thread must never end. The pool is our own because a hand-over to it costs
//! a third of tokio's `spawn_blocking`.

mod parts;
mod slots;

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

pub use parts::by_parts;
pub use slots::{ScopeSlots, Slots, Work};

use crate::error::{Error, ErrorCode, Result};

type Job = Box<dyn FnOnce() + Send + 'static>;

/// How long a thread that has just finished a job looks for the next one before it sleeps. Waking a sleeping thread
/// costs the caller and the job a few microseconds each, as much as a small write itself.
const SPIN: Duration = Duration::from_micros(50);
/// How often a looking thread reads the clock.
const LOOKS_PER_CLOCK: u32 = 32;
/// After fruitless looks, so many jobs at most are finished without another.
const LONGEST_PAUSE: u32 = 63;

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that sleep. The one that slept last is woken first: its caches are warm.
    idle: Vec<Arc<Sleeper>>,
    threads: usize,
    /// One thread at most is awake and looks for a job.
    looking: bool,
}

struct Sleeper {
    thread: Thread,
    woken: AtomicBool,
}

struct Pool {
    state: Mutex<State>,
    /// The length of the queue, for the thread that looks at it without the lock.
    queued: AtomicUsize,
    /// How many jobs to finish before looking again, and how many after the next fruitless look.
    pause: AtomicU32,
    next_pause: AtomicU32,
    max_threads: usize,
    may_look: bool,
}

static POOL: OnceLock<Pool> = OnceLock::new();

fn pool() -> &'static Pool {
    POOL.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(4, usize::from);
        Pool::new((processors * 2).clamp(8, 64), processors > 1)
    })
}

/// The most threads that work at once.
#[must_use]
pub fn max_threads() -> usize {
    pool().max_threads
}

impl Pool {
    fn new(max_threads: usize, may_look: bool) -> Self {
        Pool {
            state: Mutex::default(),
            queued: AtomicUsize::new(0),
            pause: AtomicU32::new(0),
            next_pause: AtomicU32::new(0),
            max_threads,
            may_look,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&'static self, job: Job) {
        let mut state = self.lock();
        state.queue.push_back(job);
        self.queued.store(state.queue.len(), Ordering::Release);
        if state.looking && state.queue.len() == 1 {
            // The thread that looks takes it: before it sleeps it looks once more with the lock held.
            return;
        }
        if let Some(sleeper) = state.idle.pop() {
            drop(state);
            sleeper.woken.store(true, Ordering::Release);
            sleeper.thread.unpark();
        } else if state.threads < self.max_threads {
            state.threads += 1;
            let number = state.threads;
            drop(state);
            let started = std::thread::Builder::new()
                .name(format!("agent-backend-{number}"))
                .spawn(move || self.work());
            if started.is_err() {
                self.lock().threads -= 1;
                self.work_here_if_alone();
            }
        }
    }

    /// Where not even one thread can be had, late on the caller's thread is better than never.
    fn work_here_if_alone(&self) {
        loop {
            let mut state = self.lock();
            if state.threads > 0 {
                return;
            }
            let Some(job) = self.take(&mut state) else {
                return;
            };
            drop(state);
            job();
        }
    }

    fn take(&self, state: &mut State) -> Option<Job> {
        let job = state.queue.pop_front();
        self.queued.store(state.queue.len(), Ordering::Release);
        job
    }

    fn work(&self) {
        let me = Arc::new(Sleeper {
            thread: std::thread::current(),
            woken: AtomicBool::new(false),
        });
        let mut state = self.lock();
        let mut has_worked = false;
        loop {
            if let Some(job) = self.take(&mut state) {
                drop(state);
                job();
                has_worked = true;
                state = self.lock();
            } else if has_worked && !state.looking && self.is_worth_looking() {
                state.looking = true;
                drop(state);
                let found = self.look();
                state = self.lock();
                state.looking = false;
                self.learn(found);
                has_worked = false;
            } else {
                has_worked = false;
                state.idle.push(Arc::clone(&me));
                drop(state);
                while !me.woken.swap(false, Ordering::Acquire) {
                    std::thread::park();
                }
                state = self.lock();
            }
        }
    }

    /// Looking pays where calls follow each other; where they do not, it is tried ever more seldom.
    fn is_worth_looking(&self) -> bool {
        if !self.may_look {
            return false;
        }
        let pause = self.pause.load(Ordering::Relaxed);
        if pause > 0 {
            self.pause.store(pause - 1, Ordering::Relaxed);
        }
        pause == 0
    }

    fn learn(&self, found: bool) {
        let next = if found {
            0
        } else {
            let last = self.next_pause.load(Ordering::Relaxed);
            (last * 2 + 1).min(LONGEST_PAUSE)
        };
        self.next_pause.store(next, Ordering::Relaxed);
        self.pause.store(next, Ordering::Relaxed);
    }

    /// Waits awake for a job, for a moment; whether there is one.
    fn look(&self) -> bool {
        let until = Instant::now() + SPIN;
        loop {
            for _ in 0..LOOKS_PER_CLOCK {
                if self.queued.load(Ordering::Acquire) > 0 {
                    return true;
                }
                std::hint::spin_loop();
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }
}

/// Runs work that may block on a thread of the pool. A panic in it is an `IO_ERROR`, never the end of the process.
/// Dropping the future does not stop work that has begun.
pub fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send + 'static {
    let (sender, receiver) = oneshot::channel();
    pool().submit(Box::new(move || {
        if sender.is_closed() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(internal_error()));
        let _ = sender.send(result);
    }));
    async move { receiver.await.unwrap_or_else(|_| Err(internal_error())) }
}

/// Runs work on the pool whose result nobody waits for.
pub fn detach(work: impl FnOnce() + Send + 'static) {
    pool().submit(Box::new(move || {
        let _ = catch_unwind(AssertUnwindSafe(work));
    }));
}

pub(crate) fn internal_error() -> Error {
    Error::new(
        ErrorCode::IoError,
        "an internal error ended the operation; please report it",
    )
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The tokio runtime of the process, for timers, pipes and sockets.
///
/// # Panics
/// Where the operating system cannot even start one thread.
#[must_use]
pub fn runtime() -> &'static Handle {
    RUNTIME
        .get_or_init(|| {
            #[allow(
                clippy::expect_used,
                reason = "without a runtime there is nothing to go on with"
            )]
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("agent-backend-io")
                .enable_all()
                .build()
                .expect("the operating system can start a thread")
        })
        .handle()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_job_is_an_error_and_the_pool_goes_on() {
        runtime().block_on(async {
            let failed = run::<()>(|| panic!("boom")).await;
            assert_eq!(failed.unwrap_err().code(), ErrorCode::IoError);
            assert_eq!(run(|| Ok(7)).await.unwrap(), 7);
        });
    }

    #[test]
    fn an_idle_pool_uses_no_processor_time() {
        // A pool of its own: the other tests keep that of the process busy.
        let own: &'static Pool = Box::leak(Box::new(Pool::new(2, true)));
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..100 {
            let sender = sender.clone();
            own.submit(Box::new(move || sender.send(()).unwrap()));
            receiver.recv().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        let state = own.lock();
        assert_eq!(state.idle.len(), state.threads);
        assert!(!state.looking);
    }

    #[test]
    fn jobs_from_many_threads_at_any_moment_all_run() {
        let own: &'static Pool = Box::leak(Box::new(Pool::new(3, true)));
        let done = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2000 {
                        let done = Arc::clone(&done);
                        own.submit(Box::new(move || {
                            done.fetch_add(1, Ordering::Relaxed);
                        }));
                        if n % 50 == 0 {
                            // About as long as a thread looks: it goes to sleep just now, or does not.
                            std::thread::sleep(SPIN);
                        }
                    }
                });
            }
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while done.load(Ordering::Relaxed) < 8000 {
            assert!(Instant::now() < deadline, "a job was forgotten");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn more_jobs_than_threads_all_finish() {
        let sum: u64 = runtime().block_on(async {
            let jobs: Vec<_> = (0..1000u64).map(|n| run(move || Ok(n))).collect();
            let mut sum = 0;
            for job in jobs {
                sum += job.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 499_500);
    }
}
