//! Searches: the handles that they start from, and what they must not show.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::place::{Effect, Place};
use crate::backend::search::{SearchOutcome, SearchRequest};
use crate::call::Call;
use crate::path::RelPath;
use crate::search;
use crate::sys::linux::beneath;
use crate::sys::linux::directory::could_be_temporary;
use crate::sys::linux::journal::{Journal, Record};

/// How long what other processes recorded is believed to be all.
const RECORDS_AGE: Duration = Duration::from_millis(5);

/// Searches on the pool, from a handle opened beneath the scope.
pub(super) fn search(place: &Arc<Place>, request: SearchRequest) -> Call<SearchOutcome> {
    let state_dir = place.state_dir();
    place.call(Effect::Reads, None, move |boundary, how| {
        let open = |path: &RelPath, flags| beneath::open(boundary, path, flags, Mode::empty(), how);
        let base = open(&request.base, OFlags::RDONLY)?;
        let mut above = Vec::new();
        if request.respect_gitignore {
            let mut at = request.base.clone();
            while let Some((parent, _)) = at.split_last() {
                above.push(open(&parent, OFlags::RDONLY | OFlags::DIRECTORY)?);
                at = parent;
            }
            above.reverse();
        }
        let records = Records::new(state_dir.as_deref());
        let hide = |name: &[u8], ino: u64| could_be_temporary(name) && records.hold(name, ino);
        Ok(search::search_directory(
            base,
            &request.base,
            &above,
            &request,
            &hide,
        )?)
    })
}

/// The temporaries of unfinished writes, read when a name first looks like one.
struct Records<'a> {
    state_dir: Option<&'a Path>,
    read: Mutex<Option<(Instant, Vec<Record>)>>,
}

impl<'a> Records<'a> {
    fn new(state_dir: Option<&'a Path>) -> Self {
        Self {
            state_dir,
            read: Mutex::new(None),
        }
    }

    fn hold(&self, name: &[u8], ino: u64) -> bool {
        let Some(state_dir) = self.state_dir else {
            return false;
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, records)) = &*read
            && records.iter().any(|record| record.has_inode(name, ino))
        {
            return true;
        }
        if read
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < RECORDS_AGE)
        {
            return false;
        }
        let records = Journal::records(state_dir);
        let held = records.iter().any(|record| record.has_inode(name, ino));
        *read = Some((Instant::now(), records));
        held
    }
}
