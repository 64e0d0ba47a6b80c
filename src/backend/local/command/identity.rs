//! As whom a command runs behind a kernel wall.

use std::os::fd::AsFd;

use crate::error::Result;

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
