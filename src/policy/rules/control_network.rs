//! The part of controlling the machine that is about its network: filters, addresses, routes.

use super::arguments::{has_short, words};

pub(super) fn matches(program: &str, shapes: &[String]) -> bool {
    let any = |holds: &dyn Fn(&str) -> bool| shapes.iter().any(|shape| holds(shape));
    let (verb, second) = words(shapes);
    match program {
        "iptables" | "ip6tables" | "iptables-legacy" | "iptables-nft" | "ebtables"
        | "arptables" => any(&|s| {
            has_short(s, "ADIRFXPNEZ", "tjpsdiomgcwLS")
                || [
                    "--append",
                    "--delete",
                    "--insert",
                    "--replace",
                    "--flush",
                    "--policy",
                    "--new-chain",
                    "--rename-chain",
                    "--zero",
                ]
                .iter()
                .any(|option| s.starts_with(option))
        }),
        "iptables-restore" | "ip6tables-restore" => !any(&|s| matches!(s, "-t" | "--test")),
        "nft" => {
            any(&|s| has_short(s, "f", "DI"))
                || [
                    "add", "create", "delete", "destroy", "flush", "insert", "replace", "rename",
                    "reset",
                ]
                .contains(&verb)
        }
        "ufw" => !matches!(verb, "" | "status" | "version" | "show" | "app"),
        "firewall-cmd" => any(&|s| {
            [
                "--add",
                "--remove",
                "--set",
                "--reload",
                "--complete-reload",
                "--panic-on",
                "--new",
                "--delete",
                "--change",
            ]
            .iter()
            .any(|option| s.starts_with(option))
        }),
        "ipset" => [
            "create", "add", "del", "destroy", "flush", "swap", "restore",
        ]
        .contains(&verb),
        "ip" => {
            let object = ["l", "a", "r", "ru", "n", "t", "x", "mp"];
            let verbs = shapes
                .iter()
                .filter(|s| !s.starts_with('-'))
                .nth(1)
                .map_or("", String::as_str);
            !verb.is_empty()
                && object.iter().any(|begin| verb.starts_with(begin))
                && [
                    "add", "set", "del", "delete", "flush", "change", "replace", "append", "up",
                    "down",
                ]
                .contains(&verbs)
        }
        "ifconfig" => !second.is_empty(),
        "route" => matches!(verb, "add" | "del" | "delete" | "flush" | "change"),
        _ => false,
    }
}
