//! Whether a command behind a kernel wall was run at all, which only its launcher knows.

use std::fs::File;
use std::io::Read as _;

use super::plan::Walled;
use super::pump;
use super::running::Nesting;
use super::staged::Group;
use crate::error::{Error, ErrorCode};
use crate::sys::linux::spawn::Ended;

/// To be asked when the launcher has ended. Holds on to what must stay reachable until then.
pub(super) fn of(wall: Walled, staged: Option<Group>) -> pump::Verdict {
    Box::new(move |ended, stderr| {
        let Walled {
            status,
            nesting,
            etc,
            masks,
            way_out,
        } = wall;
        drop((staged, etc, masks, way_out));
        let mut report = Vec::new();
        // The end of the pipe may be held by nobody or by a dying process: what is there is enough.
        let _ = File::from(status).read_to_end(&mut report);
        let ran = match nesting {
            // bubblewrap tells the exit code of what it ran.
            Nesting::Sandboxed => report.windows(11).any(|window| window == b"\"exit-code\""),
            // Our own launcher tells when it failed.
            Nesting::Supervised | Nesting::Flat => report.is_empty(),
        };
        if ran || matches!(ended, Ended::Signal(_)) {
            return Ok(ended);
        }
        let why = String::from_utf8_lossy(stderr);
        Err(Error::new(
            ErrorCode::ExecError,
            format!("the sandbox could not be made: {}", why.trim()),
        ))
    })
}
