//! Searches over real trees, through directory handles.

#![allow(
    clippy::unwrap_used,
    reason = "a test may say what it takes for granted"
)]

mod bounds;
mod matching;
mod races;
mod support;
mod workspace;
