//! Files in a directory of this machine, confined by the kernel.

pub mod command;
