//! The POSIX classes of a bracket (`[[:alpha:]]`), as sets of Unicode.

use std::sync::OnceLock;

use regex::Regex;

/// A named class that needs the tables of Unicode.
#[derive(Debug)]
pub(super) struct PosixClass {
    /// As a pattern writes it.
    pub(super) name: &'static str,
    expression: &'static str,
    /// Whether the class is what the expression does not match.
    pub(super) is_complement: bool,
    compiled: OnceLock<Option<Compiled>>,
}

/// The compiled expression, and what it says of each ASCII character as a bit.
#[derive(Debug)]
struct Compiled {
    regex: Regex,
    ascii: u128,
}

impl PosixClass {
    const fn new(name: &'static str, expression: &'static str, is_complement: bool) -> Self {
        Self {
            name,
            expression,
            is_complement,
            compiled: OnceLock::new(),
        }
    }

    /// Whether the expression matches a character: compiled once in the life of the process.
    pub(super) fn matches(&self, symbol: u32) -> bool {
        let compiled = self.compiled.get_or_init(|| Compiled::new(self.expression));
        let (Some(compiled), Some(character)) = (compiled, char::from_u32(symbol)) else {
            return false;
        };
        if symbol < 0x80 {
            return compiled.ascii >> symbol & 1 == 1;
        }
        compiled.regex.is_match(character.encode_utf8(&mut [0; 4]))
    }
}

impl Compiled {
    fn new(expression: &str) -> Option<Self> {
        let regex = Regex::new(expression).ok()?;
        let ascii = (0..0x80_u8)
            .filter(|&byte| regex.is_match(char::from(byte).encode_utf8(&mut [0; 4])))
            .fold(0, |bits, byte| bits | 1 << byte);
        Some(Self { regex, ascii })
    }
}

/// Every class but `[:ascii:]` and `[:xdigit:]`, which are ranges.
pub(super) static POSIX_CLASSES: [PosixClass; 12] = [
    PosixClass::new("[:alnum:]", r"[\p{L}\p{Nl}\p{Nd}]", false),
    PosixClass::new("[:alpha:]", r"[\p{L}\p{Nl}]", false),
    PosixClass::new("[:blank:]", r"[\p{Zs}\t]", false),
    PosixClass::new("[:cntrl:]", r"\p{Cc}", false),
    PosixClass::new("[:digit:]", r"\p{Nd}", false),
    PosixClass::new("[:graph:]", r"[\p{Z}\p{C}]", true),
    PosixClass::new("[:lower:]", r"\p{Ll}", false),
    // The reference forgets that this one is a complement.
    PosixClass::new("[:print:]", r"\p{C}", false),
    PosixClass::new("[:punct:]", r"\p{P}", false),
    PosixClass::new("[:space:]", r"[\p{Z}\t\r\n\v\f]", false),
    PosixClass::new("[:upper:]", r"\p{Lu}", false),
    PosixClass::new("[:word:]", r"[\p{L}\p{Nl}\p{Nd}\p{Pc}]", false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_compiles() {
        for class in &POSIX_CLASSES {
            assert!(Compiled::new(class.expression).is_some(), "{}", class.name);
        }
    }
}
