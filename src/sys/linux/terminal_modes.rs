//! The modes of a terminal as SSH numbers them (RFC 4254, section 8), as far as a pseudo terminal of Linux has them: no
//! speed, no parity, no size of characters.

use rustix::termios::{InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios};

/// How a key is said to be none.
const NO_KEY: u32 = 255;

/// Where a mode is kept.
enum Place {
    Key(SpecialCodeIndex),
    Input(InputModes),
    Local(LocalModes),
    Output(OutputModes),
}

/// Sets what is known of these numbers and values, one after the other; the rest is passed over.
pub(super) fn set(termios: &mut Termios, modes: &[(u8, u32)]) {
    for &(mode, value) in modes {
        match key(mode).or_else(|| flag(mode)) {
            Some(Place::Key(key)) => match u8::try_from(value) {
                Ok(_) if value == NO_KEY => termios.special_codes[key] = 0,
                Ok(code) => termios.special_codes[key] = code,
                Err(_) => {}
            },
            Some(Place::Input(flag)) => termios.input_modes.set(flag, value != 0),
            Some(Place::Local(flag)) => termios.local_modes.set(flag, value != 0),
            Some(Place::Output(flag)) => termios.output_modes.set(flag, value != 0),
            None => {}
        }
    }
}

fn key(mode: u8) -> Option<Place> {
    Some(Place::Key(match mode {
        1 => SpecialCodeIndex::VINTR,
        2 => SpecialCodeIndex::VQUIT,
        3 => SpecialCodeIndex::VERASE,
        4 => SpecialCodeIndex::VKILL,
        5 => SpecialCodeIndex::VEOF,
        6 => SpecialCodeIndex::VEOL,
        7 => SpecialCodeIndex::VEOL2,
        8 => SpecialCodeIndex::VSTART,
        9 => SpecialCodeIndex::VSTOP,
        10 => SpecialCodeIndex::VSUSP,
        12 => SpecialCodeIndex::VREPRINT,
        13 => SpecialCodeIndex::VWERASE,
        14 => SpecialCodeIndex::VLNEXT,
        16 => SpecialCodeIndex::VSWTC,
        18 => SpecialCodeIndex::VDISCARD,
        _ => return None,
    }))
}

fn flag(mode: u8) -> Option<Place> {
    Some(match mode {
        30 => Place::Input(InputModes::IGNPAR),
        31 => Place::Input(InputModes::PARMRK),
        32 => Place::Input(InputModes::INPCK),
        33 => Place::Input(InputModes::ISTRIP),
        34 => Place::Input(InputModes::INLCR),
        35 => Place::Input(InputModes::IGNCR),
        36 => Place::Input(InputModes::ICRNL),
        37 => Place::Input(InputModes::IUCLC),
        38 => Place::Input(InputModes::IXON),
        39 => Place::Input(InputModes::IXANY),
        40 => Place::Input(InputModes::IXOFF),
        41 => Place::Input(InputModes::IMAXBEL),
        42 => Place::Input(InputModes::IUTF8),
        50 => Place::Local(LocalModes::ISIG),
        51 => Place::Local(LocalModes::ICANON),
        52 => Place::Local(LocalModes::XCASE),
        53 => Place::Local(LocalModes::ECHO),
        54 => Place::Local(LocalModes::ECHOE),
        55 => Place::Local(LocalModes::ECHOK),
        56 => Place::Local(LocalModes::ECHONL),
        57 => Place::Local(LocalModes::NOFLSH),
        58 => Place::Local(LocalModes::TOSTOP),
        59 => Place::Local(LocalModes::IEXTEN),
        60 => Place::Local(LocalModes::ECHOCTL),
        61 => Place::Local(LocalModes::ECHOKE),
        62 => Place::Local(LocalModes::PENDIN),
        70 => Place::Output(OutputModes::OPOST),
        71 => Place::Output(OutputModes::OLCUC),
        72 => Place::Output(OutputModes::ONLCR),
        73 => Place::Output(OutputModes::OCRNL),
        74 => Place::Output(OutputModes::ONOCR),
        75 => Place::Output(OutputModes::ONLRET),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::backend::process::TerminalSize;
    use crate::sys::linux::terminal::open;

    use super::*;

    #[test]
    fn a_terminal_begins_with_the_modes_that_it_is_given() {
        let plain = open(TerminalSize::default(), &[], None).unwrap();
        let before = rustix::termios::tcgetattr(&plain.theirs).unwrap();
        assert!(before.input_modes.contains(InputModes::IUTF8));
        let given = [
            (1, 20),
            (3, 255),
            (5, 300),
            (36, 0),
            (42, 0),
            (53, 0),
            (56, 1),
            (72, 0),
            // What no Linux has, what no pseudo terminal has, what nobody has.
            (11, 25),
            (90, 1),
            (128, 0),
            (129, 50),
            (200, 7),
        ];
        let pair = open(TerminalSize::default(), &given, None).unwrap();
        let set = rustix::termios::tcgetattr(&pair.theirs).unwrap();
        assert_eq!(set.special_codes[SpecialCodeIndex::VINTR], 20);
        assert_eq!(set.special_codes[SpecialCodeIndex::VERASE], 0);
        let end = SpecialCodeIndex::VEOF;
        assert_eq!(set.special_codes[end], before.special_codes[end]);
        let (input, local) = (before.input_modes, before.local_modes);
        let off = InputModes::ICRNL | InputModes::IUTF8;
        assert_eq!(set.input_modes, input - off);
        let echo = LocalModes::ECHO;
        assert_eq!(set.local_modes, (local - echo) | LocalModes::ECHONL);
        assert_eq!(set.output_modes, before.output_modes - OutputModes::ONLCR);
        assert_eq!(set.control_modes, before.control_modes);
        assert_eq!(set.output_speed(), before.output_speed());
    }
}
