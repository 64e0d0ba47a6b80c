//! Sockets: of the host, of other tenants, and families that reach further.

use crate::attack::{Attack, Canary, Group, How, Program, Proof, Reach};

/// What passes with the host's network, at either kernel level.
const fn shared(attack: Attack) -> Attack {
    attack.open_at_bwrap(SHARED).open_at_landlock(SHARED)
}

const SHARED: &str = "with network `host` the network is the host's";

pub static HOST_NETWORK: Group = Group {
    name: "the host's network",
    how: How::Program(Program::new(include_str!("../programs/network.py"))),
    attacks: &[
        shared(secret("tcp", "reach a TCP server on the host's loopback")),
        shared(secret("udp", "reach a UDP server on the host's loopback")),
        // Landlock scopes abstract sockets, which a shared network lets pass at `bwrap`.
        secret("abstract", "connect to an abstract socket of the host").open_at_bwrap(SHARED),
        Attack::new(
            7,
            "unix-datagram",
            "send a datagram to a Unix socket of the host (`/dev/log`)",
        )
        .proof(Proof::Seen(|world, _| world.servers().got_a_datagram())),
        secret(
            "unix",
            "connect to a Unix socket of the host by its path (`docker.sock`)",
        ),
        shared(Attack::new(
            7,
            "listen",
            "open a server on the host's loopback",
        )),
        shared(
            Attack::new(7, "interfaces", "see an interface of the host")
                .canary(Canary::Depends("there being one")),
        ),
        Attack::new(8, "raw", "open a raw socket").canary(Canary::FallsForRoot),
        Attack::new(8, "packet", "open a packet socket").canary(Canary::FallsForRoot),
        Attack::new(8, "vsock", "open a socket to the hypervisor (`AF_VSOCK`)")
            .canary(Canary::Depends("the kernel having them")),
        Attack::new(8, "alg", "open a socket to the kernel's ciphers (`AF_ALG`)")
            .canary(Canary::Depends("the kernel having them")),
    ],
};

pub static NO_NETWORK: Group = Group {
    name: "no network",
    how: How::Program(Program {
        reach: Reach::Nothing,
        ..Program::new(include_str!("../programs/network.py"))
    }),
    attacks: &[
        secret(
            "tcp",
            "network `none`: reach a TCP server on the host's loopback",
        ),
        secret(
            "udp",
            "network `none`: reach a UDP server, such as a name server, on the host's loopback",
        ),
        secret(
            "abstract",
            "network `none`: connect to an abstract socket of the host",
        ),
        secret(
            "unix",
            "network `none`: connect to a Unix socket of the host by its path",
        ),
        Attack::new(7, "raw", "network `none`: open a raw socket").canary(Canary::FallsForRoot),
        Attack::new(7, "packet", "network `none`: open a packet socket")
            .canary(Canary::FallsForRoot),
        Attack::new(
            7,
            "vsock",
            "network `none`: open a socket to the hypervisor",
        )
        .canary(Canary::Depends("the kernel having them")),
        Attack::new(
            7,
            "interfaces",
            "network `none`: see an interface of the host",
        )
        .canary(Canary::Depends("there being one")),
    ],
};

pub static LISTED: Group = Group {
    name: "a list of hosts",
    how: How::Program(Program {
        reach: Reach::Listed,
        ..Program::new(include_str!("../programs/network.py"))
    }),
    attacks: &[
        secret(
            "tcp",
            "network of listed hosts: reach a TCP server on the host's loopback",
        ),
        secret(
            "udp",
            "network of listed hosts: reach a UDP server on the host's loopback",
        ),
        secret(
            "abstract",
            "network of listed hosts: connect to an abstract socket of the host",
        ),
        secret(
            "unix",
            "network of listed hosts: connect to a Unix socket of the host by its path",
        ),
        Attack::new(7, "raw", "network of listed hosts: open a raw socket")
            .canary(Canary::FallsForRoot),
        Attack::new(
            7,
            "vsock",
            "network of listed hosts: open a socket to the hypervisor",
        )
        .canary(Canary::Depends("the kernel having them")),
        Attack::new(
            7,
            "interfaces",
            "network of listed hosts: see an interface of the host",
        )
        .canary(Canary::Depends("there being one")),
        Attack::new(
            12,
            "proxy",
            "network of listed hosts: reach the host's loopback through the proxy",
        )
        .proof(Proof::Secret)
        .canary(Canary::Untried("without a list there is no proxy")),
    ],
};

const fn secret(id: &'static str, tries: &'static str) -> Attack {
    Attack::new(7, id, tries).proof(Proof::Secret)
}

super::test_of!(
    HOST_NETWORK,
    with_the_hosts_network_no_socket_of_the_file_system_and_no_odd_family_is_within_reach
);
super::test_of!(
    NO_NETWORK,
    without_a_network_nothing_of_the_host_is_within_reach
);
super::test_of!(
    LISTED,
    with_a_list_of_hosts_nothing_of_this_host_is_within_reach
);
