//! Text on its way to JavaScript. V8 keeps a string as Latin-1 or as UTF-16; making either from UTF-8 on the JavaScript
//! thread would hold the event loop for milliseconds per megabyte, so what is large is decoded on the pool.

use std::future::Future;

use agent_backend::call::Call;
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::pool;
use bytes::Bytes;
use napi::sys;

use crate::external;
use crate::js::Js;
use crate::utf16;

/// V8's longest string, in characters, and so a bound on bytes of UTF-8 that is never too small to be safe.
pub const MAX_TEXT_BYTES: u64 = (1 << 29) - 24;

/// The longest `Buffer` of every Node version that we run on.
pub const MAX_BUFFER_BYTES: u64 = 1 << 32;

/// From this size on text is decoded on the pool.
const DECODE_ELSEWHERE: usize = 64 << 10;

/// From this size on that is worth a hop even for text that was there at once.
const LEAVE_THREAD: usize = 256 << 10;

/// Text in a form that V8 takes.
#[derive(Debug)]
pub enum Text {
    /// Small, whatever it is.
    Utf8(Bytes),
    /// Large, one byte per character.
    Latin1(Bytes),
    /// Large, with other characters.
    Utf16(Vec<u16>),
}

impl Text {
    /// Decodes; takes about a millisecond per megabyte. What is not UTF-8 becomes U+FFFD.
    pub fn decode(bytes: Bytes) -> Self {
        if bytes.is_ascii() {
            return Text::Latin1(bytes);
        }
        if encoding_rs::mem::is_utf8_latin1(&bytes) {
            let mut text = vec![0; bytes.len()];
            let length = encoding_rs::mem::convert_utf8_to_latin1_lossy(&bytes, &mut text);
            text.truncate(length);
            return Text::Latin1(text.into());
        }
        Text::Utf16(utf16::from_utf8(&bytes))
    }

    /// The string. V8 takes large text as it is, so that the JavaScript thread copies nothing.
    pub fn into_js(self, js: Js) -> sys::napi_value {
        match self {
            Text::Utf8(bytes) => js.utf8(&bytes),
            Text::Latin1(bytes) => external::latin1(js, bytes),
            Text::Utf16(units) => external::utf16(js, units),
        }
    }
}

/// Decodes the text within the outcome of a call, off the JavaScript thread where it is large.
pub fn decoded<T: Send + 'static, U: Send + 'static>(
    call: Call<T>,
    bytes_of: fn(&T) -> &Bytes,
    with_text: fn(T, Text) -> U,
) -> Call<U> {
    let small = move |value: T| {
        let text = Text::Utf8(bytes_of(&value).clone());
        with_text(value, text)
    };
    let large = move |value: T| -> Result<U> {
        let text = Text::decode(bytes_of(&value).clone());
        Ok(with_text(value, text))
    };
    let call = call.map_err(explain_too_large);
    match call {
        Call::Ready(Ok(value)) if bytes_of(&value).len() < LEAVE_THREAD => Call::ok(small(value)),
        Call::Ready(Ok(value)) => Call::blocking(move || large(value)),
        Call::Ready(Err(error)) => Call::err(error),
        Call::Pending(future) => Call::pending(decode_later(future, bytes_of, small, large)),
    }
}

async fn decode_later<T: Send + 'static, U: Send + 'static>(
    future: impl Future<Output = Result<T>> + Send,
    bytes_of: fn(&T) -> &Bytes,
    small: impl FnOnce(T) -> U + Send,
    large: impl FnOnce(T) -> Result<U> + Send + 'static,
) -> Result<U> {
    let value = future.await?;
    if bytes_of(&value).len() < DECODE_ELSEWHERE {
        return Ok(small(value));
    }
    pool::run(move || large(value)).await
}

/// Says what to do about a file that no JavaScript string can hold.
fn explain_too_large(error: Error) -> Error {
    if error.code() != ErrorCode::TooLarge {
        return error;
    }
    let mut explained = Error::new(
        ErrorCode::TooLarge,
        "the content is longer than a JavaScript string can be (512 MiB); read it with encoding 'buffer', or in \
         ranges",
    );
    if let Some(path) = error.path() {
        explained = explained.at(path);
    }
    if let Some(operation) = error.operation() {
        explained = explained.during(operation);
    }
    explained.with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> String {
        match Text::decode(Bytes::copy_from_slice(bytes)) {
            Text::Latin1(bytes) => bytes.iter().map(|&b| char::from(b)).collect(),
            Text::Utf16(units) => String::from_utf16(&units).unwrap(),
            Text::Utf8(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    #[test]
    fn text_keeps_its_characters_in_the_narrowest_form() {
        for text in ["", "plain", "Grüße", "日本語 🎉", "a\u{0}b", "\u{feff}bom"] {
            assert_eq!(decode(text.as_bytes()), text);
        }
        let narrow = Text::decode(Bytes::from("Grüße"));
        assert!(matches!(narrow, Text::Latin1(bytes) if bytes.len() == 5));
    }

    #[test]
    fn what_is_not_utf8_becomes_the_replacement_character() {
        for bytes in [
            &b"\xff"[..],
            b"a\xc3",
            b"\xed\xa0\x80",
            b"\xf0\x9f\x8e",
            b"ok \xc3\x28",
        ] {
            assert_eq!(decode(bytes), String::from_utf8_lossy(bytes), "{bytes:?}");
        }
    }
}
