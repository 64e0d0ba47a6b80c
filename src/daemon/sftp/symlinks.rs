//! In which order a client names the two paths of `SSH_FXP_SYMLINK`. The draft of the protocol has the link first and
//! its target second, OpenSSH's server has had it the other way round from the start, and the packet does not tell. What
//! a client sends can be known from its name only.

/// The order of the paths in `SSH_FXP_SYMLINK`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymlinkOrder {
    /// The target, then the link: OpenSSH's.
    #[default]
    TargetFirst,
    /// The link, then the target: the draft's.
    LinkFirst,
}

/// How clients begin their names that send OpenSSH's order to servers that call themselves OpenSSH, and the draft's to
/// all others, us among them. Those that send the same to every server, in whichever order, are served as OpenSSH's
/// server would: that is what they were tried with.
const DRAFT_TO_OTHERS: [&[u8]; 5] = [
    // ssh2 from npm.
    b"ssh2js",
    b"AsyncSSH_",
    // Not libssh2, whose name goes on otherwise; a hyphen in old versions.
    b"libssh_",
    b"libssh-",
    b"WinSCP_",
];

impl SymlinkOrder {
    /// That of a client that begins the connection with this line, `SSH-2.0-…`.
    #[must_use]
    pub fn of_client(identification: &[u8]) -> Self {
        let name = identification.strip_prefix(b"SSH-2.0-");
        let name = name.unwrap_or_default();
        match (DRAFT_TO_OTHERS.iter()).any(|known| name.starts_with(known)) {
            true => Self::LinkFirst,
            false => Self::TargetFirst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_known_from_the_name_of_the_client() {
        for (name, expected) in [
            ("SSH-2.0-ssh2js1.17.0", SymlinkOrder::LinkFirst),
            ("SSH-2.0-AsyncSSH_2.10.1", SymlinkOrder::LinkFirst),
            ("SSH-2.0-libssh_0.11.1", SymlinkOrder::LinkFirst),
            ("SSH-2.0-libssh-0.5.4", SymlinkOrder::LinkFirst),
            ("SSH-2.0-WinSCP_release_6.3.5", SymlinkOrder::LinkFirst),
            ("SSH-2.0-libssh2_1.11.1", SymlinkOrder::TargetFirst),
            ("SSH-2.0-OpenSSH_9.2p1", SymlinkOrder::TargetFirst),
            ("SSH-2.0-paramiko_3.5.0", SymlinkOrder::TargetFirst),
            ("SSH-2.0-rclone/v1.60.1", SymlinkOrder::TargetFirst),
            ("SSH-2.0-Go", SymlinkOrder::TargetFirst),
            ("SSH-2.0-agent-backend_0.1.0", SymlinkOrder::TargetFirst),
            ("SSH-2.0-", SymlinkOrder::TargetFirst),
            ("ssh2js1.17.0", SymlinkOrder::TargetFirst),
            ("", SymlinkOrder::TargetFirst),
        ] {
            assert_eq!(SymlinkOrder::of_client(name.as_bytes()), expected, "{name}");
        }
    }
}
