//! The link between our client and our daemon, both sides in this process: what each makes of garbage, and what becomes
//! of calls, files and commands when the connection ends at any byte. That the backend over it does what every backend
//! does is tried in `tests/behaviour`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod cuts;
mod garbage;
mod hostile;
#[path = "../support/in_process.rs"]
mod in_process;
mod memory;
mod pending;
mod rules;
mod transfers;
mod world;

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;
