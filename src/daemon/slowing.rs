//! Who guesses is slowed down at every door: each wrong token, password or signature of an address makes the answer to its
//! next wrong one take twice as long.
//! A right one is never held up, since many clients may share an address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// What is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Addresses that are remembered.
const MAX_REMEMBERED: usize = 4_096;

/// The guesses of each address. One table for all doors, so that none is a way around another.
#[derive(Debug, Default)]
pub struct Slowing(Mutex<HashMap<IpAddr, Guesses>>);

#[derive(Clone, Copy, Debug)]
struct Guesses {
    count: u32,
    last: Instant,
}

impl Slowing {
    /// A wrong secret came from there; how long the answer is to take.
    pub(super) fn wrong(&self, peer: IpAddr, now: Instant) -> Duration {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = network(peer);
        if table.len() >= MAX_REMEMBERED && !table.contains_key(&peer) {
            table.retain(|_, guesses| now.duration_since(guesses.last) < FORGOTTEN_AFTER);
            if table.len() >= MAX_REMEMBERED {
                // Somebody has many addresses; all new ones are slowed down as the worst.
                return LONGEST;
            }
        }
        let guesses = table.entry(peer).or_insert(Guesses {
            count: 0,
            last: now,
        });
        if now.duration_since(guesses.last) >= FORGOTTEN_AFTER {
            guesses.count = 0;
        }
        guesses.last = now;
        guesses.count = guesses.count.saturating_add(1);
        let factor = 1u32 << (guesses.count - 1).min(10);
        FIRST.saturating_mul(factor).min(LONGEST)
    }

    /// A right one came from there.
    pub(super) fn right(&self, peer: IpAddr) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.is_empty() {
            table.remove(&network(peer));
        }
    }
}

/// Whoever has one IPv6 address has 2^64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_token_doubles_the_time_and_a_right_one_ends_it() {
        let slowing = Slowing::default();
        let now = Instant::now();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let times: Vec<u128> = (0..8)
            .map(|_| slowing.wrong(one, now).as_millis())
            .collect();
        assert_eq!(times, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        let two: IpAddr = "::ffff:192.0.2.2".parse().unwrap();
        assert_eq!(slowing.wrong(two, now), FIRST);
        slowing.right(one);
        assert_eq!(slowing.wrong(one, now), FIRST);
        assert_eq!(slowing.wrong(one, now + FORGOTTEN_AFTER), FIRST);
    }

    #[test]
    fn neighbours_in_a_network_of_ipv6_are_one_and_the_table_is_bounded() {
        let slowing = Slowing::default();
        let now = Instant::now();
        slowing.wrong("2001:db8::1".parse().unwrap(), now);
        let neighbour = slowing.wrong("2001:db8::ffff".parse().unwrap(), now);
        assert_eq!(neighbour, 2 * FIRST);
        for number in 0..10_000u32 {
            slowing.wrong(IpAddr::V4(number.into()), now);
        }
        assert!(slowing.0.lock().unwrap().len() <= MAX_REMEMBERED);
        assert_eq!(slowing.wrong("203.0.113.1".parse().unwrap(), now), LONGEST);
    }
}
