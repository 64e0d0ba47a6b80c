//! Commands with real processes: what they get, what they print, and that all of it ends when it should.

mod measure;
mod open;
#[path = "../support/skip.rs"]
mod skip;
mod support;
mod walled;
mod workspace;
