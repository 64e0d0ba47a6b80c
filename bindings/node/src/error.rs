//! The one place where an error of the core becomes a JavaScript `Error`.
//!
//! It crosses as data: a plain `Error` with `code`, `operation`, `path` and, after a failed command, what it printed.
//! `ts/native.ts` turns it into the class that callers branch on, with the caller's stack.

use agent_backend::error::{Error, ErrorCode};
use bytes::Bytes;
use napi::sys;

use crate::js::Js;

/// A JavaScript `Error` that says all that the core's error says.
pub fn to_js(js: Js, error: &Error) -> sys::napi_value {
    let code = js.latin1(error.code().as_str().as_bytes());
    let message = js.utf8(error.to_string().as_bytes());
    let mut object = std::ptr::null_mut();
    // SAFETY: both strings were just made in this environment.
    unsafe { sys::napi_create_error(js.0, code, message, &mut object) };
    if let Some(operation) = error.operation() {
        js.set(object, c"operation", js.latin1(operation.as_bytes()));
    }
    if let Some(path) = error.path() {
        js.set(object, c"path", js.utf8(path.as_bytes()));
    }
    if let Some(limit) = error.limit() {
        js.set(object, c"limit", js.latin1(limit.as_str().as_bytes()));
    }
    if let Some(source) = std::error::Error::source(error) {
        let message = js.utf8(source.to_string().as_bytes());
        let mut cause = std::ptr::null_mut();
        // SAFETY: as above; an error without a code.
        unsafe { sys::napi_create_error(js.0, std::ptr::null_mut(), message, &mut cause) };
        js.set(object, c"cause", cause);
    }
    if let Some(failure) = error.failure() {
        if let Some(code) = failure.exit_code {
            js.set(object, c"exitCode", js.number(code.into()));
        }
        if let Some(signal) = failure.signal {
            js.set(object, c"signal", js.latin1(signal.as_bytes()));
        }
        let bytes = |bytes: &[u8]| js.buffer(Bytes::copy_from_slice(bytes));
        js.set(object, c"stdout", bytes(&failure.stdout));
        js.set(object, c"stderr", bytes(&failure.stderr));
    }
    object
}

/// Throws in JavaScript as soon as control is back there.
pub fn throw(js: Js, error: &Error) {
    let object = to_js(js, error);
    if !object.is_null() {
        // SAFETY: the error was just made in this environment.
        unsafe { sys::napi_throw(js.0, object) };
    }
}

/// What a panic becomes: it must never cross into Node, which it would take down.
pub fn internal() -> Error {
    Error::new(
        ErrorCode::IoError,
        "an internal error ended the operation; please report it",
    )
}

/// An argument of the wrong type, which `ts/` lets through only where it checks nothing for speed.
pub fn wrong_type(what: &str, expected: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        format!("{what} must be {expected}"),
    )
}
