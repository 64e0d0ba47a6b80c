//! What everybody on the machine may read of this process, and what of it should not be there: its arguments.
//!
//! Written through `/proc/self/mem`, so that no pointer is made up: the kernel says where the arguments and the environment
//! lie, and checks every byte.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Overwrites each of these texts, wherever it stands in the arguments or the environment that this process was started
/// with. Must be done before [`hide_memory`].
///
/// # Errors
/// Where `/proc` is not there or does not let us.
pub fn erase(secrets: &[&str]) -> io::Result<()> {
    let memory = File::options()
        .read(true)
        .write(true)
        .open("/proc/self/mem")?;
    for region in regions()? {
        let length = usize::try_from(region.end - region.start).map_err(io::Error::other)?;
        let mut text = vec![0; length];
        memory.read_exact_at(&mut text, region.start)?;
        let mut changed = false;
        for secret in secrets {
            changed |= blank(&mut text, secret.as_bytes());
        }
        if changed {
            memory.write_all_at(&text, region.start)?;
        }
    }
    Ok(())
}

/// Keeps other processes of the same user from reading the memory of this one, and its environment.
///
/// # Errors
/// Never, on a kernel of this century.
pub fn hide_memory() -> io::Result<()> {
    // rustix reads what the kernel told this process (ticks, page size) when it is first asked, and panics where it
    // cannot. Before Linux 6.4 that is a file which is out of reach of an ordinary user from now on.
    let _ = rustix::param::clock_ticks_per_second();
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Where the arguments and the environment are, from `/proc/self/stat`.
fn regions() -> io::Result<[Range<u64>; 2]> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat is odd");
    // The name of the process, in parentheses, may hold anything; what follows begins with the third field.
    let (_, fields) = stat.rsplit_once(')').ok_or_else(odd)?;
    let field = |number: usize| {
        let text = fields.split_ascii_whitespace().nth(number - 3);
        text.and_then(|text| text.parse::<u64>().ok())
            .ok_or_else(odd)
    };
    let regions = [field(48)?..field(49)?, field(50)?..field(51)?];
    if regions.iter().any(|region| region.start > region.end) {
        return Err(odd());
    }
    Ok(regions)
}

/// Blanks the values that are or end with this text: `TEXT`, `--flag=TEXT`, `NAME=TEXT`.
fn blank(text: &mut [u8], secret: &[u8]) -> bool {
    let mut changed = false;
    if secret.is_empty() {
        return false;
    }
    for value in text.split_mut(|&byte| byte == 0) {
        let is_whole = value == secret;
        let is_value =
            value.ends_with(secret) && value[..value.len() - secret.len()].last() == Some(&b'=');
        if is_whole || is_value {
            let start = value.len() - secret.len();
            value[start..].fill(b'*');
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_are_blanked() {
        let mut text =
            b"agent\0--auth-token\0s3cret\0--auth-token=s3cret\0A=s3cret\0s3crets\0xs3cret\0"
                .to_vec();
        assert!(blank(&mut text, b"s3cret"));
        assert_eq!(
            text,
            b"agent\0--auth-token\0******\0--auth-token=******\0A=******\0s3crets\0xs3cret\0"
        );
        assert!(!blank(&mut text, b"s3cret"));
        assert!(!blank(&mut text, b""));
    }

    #[test]
    fn the_regions_are_those_of_this_process() {
        let [arguments, _] = regions().unwrap();
        let memory = File::open("/proc/self/mem").unwrap();
        let mut text = vec![0; (arguments.end - arguments.start) as usize];
        memory.read_exact_at(&mut text, arguments.start).unwrap();
        assert_eq!(text, fs::read("/proc/self/cmdline").unwrap());
    }

    /// The test's own process, as an ordinary user on a kernel without `PR_GET_AUXV`.
    fn become_ordinary_on_an_old_kernel() {
        use seccompiler::{
            SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
            SeccompRule,
        };
        const PR_GET_AUXV: u64 = 0x4155_5856;
        let is_it =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, PR_GET_AUXV)
                .unwrap();
        let rules = [(
            libc::SYS_prctl,
            vec![SeccompRule::new(vec![is_it]).unwrap()],
        )];
        let filter = SeccompFilter::new(
            rules.into_iter().collect(),
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EINVAL.cast_unsigned()),
            std::env::consts::ARCH.try_into().unwrap(),
        )
        .unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        if rustix::process::geteuid().is_root() {
            // SAFETY: it takes numbers and touches no memory.
            assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
            set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
        }
        seccompiler::apply_filter(&program).unwrap();
    }

    #[test]
    fn what_the_kernel_told_a_process_is_known_after_its_memory_is_hidden() {
        const INSIDE: &str = "AGENT_BACKEND_TEST_HIDDEN";
        if std::env::var_os(INSIDE).is_some() {
            become_ordinary_on_an_old_kernel();
            hide_memory().unwrap();
            assert!(
                fs::read("/proc/self/auxv").is_err(),
                "it would have been read"
            );
            assert!(rustix::param::clock_ticks_per_second() > 0);
            return;
        }
        let name = "sys::linux::own_arguments::tests::what_the_kernel_told_a_process_is_known_after_its_memory_is_hidden";
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}
