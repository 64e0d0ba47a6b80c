//! JSON as clients write it.
//!
//! JavaScript's strings may hold half a character (a lone surrogate), which `JSON.stringify` writes as an escape that no
//! UTF-8 text has a place for. Such a half becomes U+FFFD, as in `Buffer.from`: a whole message must not be lost to it.

use serde::de::DeserializeOwned;

/// Reads JSON text.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match without_lone_surrogates(json) {
        Some(repaired) if error.is_syntax() => serde_json::from_slice(&repaired),
        _ => Err(error),
    })
}

/// The text with U+FFFD for each escape of half a character; `None` where there is none.
pub(super) fn without_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    let mut repaired: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(next) = memchr::memchr(b'\\', json.get(at..)?) {
        at += next;
        let length = match (escaped(json, at), escaped(json, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                let text = repaired.get_or_insert_with(|| json.to_vec());
                text[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            (Some(_), _) => 6,
            // `\"`, `\\` and the like.
            (None, _) => 2,
        };
        at += length;
    }
    repaired
}

/// The number of an escape such as `\u00e4` that stands here.
fn escaped(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_becomes_the_replacement_character() {
        for (json, expected) in [
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""a\ude00b\ud83dc""#, "a\u{fffd}b\u{fffd}c"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d \ud83d \"""#, "\\ud83d \u{fffd} \""),
            (r#""\u00e4\n""#, "ä\n"),
        ] {
            assert_eq!(
                parse::<String>(json.as_bytes()).unwrap(),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for json in [r#""\ud83d"#, r#""\ud8"#, r#"\"#, r#"{"a":"\ud83d","#, ""] {
            assert!(
                parse::<serde_json::Value>(json.as_bytes()).is_err(),
                "{json}"
            );
        }
    }
}
