//! A directory of another machine, reached over SSH: of a daemon of ours with one round trip for each operation, of any
//! other server with plain SFTP and exec.

mod authentication;
mod channel;
mod checks;
mod host_keys;
mod dial;
mod known_hosts;
pub mod link;
pub mod options;
mod ssh_client;
mod tls;
mod transport;
mod upgrade;
