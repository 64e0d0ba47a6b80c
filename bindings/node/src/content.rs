//! What JavaScript wants written. A large buffer is passed by reference and read by other threads, so that the event
//! loop does not wait for a copy of it.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;

use agent_backend::backend::Content;
use agent_backend::error::Result;
use bytes::Bytes;
use napi::sys;

use crate::arguments::Arguments;
use crate::delivery::{Delivery, Reference};
use crate::error::wrong_type;

use crate::queue::Queue;

/// From this size on a buffer is lent instead of copied.
const LENT_BYTES: usize = 64 << 10;
/// Strings up to about this size take one call into Node.
const SHORT_TEXT_BYTES: usize = 8 << 10;

/// Reads a string, or the bytes of a typed array.
pub fn content(arguments: &Arguments<'_>, index: usize) -> Result<Content> {
    let value = arguments.values[index];
    if let Some(text) = text(arguments, value) {
        return Ok(Content::owned(text));
    }
    let (data, length) = bytes_of(arguments, value)
        .ok_or_else(|| wrong_type("the content", "a string, a Buffer or a Uint8Array"))?;
    if length == 0 {
        return Ok(Content::owned(Bytes::new()));
    }
    if length < LENT_BYTES {
        // SAFETY: Node says that the array has this many bytes at this address, and no JavaScript runs meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(data, length) };
        return Ok(Content::owned(Bytes::copy_from_slice(bytes)));
    }
    let queue = Arc::clone(&arguments.environment.queue);
    queue.lend();
    Ok(Content::shared(Bytes::from_owner(Lent {
        data,
        length,
        reference: arguments.js.retain(value),
        queue,
    })))
}

fn text(arguments: &Arguments<'_>, value: sys::napi_value) -> Option<Vec<u8>> {
    let mut room = [const { MaybeUninit::<u8>::uninit() }; SHORT_TEXT_BYTES];
    let mut length = 0;
    // SAFETY: Node writes at most as many bytes as there is room for, and says how many.
    let status = unsafe {
        sys::napi_get_value_string_utf8(
            arguments.js.0,
            value,
            room.as_mut_ptr().cast(),
            room.len(),
            &mut length,
        )
    };
    if status != sys::Status::napi_ok {
        return None;
    }
    if length + 5 <= room.len() {
        // SAFETY: the first `length` bytes were written.
        let text = unsafe { std::slice::from_raw_parts(room.as_ptr().cast::<u8>(), length) };
        return Some(text.to_vec());
    }
    Some(arguments.long_text(value))
}

/// Where the bytes of a typed array are, and how many.
fn bytes_of(arguments: &Arguments<'_>, value: sys::napi_value) -> Option<(*const u8, usize)> {
    let js = arguments.js;
    let (mut kind, mut length, mut data) = (0, 0, ptr::null_mut());
    // SAFETY: Node checks that it is a typed array.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            js.0,
            value,
            &mut kind,
            &mut length,
            &mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if status != sys::Status::napi_ok || data.is_null() && length > 0 {
        return None;
    }
    use sys::TypedarrayType as T;
    let width = match kind {
        T::int16_array | T::uint16_array => 2,
        T::int32_array | T::uint32_array | T::float32_array => 4,
        T::float64_array | T::bigint64_array | T::biguint64_array => 8,
        _ => 1,
    };
    Some((data.cast_const().cast(), length * width))
}

/// A buffer of JavaScript's that is being read. The environment's end waits for it (see [`Queue::wait_for_lent`]).
struct Lent {
    data: *const u8,
    length: usize,
    reference: sys::napi_ref,
    queue: Arc<Queue>,
}

// SAFETY: the memory stays where it is while the reference is held; other threads only read it. Its owner may change
// it meanwhile, which `Content::shared` tells the core.
unsafe impl Send for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: see above.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.queue
            .give_back(Delivery::Release(Reference(self.reference)));
    }
}
