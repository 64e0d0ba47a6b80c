//! How long to wait before the next attempt.

use std::time::Duration;

use super::options::Reconnection;
use crate::error::{Error, ErrorCode};

/// The waits of one series of attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    options: Reconnection,
    attempts: u32,
    delay_ms: f64,
    last: Option<Error>,
}

impl Backoff {
    pub(super) fn new(options: &Reconnection) -> Self {
        Self {
            options: *options,
            attempts: 0,
            delay_ms: as_ms(options.initial_delay_ms),
            last: None,
        }
    }

    /// The wait before the next attempt; `None` after the last. Of many clients that lost one server at the same
    /// moment, not all come back at the same moment: the wait is up to a quarter shorter or longer, by chance.
    pub(super) fn next(&mut self) -> Option<Duration> {
        if self.options.max_retries != 0 && self.attempts >= self.options.max_retries {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        let longest = as_ms(self.options.max_delay_ms);
        let delay = self.delay_ms.min(longest);
        self.delay_ms = (self.delay_ms * self.options.backoff_multiplier).min(longest);
        Some(Duration::from_secs_f64(delay * chance() / 1_000.0))
    }

    /// Remembers why the last attempt failed.
    pub(super) fn failed(&mut self, error: Error) {
        self.last = Some(error);
    }

    /// What to say after the last attempt.
    pub(super) fn into_error(self) -> Error {
        let attempts = self.attempts;
        match self.last {
            Some(error) => Error::new(
                error.code(),
                format!(
                    "the connection was lost, and {attempts} attempts to make it again failed; the last: {}",
                    error.message()
                ),
            )
            .with_source(error),
            None => Error::new(ErrorCode::ConnectionClosed, "the connection was lost"),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "times of a day at most")]
fn as_ms(ms: u64) -> f64 {
    ms as f64
}

/// From 0.75 to 1.25.
fn chance() -> f64 {
    let random = crate::sys::linux::random::random::<2>().unwrap_or([128, 0]);
    0.75 + f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_end_after_the_last() {
        let mut backoff = Backoff::new(&Reconnection {
            max_delay_ms: 3_000,
            ..Reconnection::default()
        });
        let waits: Vec<f64> = std::iter::from_fn(|| backoff.next())
            .map(|delay| delay.as_secs_f64())
            .collect();
        assert_eq!(waits.len(), 5);
        for (wait, expected) in waits.iter().zip([1.0, 2.0, 3.0, 3.0, 3.0]) {
            assert!(
                (expected * 0.74..=expected * 1.26).contains(wait),
                "{waits:?}"
            );
        }
        backoff.failed(Error::new(ErrorCode::ConnectionFailed, "nothing listens"));
        let error = backoff.into_error();
        assert!(error.message().contains("5 attempts"), "{error}");
        assert!(error.message().contains("nothing listens"), "{error}");
    }

    #[test]
    fn no_bound_on_attempts_means_no_end_and_no_overflow() {
        let mut backoff = Backoff::new(&Reconnection {
            max_retries: 0,
            backoff_multiplier: 1e300,
            ..Reconnection::default()
        });
        assert!((0..10_000).all(|_| backoff.next().is_some_and(|wait| wait.as_secs() < 60)));
    }
}
