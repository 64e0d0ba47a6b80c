//! By what each limit holds at a level of isolation on this machine.

use super::super::options::Isolation;
use crate::backend::limits::{Enforcement, Limits, Mechanism, ScopeLimits};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::cgroup::Support;

/// What decides it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    pub(super) level: Isolation,
    pub(super) support: &'a Support,
    /// Whether commands run as uid 0 of the host, which no count per user holds for.
    pub(super) as_root: bool,
}

/// Every limit, in the order of the documentation.
pub(super) fn table(here: Here<'_>) -> Vec<Enforcement> {
    use Mechanism::{Cgroup, Rlimit, RlimitPerUser, Watch};
    let support = here.support;
    let (memory, count) = (support.memory.is_some(), support.processes.is_some());
    let processes: &[Mechanism] = match (here.level, here.as_root) {
        // Counted in the user namespace of each sandbox.
        (Isolation::Bwrap, false) => &[Watch, Rlimit],
        (_, false) => &[Watch, RlimitPerUser],
        (_, true) => &[Watch],
    };
    let group = |limit, works: bool, with: &[Mechanism], else_by: &[Mechanism]| Enforcement {
        limit,
        by: match works {
            true => [&[Cgroup], with].concat(),
            false => else_by.to_vec(),
        },
        reason: match works {
            true => String::new(),
            false => format!("no control group for it: {}", support.reason),
        },
    };
    let always = |limit, by| Enforcement {
        limit,
        by: vec![by],
        reason: String::new(),
    };
    let measured = |limit, how| Enforcement {
        limit,
        by: vec![Watch],
        reason: format!("the kernel keeps no bound for a directory: {how}"),
    };
    vec![
        group("memoryBytes", memory, &[], &[Watch, Rlimit]),
        group("processes", count, &[], processes),
        group(
            "cpuSeconds",
            support.cpu_time.is_some(),
            &[Rlimit],
            &[Watch, Rlimit],
        ),
        group("cpus", support.cpu.is_some(), &[], &[]),
        always("fileSizeBytes", Rlimit),
        always("openFiles", Rlimit),
        group("scopeMemoryBytes", memory, &[], &[Watch]),
        group("scopeProcesses", count, &[], &[Watch]),
        group("scopeCpus", support.cpu.is_some(), &[], &[]),
        measured(
            "maxBytes",
            "our own writes are checked before, commands are watched",
        ),
        measured(
            "tmpBytes",
            "commands that run for a second or more are watched",
        ),
    ]
}

/// Refuses limits that nothing here can keep.
///
/// # Errors
/// `MISSING_UTILITIES`, naming the limit and what is missing.
pub(super) fn check(here: Here<'_>, limits: &Limits, scope: &ScopeLimits) -> Result<()> {
    let asked = [
        ("cpus", limits.cpus.is_some()),
        ("scopeCpus", scope.cpus.is_some()),
    ];
    for told in table(here) {
        let wanted = asked.contains(&(told.limit, true));
        if wanted && told.by.is_empty() {
            return Err(Error::new(
                ErrorCode::MissingUtilities,
                format!(
                    "the limit `{}` cannot be kept here: {}; run in a delegated control group (systemd: `Delegate=yes`) or as root, or leave the limit out",
                    told.limit, told.reason
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::cgroup::Version;

    fn by(here: Here<'_>, limit: &str) -> Vec<Mechanism> {
        let table = table(here);
        table
            .into_iter()
            .find(|told| told.limit == limit)
            .unwrap()
            .by
    }

    #[test]
    fn a_control_group_is_taken_where_there_is_one_and_less_is_said_where_there_is_none() {
        let all = Support {
            memory: Some(Version::V1),
            processes: Some(Version::V2),
            cpu: Some(Version::V1),
            cpu_time: Some(Version::V1),
            kill: Some(Version::V1),
            reason: String::new(),
        };
        let none = Support {
            reason: "read-only".to_owned(),
            ..Support::default()
        };
        let here = |support, level, as_root| Here {
            level,
            support,
            as_root,
        };
        let best = here(&all, Isolation::Bwrap, true);
        assert!(table(best).iter().all(|told| !told.by.is_empty()));
        assert_eq!(by(best, "memoryBytes"), [Mechanism::Cgroup]);
        let user = here(&none, Isolation::Bwrap, false);
        assert_eq!(by(user, "processes"), [Mechanism::Watch, Mechanism::Rlimit]);
        let open = here(&none, Isolation::None, false);
        assert_eq!(
            by(open, "processes"),
            [Mechanism::Watch, Mechanism::RlimitPerUser]
        );
        assert_eq!(
            by(here(&none, Isolation::None, true), "processes"),
            [Mechanism::Watch]
        );
        assert!(table(user)[0].reason.contains("read-only"));
        let cpus = Limits {
            cpus: Some(0.5),
            ..Limits::default()
        };
        let refused = check(user, &cpus, &ScopeLimits::default()).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::MissingUtilities);
        assert!(refused.message().contains("read-only"), "{refused}");
        assert!(check(best, &cpus, &ScopeLimits::default()).is_ok());
        assert!(check(user, &Limits::default(), &ScopeLimits::default()).is_ok());
    }
}
