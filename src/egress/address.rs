//! Addresses that the proxy never connects to, whoever names them and whatever a list says.
//!
//! A name on the list may be made to resolve to anything by whoever owns it. What lies inside this host, its network or
//! a cloud's own services must stay out of reach, so everything that is not ordinary public unicast is refused: a
//! short list of what is fine, not a long list of what is bad, wherever the registries allow that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of special address this is, in words; `None` for ordinary public unicast.
#[must_use]
pub fn special_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

struct Block4(u8, u8, u8, u8, u8, &'static str);

/// The IPv4 registry of special addresses, most telling name first.
const BLOCKS_V4: &[Block4] = &[
    Block4(0, 0, 0, 0, 8, "unspecified"),
    Block4(127, 0, 0, 0, 8, "loopback"),
    Block4(10, 0, 0, 0, 8, "private"),
    Block4(172, 16, 0, 0, 12, "private"),
    Block4(192, 168, 0, 0, 16, "private"),
    Block4(169, 254, 0, 0, 16, "link-local"),
    Block4(100, 64, 0, 0, 10, "carrier-grade NAT"),
    Block4(192, 0, 0, 0, 24, "reserved"),
    Block4(192, 0, 2, 0, 24, "documentation"),
    Block4(198, 51, 100, 0, 24, "documentation"),
    Block4(203, 0, 113, 0, 24, "documentation"),
    Block4(192, 88, 99, 0, 24, "6to4 relay"),
    Block4(198, 18, 0, 0, 15, "benchmark"),
    // Looks public, but is the platform's own service for its virtual machines (Azure).
    Block4(168, 63, 129, 16, 32, "cloud platform"),
    Block4(224, 0, 0, 0, 4, "multicast"),
    Block4(255, 255, 255, 255, 32, "broadcast"),
    Block4(240, 0, 0, 0, 4, "reserved"),
];

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    BLOCKS_V4
        .iter()
        .find(|Block4(a, b, c, d, length, _)| {
            let block = u32::from(Ipv4Addr::new(*a, *b, *c, *d));
            (bits ^ block) >> (32 - length) == 0
        })
        .map(|block| block.5)
}

struct Block6(Ipv6Addr, u32, &'static str);

/// Blocks with a name of their own. Whatever else is not global unicast (`2000::/3`) is "reserved".
///
/// Those that embed an IPv4 address are refused whole, whatever they embed: who translates them, and to where, is the
/// network's business, and no name of a public service needs them.
const BLOCKS_V6: &[Block6] = &[
    Block6(Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    Block6(Ipv6Addr::LOCALHOST, 128, "loopback"),
    Block6(
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
        96,
        "IPv4-mapped",
    ),
    Block6(Ipv6Addr::UNSPECIFIED, 96, "IPv4-compatible"),
    Block6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "NAT64"),
    Block6(Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "NAT64"),
    Block6(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    Block6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    Block6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, "benchmark"),
    Block6(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "reserved"),
    Block6(
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "documentation",
    ),
    Block6(
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "documentation",
    ),
    Block6(
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0),
        7,
        "unique local",
    ),
    Block6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    Block6(Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    Block6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    BLOCKS_V6
        .iter()
        .find(|Block6(block, length, _)| (bits ^ u128::from(*block)) >> (128 - length) == 0)
        .map(|block| block.2)
        .or((bits >> 125 != 0b001).then_some("reserved"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<&'static str> {
        special_kind(text.parse().expect(text))
    }

    #[test]
    fn every_special_block_is_known_from_its_first_to_its_last_address() {
        for (first, last, name) in [
            ("0.0.0.0", "0.255.255.255", "unspecified"),
            ("127.0.0.0", "127.255.255.255", "loopback"),
            ("10.0.0.0", "10.255.255.255", "private"),
            ("172.16.0.0", "172.31.255.255", "private"),
            ("192.168.0.0", "192.168.255.255", "private"),
            ("169.254.0.0", "169.254.255.255", "link-local"),
            ("169.254.169.254", "169.254.169.254", "link-local"),
            ("100.64.0.0", "100.127.255.255", "carrier-grade NAT"),
            ("192.0.0.0", "192.0.0.255", "reserved"),
            ("192.0.2.0", "192.0.2.255", "documentation"),
            ("198.51.100.0", "198.51.100.255", "documentation"),
            ("203.0.113.0", "203.0.113.255", "documentation"),
            ("192.88.99.0", "192.88.99.255", "6to4 relay"),
            ("198.18.0.0", "198.19.255.255", "benchmark"),
            ("168.63.129.16", "168.63.129.16", "cloud platform"),
            ("224.0.0.0", "239.255.255.255", "multicast"),
            ("240.0.0.0", "255.255.255.254", "reserved"),
            ("255.255.255.255", "255.255.255.255", "broadcast"),
            ("::", "::", "unspecified"),
            ("::1", "::1", "loopback"),
            ("::2", "::ffff:ffff", "IPv4-compatible"),
            ("::7f00:1", "::127.0.0.1", "IPv4-compatible"),
            ("::ffff:0:0", "::ffff:255.255.255.255", "IPv4-mapped"),
            ("::ffff:127.0.0.1", "::ffff:8.8.8.8", "IPv4-mapped"),
            ("64:ff9b::", "64:ff9b::ffff:ffff", "NAT64"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "NAT64"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "Teredo"),
            ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmark"),
            (
                "2001:1::1",
                "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                "reserved",
            ),
            (
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "documentation",
            ),
            (
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                "documentation",
            ),
            (
                "fc00::",
                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "unique local",
            ),
            (
                "fe80::",
                "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "link-local",
            ),
            (
                "fec0::",
                "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "site-local",
            ),
            (
                "ff00::",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "multicast",
            ),
            (
                "100::",
                "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "reserved",
            ),
            (
                "4000::",
                "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "reserved",
            ),
            (
                "::ffff:0:127.0.0.1",
                "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",
                "reserved",
            ),
        ] {
            assert_eq!(kind(first), Some(name), "{first}");
            assert_eq!(kind(last), Some(name), "{last}");
        }
    }

    #[test]
    fn the_neighbours_of_special_blocks_are_ordinary() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2001:db9::",
            "2001:ffff::1",
            "2003::",
            "3ffe:ffff::1",
            "3fff:1000::",
        ] {
            assert_eq!(kind(address), None, "{address}");
        }
    }
}
