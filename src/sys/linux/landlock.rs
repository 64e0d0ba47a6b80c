//! What of Landlock this kernel has, and what of it the isolation level `landlock` needs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
};

/// The oldest that will do: before it, a file outside could be truncated.
const LEAST: ABI = ABI::V3;

/// The newest whose rights are known here.
const NEWEST: ABI = ABI::V7;

/// The version where signals to, and abstract sockets of, processes outside are refused.
const SCOPES: i32 = 6;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const ASK_VERSION: u32 = 1;

/// What a command may do with a file or directory and everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read, list and execute.
    Read,
    /// All that an ordinary file system allows but making devices.
    Write,
    /// Read and write what is there: for devices.
    Device,
}

/// Something of the file system that a command may use.
#[derive(Debug)]
pub enum Grant<'a> {
    /// What a handle is on.
    Handle(&'a OwnedFd, Access),
    /// What is at a path of the host; nothing where nothing is.
    Path(PathBuf, Access),
}

/// Rules that grant these and nothing else, to be entered by a process that starts a command.
///
/// # Errors
/// In a sentence: this kernel cannot do what the level promises, or a handle is of no use.
pub fn ruleset(grants: &[Grant<'_>]) -> Result<OwnedFd, String> {
    let made = build(grants).map_err(|error| format!("Landlock: {error}"))?;
    Option::<OwnedFd>::from(made).ok_or_else(|| "this kernel has no Landlock".to_owned())
}

fn build(grants: &[Grant<'_>]) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    // What the level promises must hold; what newer kernels add is taken where it is there.
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for grant in grants {
        rules = match grant {
            Grant::Handle(handle, access) => allow(rules, handle, *access)?,
            Grant::Path(path, access) => match PathFd::new(path) {
                Ok(handle) => allow(rules, handle, *access)?,
                // Hosts differ in what they have.
                Err(_) => rules,
            },
        };
    }
    Ok(rules)
}

fn allow(
    rules: RulesetCreated,
    what: impl AsFd,
    access: Access,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let devices = AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev;
    let mut allowed: BitFlags<AccessFs> = match access {
        Access::Read => AccessFs::from_read(NEWEST),
        Access::Write => AccessFs::from_all(NEWEST) & !devices,
        Access::Device => {
            AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev
        }
    };
    // The rights of a directory make no sense on anything else, and the kernel refuses them there.
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&what)?.st_mode);
    if !kind.is_dir() {
        allowed &= AccessFs::from_file(NEWEST);
    }
    Ok(rules.add_rule(PathBeneath::new(what, allowed))?)
}

/// The version of the kernel's Landlock; 0 where there is none, or it is switched off.
#[must_use]
pub fn version() -> i32 {
    // SAFETY: with this flag the call takes no attributes and returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0usize,
            ASK_VERSION,
        )
    };
    i32::try_from(version).map_or(0, |version| version.max(0))
}

/// Whether the level can be had at a version.
#[must_use]
pub fn is_enough(version: i32) -> bool {
    version >= LEAST as i32
}

/// Whether signals to processes outside are refused at a version.
#[must_use]
pub fn refuses_signals(version: i32) -> bool {
    version >= SCOPES
}
