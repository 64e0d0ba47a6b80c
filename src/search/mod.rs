//! Finding by name and by content, shared by every backend that has the files at hand.
//!
//! The matchers are pure: they judge names and bytes, and never open anything. The walker feeds them from directory
//! handles ([`search_directory`], for files on a disk), [`search_entries`] from values in memory. What is found comes
//! back in one order everywhere ([`path_order`]), and a search that a bound cuts short gives the first results of
//! that order, not whichever a thread came across first.

mod collect;
mod entries;
mod glob;
mod grep;
mod ignore_files;
mod order;
mod pattern;
mod plan;
mod stop;
#[cfg(target_os = "linux")]
mod walk;

pub use entries::{SearchEntry, search_entries};
pub use glob::{Excludes, FileGlobs, PathGlob};
pub use grep::{FileLines, Grep, GrepBounds};
pub use ignore_files::{IGNORE_FILE_NAMES, IgnoreChain, IgnoreRules};
pub use order::path_order;
#[cfg(target_os = "linux")]
pub use walk::{Hidden, search_directory};
