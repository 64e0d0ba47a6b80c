//! What the processes of a command use, as `/proc` tells it, for where no control group counts: their memory, the time
//! that they computed, and how many they are. It is read now and then, so what came and went between is not in it.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What a set of processes uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Bytes of memory that are theirs: anonymous and shared memory that is resident, and what of theirs is swapped out;
    /// not the pages of files. Memory that several of them share counts for each.
    pub memory_bytes: u64,
    /// Microseconds computed by those that live, and by their children that have ended and were waited for.
    pub cpu_usec: u64,
    /// Processes and threads.
    pub tasks: u64,
}

/// What these processes use; those that are gone use nothing.
#[must_use]
pub fn of(pids: &[i32]) -> ProcessUsage {
    let mut sum = ProcessUsage::default();
    for pid in pids {
        if let Some(usage) = of_one(*pid) {
            sum.memory_bytes = sum.memory_bytes.saturating_add(usage.memory_bytes);
            sum.cpu_usec = sum.cpu_usec.saturating_add(usage.cpu_usec);
            sum.tasks += usage.tasks;
        }
    }
    sum
}

/// Processes and threads of a user, by all that `/proc` shows.
#[must_use]
pub fn tasks_of_user(uid: u32) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == uid))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(of_one)
        .map(|usage| usage.tasks)
        .sum()
}

fn of_one(pid: i32) -> Option<ProcessUsage> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let times = Times::parse(&stat)?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Some(ProcessUsage {
        memory_bytes: memory(&status),
        cpu_usec: times.own_usec + times.children_usec,
        tasks: times.threads,
    })
}

/// Sums up time over looks at a set of processes that come and go: what a process had computed when it was last seen is
/// kept when it is gone.
#[derive(Debug, Default)]
pub struct CpuAccount {
    /// By pid and start.
    seen: HashMap<(i32, u64), u64>,
    gone_usec: u64,
}

impl CpuAccount {
    /// Takes a look, and gives the sum so far in microseconds.
    pub fn look(&mut self, pids: &[i32]) -> u64 {
        let mut now = HashMap::with_capacity(pids.len());
        for pid in pids {
            let stat = std::fs::read(format!("/proc/{pid}/stat"));
            if let Some(times) = stat.ok().as_deref().and_then(Times::parse) {
                // Without the children that it waited for: of those too each was looked at, and would count twice.
                now.insert((*pid, times.started), times.own_usec);
            }
        }
        for (process, used) in &self.seen {
            if !now.contains_key(process) {
                self.gone_usec += used;
            }
        }
        self.seen = now;
        self.gone_usec + self.seen.values().sum::<u64>()
    }
}

/// The times of `/proc/<pid>/stat`.
struct Times {
    own_usec: u64,
    children_usec: u64,
    threads: u64,
    started: u64,
}

impl Times {
    /// The name in it is chosen by the process and may hold spaces and parentheses: only what follows the last `)` can
    /// be trusted.
    fn parse(line: &[u8]) -> Option<Self> {
        let rest = &line[line.iter().rposition(|&b| b == b')')? + 1..];
        let fields: Vec<&str> = std::str::from_utf8(rest)
            .ok()?
            .split_ascii_whitespace()
            .collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let usec = |ticks: u64| ticks.saturating_mul(1_000_000) / ticks_per_second();
        Some(Self {
            own_usec: usec(number(11)? + number(12)?),
            children_usec: usec(number(13)? + number(14)?),
            threads: number(17)?,
            started: number(19)?,
        })
    }
}

/// The memory in `/proc/<pid>/status`, in bytes.
fn memory(status: &str) -> u64 {
    status
        .lines()
        .filter(|line| {
            ["RssAnon:", "RssShmem:", "VmSwap:"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .sum::<u64>()
        .saturating_mul(1024)
}

fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn memory_that_is_touched_counts_and_that_of_files_does_not() {
        let before = of(&[own()]);
        let filled = vec![1_u8; 64 << 20];
        let with = of(&[own()]);
        assert!(filled.iter().all(|byte| *byte == 1));
        let grown = with.memory_bytes.saturating_sub(before.memory_bytes);
        // Other tests of this process allocate too.
        assert!(grown > 32 << 20, "{grown}");
        assert!(with.tasks >= 1);
        assert_eq!(of(&[]), ProcessUsage::default());
    }

    #[test]
    fn the_tasks_of_a_user_are_all_of_them() {
        let us = rustix::process::geteuid().as_raw();
        assert!(tasks_of_user(us) >= of(&[own()]).tasks);
        assert_eq!(tasks_of_user(u32::MAX - 7), 0);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"42 (a) R 9 9 (b)) S 7 8 9 0 -1 0 0 0 0 0 100 50 10 5 20 0 3 0 555 0 0";
        let times = Times::parse(line).unwrap();
        let tick = 1_000_000 / ticks_per_second();
        assert_eq!(times.own_usec, 150 * tick);
        assert_eq!(times.children_usec, 15 * tick);
        assert_eq!((times.threads, times.started), (3, 555));
        let status = "Name:\tx\nRssAnon:\t     100 kB\nRssFile:\t 900 kB\nRssShmem:\t 7 kB\nVmSwap:\t 1 kB\n";
        assert_eq!(memory(status), 108 * 1024);
    }

    #[test]
    fn what_a_process_had_computed_still_counts_when_it_is_gone() {
        let mut account = CpuAccount::default();
        let mut child = Command::new("/bin/bash")
            .args(["-c", "for ((i = 0; i < 10000000; i++)); do :; done"])
            .spawn()
            .unwrap();
        let pid = [i32::try_from(child.id()).unwrap()];
        let deadline = Instant::now() + Duration::from_secs(20);
        while account.look(&pid) < 50_000 {
            assert!(Instant::now() < deadline, "it does not compute");
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let last = account.look(&pid);
        assert!(last >= 50_000, "{last}");
        assert_eq!(account.look(&[]), last);
    }
}
