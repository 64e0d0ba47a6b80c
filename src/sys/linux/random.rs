//! Randomness for names that nobody may guess.

use rustix::rand::{GetRandomFlags, getrandom};

use rustix::io::Result;

/// So many random bytes, at most 256: the kernel gives them whole or not at all.
///
/// # Errors
/// What the kernel answers where it has none to give.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    const { assert!(N <= 256) };
    let mut bytes = [0; N];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}
