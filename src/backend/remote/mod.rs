//! A directory of another machine, reached over SSH: of a daemon of ours with one round trip for each operation, of any
//! other server with plain SFTP and exec.

pub mod link;
