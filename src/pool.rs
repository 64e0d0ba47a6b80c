//! Threads for work that may block, and the runtime for work that waits.
//!
//! Both live as long as the process: nothing of a caller's is kept in them, and a command's `PDEATHSIG` is tied to
//! the thread that started it, so such a thread must never end. The pool is our own because a hand-over to it costs
//! a third of tokio's `spawn_blocking`.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::error::{Error, ErrorCode, Result};

type Job = Box<dyn FnOnce() + Send + 'static>;

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    idle: usize,
    threads: usize,
}

struct Pool {
    state: Mutex<State>,
    wake: Condvar,
    max_threads: usize,
}

static POOL: OnceLock<Pool> = OnceLock::new();

fn pool() -> &'static Pool {
    POOL.get_or_init(|| Pool {
        state: Mutex::default(),
        wake: Condvar::new(),
        max_threads: std::thread::available_parallelism().map_or(8, |n| (n.get() * 2).clamp(8, 64)),
    })
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&'static self, job: Job) {
        let mut state = self.lock();
        state.queue.push_back(job);
        // A thread is added only when the idle ones cannot take all that waits.
        if state.queue.len() > state.idle && state.threads < self.max_threads {
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
        } else {
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Where not even one thread can be had, late on the caller's thread is better than never.
    fn work_here_if_alone(&self) {
        loop {
            let mut state = self.lock();
            if state.threads > 0 {
                return;
            }
            let Some(job) = state.queue.pop_front() else {
                return;
            };
            drop(state);
            job();
        }
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                job();
                state = self.lock();
            } else {
                state.idle += 1;
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
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

fn internal_error() -> Error {
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
