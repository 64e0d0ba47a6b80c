//! What a caller should know about the wall around commands.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Mutex, PoisonError};

use agent_backend::backend::Backend as _;
use agent_backend::error::Result;
use napi::sys;

use super::Native;
use crate::arguments::Arguments;

/// `runsAs(): [uid, gid]` of the commands of this scope; `[]` where there are none.
pub fn runs_as(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let js = arguments.js;
    let Some(local) = &native.local else {
        return Ok(js.array([].into_iter()));
    };
    let runs_as = local.runs_as(native.workspace.scope_path())?;
    let pair = [runs_as.uid, runs_as.gid].map(|number| js.number(f64::from(number)));
    Ok(js.array(pair.into_iter()))
}

/// `hostTools(): string[]`, the directories outside the system's own that commands see behind a kernel wall.
pub fn host_tools(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let paths: Vec<&[u8]> = match &native.local {
        Some(local) if local.launcher().isolation()?.is_kernel_wall() => {
            let shown = local.launcher().shown_tools().iter();
            shown.map(|path| path.as_os_str().as_bytes()).collect()
        }
        _ => Vec::new(),
    };
    Ok(arguments.js.strings(&paths))
}

/// `weakness(): string | undefined`: why `auto` took a weak level, told once for each root in the life of this process;
/// empty where there is nothing to tell, `undefined` until a level was taken.
pub fn weakness(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    static TOLD: Mutex<Option<HashSet<Vec<u8>>>> = Mutex::new(None);
    let js = arguments.js;
    let Some(local) = &native.local else {
        return Ok(js.latin1(b""));
    };
    let Some(known) = local.launcher().known_weakness() else {
        return Ok(js.undefined());
    };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let root = local.root_dir();
    let text = match known {
        Some(weakness) if told.get_or_insert_default().insert(root.to_vec()) => {
            format!("{}: {weakness}", String::from_utf8_lossy(root))
        }
        _ => String::new(),
    };
    Ok(js.utf8(text.as_bytes()))
}
