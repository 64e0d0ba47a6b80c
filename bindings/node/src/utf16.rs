//! UTF-8 to UTF-16 in one pass over text that mixes one-byte characters with others, as most languages do; decoding it
//! is most of what reading a large file as text costs.

use std::sync::Mutex;

const LANE: usize = 8;
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

/// Decodes. What is not UTF-8 becomes U+FFFD, as in `String::from_utf8_lossy`.
pub fn from_utf8(bytes: &[u8]) -> Vec<u16> {
    // No text has more units in UTF-16 than bytes in UTF-8; the rest is room for whole lanes.
    let room = bytes.len() + LANE;
    let mut units = take_kept(room).unwrap_or_else(|| vec![0; room]);
    let length = decode(bytes, &mut units)
        .unwrap_or_else(|| encoding_rs::mem::convert_utf8_to_utf16(bytes, &mut units));
    units.truncate(length);
    if units.capacity() > room + room / 4 || length < room / 2 {
        units.shrink_to_fit();
    }
    units
}

/// One block that is done with, since fresh memory costs as much as the decoding.
static KEPT: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// The most that is kept, in units.
const KEPT_UNITS: usize = 4 << 20;

/// Gives up the memory of a text.
pub fn give_back(units: Vec<u16>) {
    if units.capacity() <= KEPT_UNITS {
        let before = KEPT
            .lock()
            .map(|mut kept| std::mem::replace(&mut *kept, units));
        drop(before);
    }
}

fn take_kept(room: usize) -> Option<Vec<u16>> {
    let mut kept = KEPT.lock().ok()?;
    if !(room..=room.saturating_mul(2)).contains(&kept.capacity()) {
        return None;
    }
    let mut units = std::mem::take(&mut *kept);
    drop(kept);
    units.resize(room, 0);
    Some(units)
}

/// How many units were written; `None` where the bytes are not UTF-8.
fn decode(bytes: &[u8], units: &mut [u16]) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(lane) = bytes[from..].first_chunk::<LANE>() {
        // All eight are written, those of one byte are kept.
        for (unit, &byte) in units[to..to + LANE].iter_mut().zip(lane) {
            *unit = u16::from(byte);
        }
        let others = u64::from_le_bytes(*lane) & NOT_ASCII;
        let plain = others.trailing_zeros() as usize / 8;
        from += plain;
        to += plain;
        // Other characters often come in runs.
        while from < bytes.len() && bytes[from] >= 0x80 {
            let (read, written) = decode_one(&bytes[from..], &mut units[to..])?;
            from += read;
            to += written;
        }
    }
    while let Some(&byte) = bytes.get(from) {
        let (read, written) = if byte < 0x80 {
            units[to] = u16::from(byte);
            (1, 1)
        } else {
            decode_one(&bytes[from..], &mut units[to..])?
        };
        from += read;
        to += written;
    }
    Some(to)
}

/// Decodes one character of several bytes: how many bytes it has, and units.
#[allow(
    clippy::cast_possible_truncation,
    reason = "each value is masked or below what the unit holds"
)]
fn decode_one(bytes: &[u8], units: &mut [u16]) -> Option<(usize, usize)> {
    let more = |index: usize| {
        let byte = *bytes.get(index)?;
        (byte & 0xC0 == 0x80).then_some(u32::from(byte & 0x3F))
    };
    let first = u32::from(bytes[0]);
    match first {
        0xC2..=0xDF => {
            units[0] = ((first & 0x1F) << 6 | more(1)?) as u16;
            Some((2, 1))
        }
        0xE0..=0xEF => {
            let unit = (first & 0x0F) << 12 | more(1)? << 6 | more(2)?;
            let is_surrogate = unit & 0xF800 == 0xD800;
            if unit < 0x800 || is_surrogate {
                return None;
            }
            units[0] = unit as u16;
            Some((3, 1))
        }
        0xF0..=0xF4 => {
            let code = (first & 0x07) << 18 | more(1)? << 12 | more(2)? << 6 | more(3)?;
            let above = code.checked_sub(0x1_0000).filter(|&it| it < 0x10_0000)?;
            units[0] = 0xD800 | (above >> 10) as u16;
            units[1] = 0xDC00 | (above & 0x3FF) as u16;
            Some((4, 2))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_decoded_at_every_place_in_a_lane() {
        let characters = (0..=0x10_FFFF).filter_map(char::from_u32);
        let mut text = String::new();
        for (index, character) in characters.enumerate() {
            text.push_str(&"abcdefghijk"[..index % 12]);
            text.push(character);
        }
        let expected: Vec<u16> = text.encode_utf16().collect();
        assert!(from_utf8(text.as_bytes()) == expected);
        let mut units = vec![0; text.len() + LANE];
        assert_eq!(decode(text.as_bytes(), &mut units), Some(expected.len()));
    }

    #[test]
    fn short_texts_are_decoded() {
        for text in ["", "a", "ü", "日本", "🎉", "a🎉b", "1234567é", "12345678é"] {
            assert_eq!(
                from_utf8(text.as_bytes()),
                text.encode_utf16().collect::<Vec<_>>(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_utf8_is_decoded_as_everywhere_else() {
        let mut invalid: Vec<Vec<u8>> = Vec::new();
        for first in 0x80..=0xFF {
            for second in [
                0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF,
            ] {
                for length in 1..=4 {
                    let character = [first, second, 0x80, 0x80];
                    invalid.push([b"before ", &character[..length], b" and after"].concat());
                    invalid.push(character[..length].to_vec());
                }
            }
        }
        for bytes in invalid {
            let expected: Vec<u16> = String::from_utf8_lossy(&bytes).encode_utf16().collect();
            assert_eq!(from_utf8(&bytes), expected, "{bytes:x?}");
        }
    }
}
