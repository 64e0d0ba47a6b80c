//! Strings whose characters stay where they are: V8 refers to memory of ours and frees it with the string.
//!
//! Node has had the functions since 20.4 and 18.18, older ones have not, so they are looked up when first needed;
//! without them V8 takes a copy.

use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::OnceLock;

use agent_backend::{memory, pool};
use bytes::Bytes;
use napi::sys;

use crate::js::Js;
use crate::utf16;

/// Below this many bytes a copy is cheaper.
const WORTH_IT: usize = 16 << 10;

type Finalize = unsafe extern "C" fn(sys::napi_env, *mut c_void, *mut c_void);

/// `node_api_create_external_string_latin1` and `_utf16`: memory, characters, what frees it, its hint, the string,
/// and whether V8 took a copy (then the memory has been freed).
type Create<T> = unsafe extern "C" fn(
    sys::napi_env,
    *mut T,
    usize,
    Option<Finalize>,
    *mut c_void,
    *mut sys::napi_value,
    *mut bool,
) -> sys::napi_status;

#[derive(Clone, Copy)]
struct Functions {
    latin1: Create<u8>,
    utf16: Create<u16>,
}

fn functions() -> Option<Functions> {
    static FOUND: OnceLock<Option<Functions>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let find = |name: &CStr| {
            // SAFETY: the name ends with NUL; the process is asked for a symbol, and nothing is loaded.
            let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        let latin1 = find(c"node_api_create_external_string_latin1")?;
        let utf16 = find(c"node_api_create_external_string_utf16")?;
        // SAFETY: Node documents these functions with the types above.
        unsafe {
            Some(Functions {
                latin1: transmute::<*mut c_void, Create<u8>>(latin1),
                utf16: transmute::<*mut c_void, Create<u16>>(utf16),
            })
        }
    })
}

/// What keeps the characters of a string alive.
trait Owner: Send + 'static {
    fn bytes(&self) -> usize;

    /// Ends it, where that may take time.
    fn end(self: Box<Self>);
}

impl Owner for Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn end(self: Box<Self>) {
        if let Ok(alone) = self.try_into_mut() {
            memory::give_back(Vec::from(alone));
        }
    }
}

impl Owner for Vec<u16> {
    fn bytes(&self) -> usize {
        self.len() * size_of::<u16>()
    }

    fn end(self: Box<Self>) {
        utf16::give_back(*self);
    }
}

/// A string, one character from each byte.
pub fn latin1(js: Js, text: Bytes) -> sys::napi_value {
    let Some(functions) = functions().filter(|_| text.bytes() >= WORTH_IT) else {
        return js.latin1(&text);
    };
    // V8 only reads what it is given as mutable.
    let characters = text.as_ptr().cast_mut();
    let length = text.len();
    // SAFETY: the characters belong to `text`, neither moves with it nor change, and live as long as it does.
    unsafe { create(js, functions.latin1, characters, length, text) }
}

/// A string from UTF-16.
pub fn utf16(js: Js, mut text: Vec<u16>) -> sys::napi_value {
    let Some(functions) = functions().filter(|_| text.bytes() >= WORTH_IT) else {
        return js.utf16(&text);
    };
    let (characters, length) = (text.as_mut_ptr(), text.len());
    // SAFETY: as above.
    unsafe { create(js, functions.utf16, characters, length, text) }
}

/// # Safety
/// The characters must live as long as `owner`, wherever that is moved.
unsafe fn create<T, O: Owner>(
    js: Js,
    function: Create<T>,
    characters: *mut T,
    length: usize,
    owner: O,
) -> sys::napi_value {
    let owner = Box::into_raw(Box::new(owner));
    let (mut value, mut copied) = (ptr::null_mut(), false);
    // SAFETY: `free` gets the box once, also where Node takes a copy.
    let status = unsafe {
        function(
            js.0,
            characters,
            length,
            Some(free::<O>),
            owner.cast(),
            &mut value,
            &mut copied,
        )
    };
    if status != sys::Status::napi_ok && value.is_null() {
        // Node refuses arguments and a terminating environment before it takes anything over, and frees nothing.
        // SAFETY: so the box is still ours.
        drop(unsafe { Box::from_raw(owner) });
    }
    value
}

/// Frees the memory of a string. V8 may be collecting garbage meanwhile: nothing of Node's may be called here.
unsafe extern "C" fn free<O: Owner>(_: sys::napi_env, _: *mut c_void, owner: *mut c_void) {
    // SAFETY: the box from `create`, given once.
    let owner = unsafe { Box::from_raw(owner.cast::<O>()) };
    if owner.bytes() >= memory::LARGE {
        pool::detach(move || owner.end());
    }
}
