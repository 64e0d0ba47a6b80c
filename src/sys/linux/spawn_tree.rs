//! Ends a process together with everything that came from it, as far as `/proc` can tell: its session, and its
//! descendants also where they made sessions of their own. What a double fork has moved under `init` *and* into
//! another session is out of reach here; a PID namespace ends that too, since all in it descend from its first process.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// How often new descendants are looked for before the kill: each look stops all that it finds, so that only a
/// process that forks between being seen and being stopped makes another look necessary.
const ROUNDS: usize = 16;

/// How long the ended processes may take to be gone; one that hangs in the kernel is not waited for.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// One line of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    /// In clock ticks since boot; with `pid` it identifies a process for good.
    started: u64,
}

/// Stops, then kills, all that came from `root`, whose number must still be its own: it was not reaped, or something of
/// its session lives. Gives handles on what was killed,
/// for [`wait_until_gone`].
#[must_use]
pub fn end_everything(root: Pid) -> Vec<OwnedFd> {
    let ended = end_family(root, |_| true);
    let _ = kill_process_group(root, Signal::KILL);
    ended
}

/// The same for all that came from `root`, without `root`.
#[must_use]
pub fn end_everything_below(root: Pid) -> Vec<OwnedFd> {
    let root_number = root.as_raw_nonzero().get();
    end_family(root, |row| row.pid != root_number)
}

fn end_family(root: Pid, wanted: impl Fn(&Row) -> bool) -> Vec<OwnedFd> {
    let mut stopped: HashMap<(i32, u64), OwnedFd> = HashMap::new();
    for _ in 0..ROUNDS {
        let mut new = 0;
        let found = family(root.as_raw_nonzero().get(), &process_table());
        for row in found.into_iter().filter(&wanted) {
            let identity = (row.pid, row.started);
            if stopped.contains_key(&identity) {
                continue;
            }
            if let Some(handle) = open(row) {
                let _ = pidfd_send_signal(&handle, Signal::STOP);
                stopped.insert(identity, handle);
                new += 1;
            }
        }
        if new == 0 {
            break;
        }
    }
    for handle in stopped.values() {
        let _ = pidfd_send_signal(handle, Signal::KILL);
    }
    stopped.into_values().collect()
}

/// Handles on the processes that share the session of `leader`, which may itself be gone.
#[must_use]
pub fn session_members(leader: Pid) -> Vec<OwnedFd> {
    let session = leader.as_raw_nonzero().get();
    process_table()
        .into_iter()
        .filter(|row| row.session == session && row.pid != session)
        .filter_map(open)
        .collect()
}

/// The process group of the command in the sandbox that `launcher` made: where a signal for the command must go, since
/// the launcher itself would only die of it. The first process of the sandbox is in that group too; the kernel spares
/// it all signals that it does not handle.
#[must_use]
pub fn sandboxed_group(launcher: Pid) -> Option<Pid> {
    group_below(launcher, 2)
}

/// A handle on the first process of a sandbox, where it has children still: it goes only after all in its namespace. Its
/// own end takes milliseconds, so one that is alone is not worth waiting for.
#[must_use]
pub fn busy_first_process(pid: i32) -> Option<OwnedFd> {
    let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let children = std::fs::read(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    if children.is_empty() {
        return None;
    }
    // The number may have passed to another process meanwhile.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    (numbers.split_whitespace().last() == Some("1")).then_some(handle)
}

/// The process group of the command whose parent, and nothing between, is `launcher`.
#[must_use]
pub fn supervised_group(launcher: Pid) -> Option<Pid> {
    group_below(launcher, 1)
}

fn group_below(launcher: Pid, generations: usize) -> Option<Pid> {
    let table = process_table();
    let launcher = launcher.as_raw_nonzero().get();
    let mut at = launcher;
    let mut group = launcher;
    for _ in 0..generations {
        let child = table.iter().find(|row| row.parent == at)?;
        (at, group) = (child.pid, child.group);
    }
    (group != launcher).then(|| Pid::from_raw(group))?
}

/// A handle on exactly the process that the row is about.
fn open(row: Row) -> Option<OwnedFd> {
    let handle = pidfd_open(Pid::from_raw(row.pid)?, PidfdFlags::empty()).ok()?;
    // The number may have passed to another process before the handle was open.
    (read_row(row.pid)?.started == row.started).then_some(handle)
}

/// Whether one of the processes has not ended yet.
#[must_use]
pub fn any_alive(handles: &[OwnedFd]) -> bool {
    let now = Timespec::default();
    handles.iter().any(|handle| {
        let mut waiting = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
        matches!(poll(&mut waiting, Some(&now)), Ok(0))
    })
}

/// Waits until the processes have ended, for some seconds at most. Blocks.
pub fn wait_until_gone(handles: &[OwnedFd]) {
    let deadline = Instant::now() + GONE_WITHIN;
    for handle in handles {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else {
            return;
        };
        let _ = poll(
            &mut [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)],
            Some(&timeout),
        );
    }
}

/// `root`, its descendants, its session, and the descendants of those.
fn family(root: i32, table: &[Row]) -> Vec<Row> {
    let mut children: HashMap<i32, Vec<Row>> = HashMap::new();
    let mut open = Vec::new();
    for row in table {
        children.entry(row.parent).or_default().push(*row);
        if row.pid == root || row.session == root {
            open.push(*row);
        }
    }
    let mut found: HashMap<i32, Row> = HashMap::new();
    while let Some(row) = open.pop() {
        if found.insert(row.pid, row).is_none()
            && let Some(below) = children.get(&row.pid)
        {
            open.extend(below);
        }
    }
    found.into_values().collect()
}

/// The numbers of a process, its descendants and its session, as they are now.
#[must_use]
pub fn members(root: Pid) -> Vec<i32> {
    let found = family(root.as_raw_nonzero().get(), &process_table());
    found.into_iter().map(|row| row.pid).collect()
}

fn process_table() -> Vec<Row> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(read_row)
        .collect()
}

fn read_row(pid: i32) -> Option<Row> {
    parse_row(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/<pid>/stat`. The name in it is chosen by the process and may hold spaces and parentheses, so that
/// only what follows the last `)` can be trusted.
fn parse_row(line: &[u8]) -> Option<Row> {
    let pid = std::str::from_utf8(line.split(|&b| b == b' ').next()?).ok()?;
    let rest = &line[line.iter().rposition(|&b| b == b')')? + 1..];
    let fields: Vec<&str> = std::str::from_utf8(rest)
        .ok()?
        .split_ascii_whitespace()
        .collect();
    Some(Row {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pid: i32, parent: i32, session: i32) -> Row {
        Row {
            pid,
            parent,
            group: session,
            session,
            started: 0,
        }
    }

    #[test]
    fn a_process_cannot_lie_about_its_parent_by_its_name() {
        let line = b"42 (evil) R 1 1 1 (x)) S 7 8 9 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 555 0 0";
        let parsed = parse_row(line).unwrap();
        assert_eq!((parsed.pid, parsed.parent, parsed.group), (42, 7, 8));
        assert_eq!((parsed.session, parsed.started), (9, 555));
    }

    #[test]
    fn the_family_holds_descendants_in_other_sessions_and_orphans_in_the_same() {
        let table = [
            row(10, 1, 10),
            row(11, 10, 10),
            row(12, 11, 12), // its own session, still a descendant
            row(13, 1, 10),  // orphaned, same session
            row(14, 13, 14),
            row(20, 1, 20), // a stranger
        ];
        let mut pids: Vec<i32> = family(10, &table).iter().map(|row| row.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [10, 11, 12, 13, 14]);
    }
}
