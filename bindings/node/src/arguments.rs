//! What a call from JavaScript passes.

use std::mem::MaybeUninit;
use std::ptr;
use std::rc::Rc;

use agent_backend::error::{Error, ErrorCode, Result};
use napi::bindgen_prelude::FromNapiValue;
use napi::sys;
use tokio_util::sync::CancellationToken;

use crate::delivery::Callback;
use crate::environment::Environment;
use crate::error::wrong_type;
use crate::js::Js;
use crate::workspace::token_of;

/// The most arguments that a method has.
pub const MAX_ARGUMENTS: usize = 8;

/// The arguments of one call.
pub struct Arguments<'call> {
    /// The values of the environment.
    pub js: Js,
    /// Its state.
    pub environment: &'call Rc<Environment>,
    /// What was passed, `undefined` where nothing was.
    pub values: [sys::napi_value; MAX_ARGUMENTS],
}

/// Room for the text of one argument, on the stack for nearly every path.
pub struct TextRoom {
    short: [MaybeUninit<u8>; 1024],
    long: Vec<u8>,
}

impl TextRoom {
    /// Empty room; nothing is cleared, because every byte that is read has been written.
    pub fn new() -> Self {
        Self {
            short: [const { MaybeUninit::uninit() }; 1024],
            long: Vec::new(),
        }
    }
}

impl Arguments<'_> {
    /// A path or another text. Lone surrogates become U+FFFD, as in `Buffer.from`.
    pub fn text<'room>(
        &self,
        index: usize,
        what: &str,
        room: &'room mut TextRoom,
    ) -> Result<&'room [u8]> {
        let mut length = 0;
        let capacity = room.short.len();
        // SAFETY: Node writes at most `capacity` bytes and says how many.
        let status = unsafe {
            sys::napi_get_value_string_utf8(
                self.js.0,
                self.values[index],
                room.short.as_mut_ptr().cast(),
                capacity,
                &mut length,
            )
        };
        if status != sys::Status::napi_ok {
            return Err(wrong_type(what, "a string"));
        }
        // Node stops at a character that does not fit as a whole, which has at most four bytes, and adds a NUL.
        if length + 5 <= capacity {
            // SAFETY: the first `length` bytes were written.
            return Ok(unsafe { std::slice::from_raw_parts(room.short.as_ptr().cast(), length) });
        }
        room.long = self.long_text(self.values[index]);
        Ok(&room.long)
    }

    /// A path.
    pub fn path<'room>(&self, index: usize, room: &'room mut TextRoom) -> Result<&'room [u8]> {
        self.text(index, "the path", room)
    }

    /// A string of any length as UTF-8; the value must be a string.
    pub fn long_text(&self, value: sys::napi_value) -> Vec<u8> {
        let mut length = 0;
        // SAFETY: without memory to write to, Node only measures; then it writes what it measured and a NUL.
        unsafe {
            sys::napi_get_value_string_utf8(self.js.0, value, ptr::null_mut(), 0, &mut length);
            let mut bytes: Vec<u8> = Vec::with_capacity(length + 1);
            let room = bytes.as_mut_ptr().cast();
            sys::napi_get_value_string_utf8(self.js.0, value, room, length + 1, &mut length);
            bytes.set_len(length);
            bytes
        }
    }

    /// A text that is kept.
    pub fn string(&self, index: usize, what: &str) -> Result<String> {
        let mut room = TextRoom::new();
        let text = self.text(index, what, &mut room)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// A text that is kept, or nothing.
    pub fn optional_string(&self, index: usize, what: &str) -> Result<Option<String>> {
        if self.is_missing(index) {
            return Ok(None);
        }
        self.string(index, what).map(Some)
    }

    /// Whether an argument is `undefined` or `null`.
    pub fn is_missing(&self, index: usize) -> bool {
        let kind = self.js.kind(self.values[index]);
        kind == sys::ValueType::napi_undefined || kind == sys::ValueType::napi_null
    }

    /// A number, or nothing.
    pub fn number(&self, index: usize) -> Option<f64> {
        let mut number = 0.0;
        // SAFETY: Node checks the type.
        let status =
            unsafe { sys::napi_get_value_double(self.js.0, self.values[index], &mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// A count (a size, an offset, a limit), or nothing.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "checked to be a whole number that a double holds exactly"
    )]
    pub fn count(&self, index: usize, what: &str) -> Result<Option<u64>> {
        const MAX_SAFE: f64 = ((1u64 << 53) - 1) as f64;
        if self.is_missing(index) {
            return Ok(None);
        }
        match self.number(index) {
            Some(number) if number.fract() == 0.0 && (0.0..=MAX_SAFE).contains(&number) => {
                Ok(Some(number as u64))
            }
            _ => Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!("{what} must be a whole number that is not negative"),
            )),
        }
    }

    /// Bits, 0 where nothing was passed.
    pub fn flags(&self, index: usize) -> u32 {
        let mut flags = 0;
        // SAFETY: Node checks the type, and writes nothing where it is not a number.
        unsafe { sys::napi_get_value_uint32(self.js.0, self.values[index], &mut flags) };
        flags
    }

    /// A boolean, `false` where nothing was passed.
    pub fn boolean(&self, index: usize) -> bool {
        let mut boolean = false;
        // SAFETY: Node checks the type, and writes nothing where it is not a boolean.
        unsafe { sys::napi_get_value_bool(self.js.0, self.values[index], &mut boolean) };
        boolean
    }

    /// An object of options, or the defaults where nothing was passed.
    pub fn options<T: FromNapiValue + Default>(&self, index: usize) -> Result<T> {
        if self.is_missing(index) {
            return Ok(T::default());
        }
        // SAFETY: the value belongs to this environment, on whose thread we are.
        unsafe { T::from_napi_value(self.js.0, self.values[index]) }
            .map_err(|error| Error::new(ErrorCode::InvalidConfiguration, error.reason.clone()))
    }

    /// A function, held as long as the callback lives; or nothing.
    pub fn callback(&self, index: usize) -> Option<std::sync::Arc<Callback>> {
        let value = self.values[index];
        (self.js.kind(value) == sys::ValueType::napi_function)
            .then(|| Callback::new(self.environment, value))
    }

    /// What ends the call early; where nothing was passed, a token that nobody holds.
    pub fn cancellation(&self, index: usize) -> Result<CancellationToken> {
        if self.is_missing(index) {
            return Ok(CancellationToken::new());
        }
        token_of(self.js, self.values[index])
    }
}
