//! The command policy as its callers meet it: on a small stack, from several threads, with texts of every shape.

use std::time::{Duration, Instant};

use agent_backend::policy::{PolicyContext, is_harmless, judge};

use super::Random;

const CONTEXT: PolicyContext<'static> = PolicyContext {
    root_dir: b"/srv/workspace",
    cwd: b"/srv/workspace",
    refuse_outside_writes: false,
};
/// The promise is 50 ms of work. This is time on the wall, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_millis(if cfg!(debug_assertions) {
    10_000
} else {
    1_000
});

const OPENERS: &[&str] = &[
    "(",
    "((",
    "{ ",
    "$(",
    "$((",
    "`",
    "\"$(",
    "\"",
    "'",
    "${x:-",
    "if a; then ",
    "while a; do ",
    "for x in y; do ",
    "case x in y) ",
    "[[ ( ",
    "<(",
    "f() { ",
    "bash -c '",
    "eval \"",
    "<<E\n",
    "{a,",
    "{a,b}",
    "x=$x$x;",
    "{1..9}",
    "! ",
    "\\",
    "\u{fffd}",
    "\0",
    "é",
    "coproc ",
    "find . -exec ",
    "xargs ",
    "env ",
];

fn bomb(random: &mut Random) -> String {
    let most = [64, 4 << 10, 64 << 10, 1 << 20][random.below(4)];
    let mut text = String::from(["", "date; ", "sudo ls; "][random.below(3)]);
    while text.len() < most {
        let opener = OPENERS[random.below(OPENERS.len())];
        let times = 1 + random.below(1 + most / opener.len());
        text.push_str(&opener.repeat(times));
        if random.below(3) == 0 {
            break;
        }
    }
    text
}

#[test]
fn no_text_of_any_shape_takes_long_or_ends_the_process_on_a_small_stack() {
    let workers: Vec<_> = (0..2u64)
        .map(|number| {
            let work = move || {
                let mut random = Random(0x510e_527f_ade6_82d1 + number);
                let started = Instant::now();
                let mut judged = 0;
                while judged < 40 || (judged < 400 && started.elapsed() < Duration::from_secs(2)) {
                    let text = bomb(&mut random);
                    let before = Instant::now();
                    let verdict = judge(&text, &CONTEXT);
                    let time = before.elapsed();
                    let shown: String = text.chars().take(60).collect();
                    assert!(
                        time < PATIENCE,
                        "{time:?} for {} bytes: {shown:?}",
                        text.len()
                    );
                    assert!(
                        verdict.is_ok() || !is_harmless(&text, &CONTEXT),
                        "{shown:?}"
                    );
                    judged += 1;
                }
            };
            std::thread::Builder::new()
                .stack_size(2 << 20)
                .spawn(work)
                .expect("a thread")
        })
        .collect();
    for worker in workers {
        worker.join().expect("no text ends a thread");
    }
}

#[test]
fn a_refusal_names_rule_reason_and_advice() {
    let refusal = judge("echo x > /etc/motd", &CONTEXT).expect_err("a refusal");
    assert_eq!(refusal.rule, "system-write");
    assert_eq!(refusal.subject, "> /etc/motd");
    let message = refusal.clone().into_error("echo x > /etc/motd").to_string();
    for part in [refusal.rule, refusal.reason, refusal.advice] {
        assert!(message.contains(part), "{message}");
    }
}
