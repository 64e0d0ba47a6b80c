//! What the npm command asks for: to become the native one.

use std::ffi::CString;

use agent_backend::sys::linux::replace_process;
use napi::bindgen_prelude::{Error, Result};
use napi_derive::napi;

/// Replaces this whole process, workers included, by a program: `execve`, with the environment as it is and the path as
/// the program's own name before `args`. Nothing that Node has yet to write is written. Throws where the program cannot
/// be started, and for a NUL character.
#[napi]
pub fn replace_process(path: String, args: Vec<String>) -> Result<()> {
    let program = text(path)?;
    let mut line = vec![program.clone()];
    for argument in args {
        line.push(text(argument)?);
    }
    let failure = replace_process::replace_process(&program, &line);
    Err(Error::from_reason(format!("execve: {failure}")))
}

fn text(text: String) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Error::from_reason("a path or an argument cannot contain a NUL character"))
}
