//! The two parsers that meet an attacker's text first, fuzzed through the public API: the path parser and the command
//! policy. The runs are brief and always the same, so that a failure can be repeated. Nothing is executed.

#![allow(
    clippy::expect_used,
    reason = "tests may say what they take for granted"
)]

mod commands;
mod paths;

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or(0)
    }
}
