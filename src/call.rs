//! What a backend call gives back: its result where it could finish without blocking, a future where not.
//!
//! A cached read costs less than the switch to another thread and back, so a backend answers it on the caller's
//! thread. Everything that might wait for a disk, a lock or a network is `Pending` and does its work elsewhere
//! ([`crate::pool`], tokio): polling a pending call never blocks and never computes for long, because one door
//! polls it on the event loop of its host.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::pool;

/// A future that can be moved between threads and owns all it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The outcome of a call, now or later.
#[must_use = "a call that is neither awaited nor returned is cancelled"]
pub enum Call<T> {
    /// It finished without blocking.
    Ready(Result<T>),
    /// It goes on elsewhere; dropping it cancels what can be cancelled.
    Pending(BoxFuture<Result<T>>),
}

impl<T: Send + 'static> Call<T> {
    /// A call that succeeded at once.
    pub fn ok(value: T) -> Self {
        Call::Ready(Ok(value))
    }

    /// A call that failed at once.
    pub fn err(error: Error) -> Self {
        Call::Ready(Err(error))
    }

    /// A call that goes on as this future.
    pub fn pending(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Call::Pending(Box::pin(future))
    }

    /// A call whose work may block: it runs on the pool.
    pub fn blocking(work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Call::pending(pool::run(work))
    }

    /// A call whose work goes on in the runtime, so that whoever polls it only ever takes the result. Dropped, the work
    /// stops, and with it what it holds.
    pub fn spawned(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Call::pending(Spawned(pool::runtime().spawn(work)))
    }

    /// Transforms the outcome. `f` must be cheap: it may run on an event loop (see [`Call::map_blocking`]).
    pub fn then<U: Send + 'static>(
        self,
        f: impl FnOnce(Result<T>) -> Result<U> + Send + 'static,
    ) -> Call<U> {
        match self {
            Call::Ready(result) => Call::Ready(f(result)),
            Call::Pending(future) => Call::pending(async move { f(future.await) }),
        }
    }

    /// Transforms a success; `f` must be cheap.
    pub fn map<U: Send + 'static>(self, f: impl FnOnce(T) -> U + Send + 'static) -> Call<U> {
        self.then(|result| result.map(f))
    }

    /// Transforms a failure, for instance to add the path.
    pub fn map_err(self, f: impl FnOnce(Error) -> Error + Send + 'static) -> Call<T> {
        match self {
            Call::Ready(Ok(value)) => Call::Ready(Ok(value)),
            Call::Ready(Err(error)) => Call::Ready(Err(f(error))),
            Call::Pending(future) => Call::pending(async move { future.await.map_err(f) }),
        }
    }

    /// Transforms a success with work that takes long: a pending call does it on the pool. A call that was ready
    /// does it at once, since a backend answers at once only what is small.
    pub fn map_blocking<U: Send + 'static>(
        self,
        f: impl FnOnce(T) -> Result<U> + Send + 'static,
    ) -> Call<U> {
        match self {
            Call::Ready(result) => Call::Ready(result.and_then(f)),
            Call::Pending(future) => Call::pending(async move {
                let value = future.await?;
                pool::run(move || f(value)).await
            }),
        }
    }

    /// Goes on with another call after a success.
    pub fn and_then<U: Send + 'static>(
        self,
        f: impl FnOnce(T) -> Call<U> + Send + 'static,
    ) -> Call<U> {
        match self {
            Call::Ready(Ok(value)) => f(value),
            Call::Ready(Err(error)) => Call::Ready(Err(error)),
            Call::Pending(future) => Call::pending(async move { f(future.await?).await }),
        }
    }
}

/// A task that ends when it is dropped.
struct Spawned<T>(JoinHandle<Result<T>>);

impl<T> Future for Spawned<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let joined = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(joined.unwrap_or_else(|_| Err(pool::internal_error())))
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: 'static> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Call::Pending(future) = this {
            return future.as_mut().poll(context);
        }
        match std::mem::replace(this, Call::Pending(Box::pin(std::future::pending()))) {
            Call::Ready(result) => Poll::Ready(result),
            Call::Pending(_) => Poll::Pending,
        }
    }
}

// The result is moved out whole, never pinned.
impl<T> Unpin for Call<T> {}

impl<T> From<Result<T>> for Call<T> {
    fn from(result: Result<T>) -> Self {
        Call::Ready(result)
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Ready(Ok(_)) => "Call::Ready(Ok)",
            Call::Ready(Err(_)) => "Call::Ready(Err)",
            Call::Pending(_) => "Call::Pending",
        })
    }
}
