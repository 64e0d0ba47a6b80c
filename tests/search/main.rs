//! Searches over real trees, through directory handles.

mod bounds;
mod matching;
mod races;
mod support;
