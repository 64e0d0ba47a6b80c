//! Whether a command behind a kernel wall was run at all, which only its launcher knows.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use super::plan::Walled;
use super::running::Nesting;
use super::staged::Group;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::spawn::Ended;
use crate::sys::linux::spawn_tree;

/// To be asked once, when the main process has ended, with its end and the beginning of its standard error, where a
/// launcher says why it failed.
pub(super) type Verdict = Box<dyn FnOnce(Ended, &[u8]) -> Judged + Send>;

/// What became of a command.
pub(super) struct Judged {
    /// Its end, or why it was not run at all.
    pub(super) ended: Result<Ended>,
    /// Readable when all has ended that it left in its sandbox; nothing where it left nothing.
    pub(super) left: Option<OwnedFd>,
}

/// That of a command behind a wall. Holds on to what must stay reachable until its launcher has ended.
pub(super) fn of(wall: Walled, staged: Option<Group>) -> Verdict {
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
        let left = match nesting {
            Nesting::Sandboxed => first_process(&report).and_then(spawn_tree::busy_first_process),
            Nesting::Supervised | Nesting::Flat => None,
        };
        let ended = match ran || matches!(ended, Ended::Signal(_)) {
            true => Ok(ended),
            false => Err(Error::new(
                ErrorCode::ExecError,
                format!(
                    "the sandbox could not be made: {}",
                    String::from_utf8_lossy(stderr).trim()
                ),
            )),
        };
        Judged { ended, left }
    })
}

/// The first process of a sandbox, as bubblewrap tells it.
fn first_process(report: &[u8]) -> Option<i32> {
    let report = std::str::from_utf8(report).ok()?;
    let (_, number) = report.split_once("\"child-pid\":")?;
    let number = number.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit());
    number.get(..end.unwrap_or(number.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_first_process_is_read_or_there_is_none() {
        let report = b"{ \"child-pid\": 4711, \"net-namespace\": 9 }\n{ \"exit-code\": 0 }\n";
        assert_eq!(first_process(report), Some(4711));
        for damaged in [
            &b""[..],
            b"{ \"child-pid\": ",
            b"{ \"child-pid\": x }",
            b"\xff",
        ] {
            assert_eq!(first_process(damaged), None);
        }
    }
}
