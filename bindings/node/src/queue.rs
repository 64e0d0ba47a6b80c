//! The way back to a Node environment from other threads: one queue and one wake-up, whatever the number of calls.
//!
//! A wake-up costs a system call and a turn of the event loop, so it is sent only when nobody has sent one yet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use napi::sys;

use crate::delivery::Delivery;

/// Names a pending call within its environment.
pub type TaskId = u64;

/// What other threads have for one environment.
#[derive(Debug, Default)]
pub struct Queue {
    inbox: Mutex<Inbox>,
    returned: Condvar,
    /// Whether `inbox.deliveries` may hold something; read without the lock by every call.
    has_deliveries: AtomicBool,
}

#[derive(Debug, Default)]
struct Inbox {
    ready: Vec<TaskId>,
    deliveries: Vec<Delivery>,
    waker: Option<Waker>,
    woken: bool,
    closed: bool,
    /// JavaScript buffers that other threads are reading.
    lent: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waker(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function is made to be called from any thread; it is called only while `closed` is not set,
// under the lock, and so never after Node has freed it.
unsafe impl Send for Waker {}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what wakes the environment up.
    pub fn open(&self, waker: sys::napi_threadsafe_function) {
        self.lock().waker = Some(Waker(waker));
    }

    /// Asks for a poll of a call.
    pub fn push_ready(&self, task: TaskId) {
        let mut inbox = self.lock();
        inbox.ready.push(task);
        inbox.wake();
    }

    /// Sends something to JavaScript. It arrives before any call that ends later settles.
    pub fn push_delivery(&self, delivery: Delivery) {
        let mut inbox = self.lock();
        if inbox.closed {
            return;
        }
        inbox.deliveries.push(delivery);
        self.has_deliveries.store(true, Ordering::Release);
        inbox.wake();
    }

    /// Whether [`Queue::take_deliveries`] is worth its lock.
    pub fn has_deliveries(&self) -> bool {
        self.has_deliveries.load(Ordering::Acquire)
    }

    /// What is to be told to JavaScript now, oldest first.
    pub fn take_deliveries(&self) -> Vec<Delivery> {
        let mut inbox = self.lock();
        self.has_deliveries.store(false, Ordering::Release);
        std::mem::take(&mut inbox.deliveries)
    }

    /// The calls to poll. An empty answer ends the turn: the next push sends a wake-up again.
    pub fn take_ready(&self) -> Vec<TaskId> {
        let mut inbox = self.lock();
        if inbox.ready.is_empty() && inbox.deliveries.is_empty() {
            inbox.woken = false;
        }
        std::mem::take(&mut inbox.ready)
    }

    /// Puts back what a turn had no time for, and asks for another turn.
    pub fn postpone(&self, tasks: &[TaskId]) {
        let mut inbox = self.lock();
        inbox.ready.splice(0..0, tasks.iter().copied());
        inbox.woken = false;
        inbox.wake();
    }

    /// Counts a JavaScript buffer that another thread is about to read.
    pub fn lend(&self) {
        self.lock().lent += 1;
    }

    /// The buffer is not read any more; `delivery` frees it in its environment.
    pub fn give_back(&self, delivery: Delivery) {
        let mut inbox = self.lock();
        inbox.lent -= 1;
        if inbox.closed {
            self.returned.notify_all();
        } else {
            inbox.deliveries.push(delivery);
            self.has_deliveries.store(true, Ordering::Release);
            inbox.wake();
        }
    }

    /// From now on nothing reaches the environment.
    pub fn close(&self) {
        let mut inbox = self.lock();
        inbox.closed = true;
        inbox.waker = None;
        inbox.ready.clear();
        let deliveries = std::mem::take(&mut inbox.deliveries);
        drop(inbox);
        // Only now, because a callback that goes comes back to this queue.
        drop(deliveries);
    }

    /// Whether the environment has ended.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until no thread reads a buffer of the environment, whose memory goes away with it.
    pub fn wait_for_lent(&self) {
        let mut inbox = self.lock();
        while inbox.lent > 0 {
            inbox = self
                .returned
                .wait(inbox)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Inbox {
    fn wake(&mut self) {
        if self.woken || self.closed {
            return;
        }
        if let Some(Waker(waker)) = self.waker {
            self.woken = true;
            // SAFETY: see `Waker`. An unbounded queue never blocks.
            let status = unsafe {
                sys::napi_call_threadsafe_function(
                    waker,
                    std::ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
            if status == sys::Status::napi_closing {
                self.closed = true;
                self.waker = None;
            }
        }
    }
}

/// Wakes one pending call.
#[derive(Debug)]
pub struct TaskWaker {
    queue: Arc<Queue>,
    task: TaskId,
    queued: AtomicBool,
}

impl TaskWaker {
    /// A waker for a call of the environment that this queue leads to.
    pub fn new(queue: Arc<Queue>, task: TaskId) -> Arc<Self> {
        Arc::new(Self {
            queue,
            task,
            queued: AtomicBool::new(false),
        })
    }

    /// To be called before each poll: a wake-up from now on counts again.
    pub fn rearm(&self) {
        self.queued.store(false, Ordering::Release);
    }
}

impl std::task::Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push_ready(self.task);
        }
    }
}
