//! Numbers of signals, and the names that SSH has for them.

use russh::Sig;

/// The number of `SIGKILL`.
pub(super) const KILL: i32 = 9;

/// Signals that SSH has names for.
const SIGNALS: [(Sig, i32); 11] = [
    (Sig::HUP, 1),
    (Sig::INT, 2),
    (Sig::QUIT, 3),
    (Sig::ILL, 4),
    (Sig::ABRT, 6),
    (Sig::FPE, 8),
    (Sig::KILL, KILL),
    (Sig::USR1, 10),
    (Sig::SEGV, 11),
    (Sig::PIPE, 13),
    (Sig::ALRM, 14),
];

pub(super) fn number_of(signal: &Sig) -> i32 {
    if matches!(signal, Sig::TERM) {
        return 15;
    }
    SIGNALS
        .iter()
        .find(|(named, _)| std::mem::discriminant(named) == std::mem::discriminant(signal))
        .map_or(KILL, |&(_, number)| number)
}

pub(super) fn signal_of(number: i32) -> Option<Sig> {
    if number == 15 {
        return Some(Sig::TERM);
    }
    SIGNALS
        .iter()
        .find(|&&(_, known)| known == number)
        .map(|(signal, _)| signal.clone())
}
