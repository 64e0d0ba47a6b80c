//! As whom a command runs behind a kernel wall.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use super::{DEFAULT_SCOPE_UID, Isolation, Launcher};
use crate::error::{Error, ErrorCode, Result};

impl Launcher {
    /// As whom commands of a scope run, given a handle on its directory. Blocks like [`Launcher::isolation`].
    ///
    /// # Errors
    /// As there.
    pub fn runs_as(&self, scope: impl AsFd) -> Result<RunsAs> {
        match self.isolation()? {
            level if level.is_kernel_wall() => RunsAs::owner_of(scope),
            _ => Ok(RunsAs::ourselves()),
        }
    }

    /// The same for a directory that will be created below this one.
    ///
    /// # Errors
    /// As there.
    pub fn will_run_as(&self, parent: impl AsFd) -> Result<RunsAs> {
        let as_parent = self.runs_as(parent)?;
        Ok(match self.scope_owner() {
            Some(owner) if as_parent.uid == 0 => RunsAs::another(owner),
            _ => as_parent,
        })
    }

    /// Who must own the directories that are created for scopes, so that commands can work in them: as root behind a
    /// kernel wall the scope uid, else nobody in particular. Blocks like [`Launcher::isolation`].
    #[must_use]
    pub fn scope_owner(&self) -> Option<u32> {
        let walled = self.isolation().is_ok_and(Isolation::is_kernel_wall);
        (walled && rustix::process::geteuid().is_root()).then_some(self.options.scope_uid)
    }

    /// As whom a command of a scope starts, unless that is root and nothing may be.
    pub(super) fn starts_as(&self, scope: impl AsFd, path: &[u8]) -> Result<RunsAs> {
        let runs_as = self.runs_as(scope)?;
        let refuses = self.refuses_root.load(Ordering::Relaxed);
        if refuses && runs_as.uid == 0 && self.isolation()?.is_kernel_wall() {
            return Err(self.as_root(path));
        }
        Ok(runs_as)
    }

    /// Whether the wall keeps the commands of several tenants apart, each in one of these scopes with its path. Blocks
    /// like [`Launcher::isolation`]. Where commands do not work at all, nothing stands against files.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, with what to do about it: at a level weaker than `bwrap`, unless `allow_weak`; where
    /// commands of a scope would run as root.
    pub fn serves_several(&self, scopes: &[(RunsAs, &[u8])], allow_weak: bool) -> Result<()> {
        let Ok(level) = self.isolation() else {
            return Ok(());
        };
        let shared = match level {
            Isolation::Landlock => "see each other's processes and share a user",
            Isolation::Software | Isolation::None | Isolation::Auto => {
                "can read and change the files of all of them"
            }
            Isolation::Bwrap => "",
        };
        if !shared.is_empty() && !allow_weak {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!(
                    "several scopes are served, whose commands {shared} at isolation '{}'; use 'bwrap', serve one scope, or accept it with --allow-weak-isolation",
                    level.as_str()
                ),
            ));
        }
        match scopes.iter().find(|(runs_as, _)| runs_as.uid == 0) {
            Some((_, path)) if level.is_kernel_wall() => Err(self.as_root(path)),
            _ => {
                // A directory may be given to root later.
                self.refuses_root.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn as_root(&self, path: &[u8]) -> Error {
        let path = String::from_utf8_lossy(path);
        let uid = match self.options.scope_uid {
            0 => DEFAULT_SCOPE_UID,
            uid => uid,
        };
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!(
                "commands in a directory of root's would run as root, beside those of other tenants; give it to an ordinary user (chown -R {uid}:{uid}), or let agent-backend create it"
            ),
        )
        .at(path)
    }
}

/// The user of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunsAs {
    /// User.
    pub uid: u32,
    /// Group; there are no others.
    pub gid: u32,
    /// Whether that is another one than ours, so that a program has to change it.
    pub(super) switches: bool,
}

impl RunsAs {
    /// As ourselves.
    pub(super) fn ourselves() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            switches: false,
        }
    }

    /// As a user that root gives directories to, and its group.
    pub(super) fn another(uid: u32) -> Self {
        Self {
            uid,
            gid: uid,
            switches: uid != 0,
        }
    }

    /// As an ordinary user ourselves; as root, the owner of the scope's directory. Only a tree that root itself owns
    /// is worked on as root, and then without capabilities.
    pub(super) fn owner_of(scope: impl AsFd) -> Result<Self> {
        let ourselves = Self::ourselves();
        if ourselves.uid != 0 {
            return Ok(ourselves);
        }
        let stat = rustix::fs::fstat(scope)?;
        // The group of root opens files of the host that the owner alone could not.
        let gid = match (stat.st_uid, stat.st_gid) {
            (0, gid) => gid,
            (uid, 0) => uid,
            (_, gid) => gid,
        };
        Ok(Self {
            uid: stat.st_uid,
            gid,
            switches: stat.st_uid != 0,
        })
    }

    /// `/etc/passwd` of the sandbox.
    pub(super) fn passwd(&self, name: &str, home: &str, shell: &str) -> String {
        let own = format!("{name}:x:{}:{}::{home}:{shell}\n", self.uid, self.gid);
        let root = "root:x:0:0:root:/root:/usr/sbin/nologin\n";
        let nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
        match self.uid {
            0 => format!("{own}{nobody}"),
            65534 => format!("{root}{own}"),
            _ => format!("{root}{own}{nobody}"),
        }
    }

    /// `/etc/group` of the sandbox.
    pub(super) fn group(&self, name: &str) -> String {
        let own = format!("{name}:x:{}:\n", self.gid);
        let (root, nogroup) = ("root:x:0:\n", "nogroup:x:65534:\n");
        match self.gid {
            0 => format!("root:x:0:\n{nogroup}"),
            65534 => format!("{root}{own}"),
            _ => format!("{root}{own}{nogroup}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_knows_its_user_by_name() {
        let runs_as = RunsAs {
            uid: 60600,
            gid: 60600,
            switches: true,
        };
        let passwd = runs_as.passwd("agent", "/w/one", "/bin/bash");
        assert!(passwd.contains("\nagent:x:60600:60600::/w/one:/bin/bash\n"));
        assert_eq!(
            runs_as.group("agent"),
            "root:x:0:\nagent:x:60600:\nnogroup:x:65534:\n"
        );
    }
}
