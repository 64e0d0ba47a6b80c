//! Processes that start processes without end. A limit on processes is the wall; this says so before it is met.

use super::Rule;

pub(super) const RULE: Rule = Rule {
    name: "fork-bomb",
    reason: "would start processes that start processes, without end",
    advice: "Start a known number of processes and `wait` for them; in a loop, let something take time.",
    matches: |case| case.invocation.forks,
    must_match: &[
        ":(){ :|:& };:",
        "bomb() { bomb | bomb & }; bomb",
        "f() { f & f & }; f",
        "f() { f & }; f",
        "function f { f | f; }",
        "a() { b | b & }; b() { a | a & }; a",
        "while true; do $0 & done",
        "while :; do sleep 1 & done",
        "for ((;;)); do sh x.sh & done",
        "until false; do (sleep 9 &); done",
        "yes | xargs -P0 -I{} sleep 1",
    ],
    must_not_match: &[
        "for f in a b c; do gzip $f & done; wait",
        "while true; do date; sleep 1; done",
        "while true; do make & wait; done",
        "walk() { for d in \"$1\"/*/; do walk \"$d\"; done; }; walk .",
        "walk() { ls | while read f; do walk \"$f\"; done; }; walk .",
        "fib() { if [ $1 -lt 2 ]; then echo $1; else echo $(($(fib $(($1-1))) + $(fib $(($1-2))))); fi; }; fib 9",
        "git() { command git \"$@\" | cat; }; git log",
        "yes | head -3 | xargs -P0 echo",
        "yes | apt-get install jq",
        "seq 100 | xargs -P0 -n1 echo",
        "xargs -P 4 -n 1 gzip < list.txt",
        "while ! curl -s localhost:3000; do sleep 1; done",
    ],
};
