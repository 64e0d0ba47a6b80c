//! The only place with system calls and `cfg`.

#[cfg(target_os = "linux")]
pub mod linux;
