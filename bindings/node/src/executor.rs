//! Runs the core's calls on the event loop of Node.
//!
//! A call that is ready goes back to JavaScript as its value: no promise, no hop. A pending one is polled once; if it
//! is still pending, JavaScript gets a promise and the future is polled again when its waker has said so. Work that
//! blocks or computes happens elsewhere, so a poll is short.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use agent_backend::call::{BoxFuture, Call};
use agent_backend::error::Result;
use agent_backend::pool;
use napi::sys;

use crate::environment::Environment;
use crate::error;
use crate::queue::{TaskId, TaskWaker};

/// How long one turn settles calls before timers and I/O of the application get theirs.
const TURN: Duration = Duration::from_millis(2);

/// Makes a JavaScript value of a result, on the JavaScript thread; must be quick.
pub type Convert<T> = fn(&Environment, T) -> sys::napi_value;

/// A call on its way.
pub struct Task {
    /// Away while it is being polled.
    work: Option<Box<dyn Work>>,
    waker: Arc<TaskWaker>,
    deferred: sys::napi_deferred,
}

/// A future together with what makes a JavaScript value of its result.
trait Work {
    /// `Err` holds the JavaScript error to reject with.
    fn poll(&mut self, context: &mut Context<'_>, environment: &Environment) -> Poll<Settled>;
}

type Settled = std::result::Result<sys::napi_value, sys::napi_value>;

struct Running<T> {
    future: BoxFuture<Result<T>>,
    convert: Convert<T>,
}

impl<T> Work for Running<T> {
    fn poll(&mut self, context: &mut Context<'_>, environment: &Environment) -> Poll<Settled> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(error::internal())));
        polled.map(|result| {
            environment.deliver();
            match result {
                Ok(value) => Ok((self.convert)(environment, value)),
                Err(failure) => Err(error::to_js(environment.js, &failure)),
            }
        })
    }
}

/// Starts a call: gives its value, or throws, or gives a promise.
pub fn start<T: 'static>(
    environment: &Environment,
    call: Call<T>,
    convert: Convert<T>,
) -> sys::napi_value {
    match call {
        Call::Ready(Ok(value)) => {
            environment.deliver();
            convert(environment, value)
        }
        Call::Ready(Err(failure)) => {
            environment.deliver();
            error::throw(environment.js, &failure);
            ptr::null_mut()
        }
        Call::Pending(future) => start_pending(environment, Box::new(Running { future, convert })),
    }
}

fn start_pending(environment: &Environment, mut work: Box<dyn Work>) -> sys::napi_value {
    let id = environment.next_task();
    let waker = TaskWaker::new(Arc::clone(&environment.queue), id);
    match poll(environment, &mut *work, &waker) {
        Poll::Ready(Ok(value)) => return value,
        Poll::Ready(Err(failure)) => {
            // SAFETY: the error was made in this environment; a null one is refused.
            unsafe { sys::napi_throw(environment.js.0, failure) };
            return ptr::null_mut();
        }
        Poll::Pending => {}
    }
    let (mut deferred, mut promise) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: we are on the thread of the environment; `deferred` is settled once, by `settle`.
    unsafe { sys::napi_create_promise(environment.js.0, &mut deferred, &mut promise) };
    if deferred.is_null() {
        return ptr::null_mut();
    }
    environment.keep(
        id,
        Task {
            work: Some(work),
            waker,
            deferred,
        },
    );
    promise
}

fn poll(environment: &Environment, work: &mut dyn Work, waker: &Arc<TaskWaker>) -> Poll<Settled> {
    let _runtime = pool::runtime().enter();
    waker.rearm();
    let waker = Waker::from(Arc::clone(waker));
    work.poll(&mut Context::from_waker(&waker), environment)
}

/// One turn: polls what was woken, and settles what is done.
pub fn run_ready(environment: &Environment) {
    let until = Instant::now() + TURN;
    loop {
        environment.deliver();
        let ready = environment.queue.take_ready();
        if ready.is_empty() && !environment.queue.has_deliveries() {
            return;
        }
        for (index, &id) in ready.iter().enumerate() {
            if index > 0 && Instant::now() >= until {
                environment.queue.postpone(&ready[index..]);
                return;
            }
            environment.js.scoped(|| poll_task(environment, id));
        }
    }
}

fn poll_task(environment: &Environment, id: TaskId) {
    // Out of the table while it runs, because what it calls may start other calls; its place stays taken, so that
    // the process stays alive.
    let taken = environment
        .tasks
        .borrow_mut()
        .get_mut(&id)
        .and_then(|task| {
            let work = task.work.take()?;
            Some((work, Arc::clone(&task.waker), task.deferred))
        });
    let Some((mut work, waker, deferred)) = taken else {
        return;
    };
    match poll(environment, &mut *work, &waker) {
        Poll::Pending => {
            if let Some(task) = environment.tasks.borrow_mut().get_mut(&id) {
                task.work = Some(work);
            }
        }
        Poll::Ready(settled) => {
            settle(environment, deferred, settled);
            environment.forget(id);
        }
    }
}

fn settle(environment: &Environment, deferred: sys::napi_deferred, settled: Settled) {
    let env = environment.js.0;
    // SAFETY: the deferred is settled here alone, once; values belong to this environment.
    unsafe {
        match settled {
            Ok(value) if !value.is_null() => sys::napi_resolve_deferred(env, deferred, value),
            Ok(_) => {
                // The value could not be made. What Node threw for it is the outcome; else it is `undefined`.
                let mut exception = ptr::null_mut();
                let mut pending = false;
                sys::napi_is_exception_pending(env, &mut pending);
                if pending {
                    sys::napi_get_and_clear_last_exception(env, &mut exception);
                    sys::napi_reject_deferred(env, deferred, exception)
                } else {
                    sys::napi_resolve_deferred(env, deferred, environment.js.undefined())
                }
            }
            Err(failure) => sys::napi_reject_deferred(env, deferred, failure),
        }
    };
}
