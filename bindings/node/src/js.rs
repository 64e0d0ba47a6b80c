//! JavaScript values, made and read through the C interface of Node-API. The typed layer of the `napi` crate costs
//! about half a microsecond a call, which is more than a whole read from memory may take.

use std::ffi::{CStr, c_void};
use std::ptr;

use agent_backend::{memory, pool};
use bytes::{Bytes, BytesMut};
use napi::sys;

/// From this size on a buffer is handed to JavaScript as it is; below, a copy is cheaper.
const EXTERNAL_BUFFER_BYTES: usize = 32 << 10;

/// An environment of Node, for the time of one call into this library.
///
/// Each method gives a value that lives as long as the innermost handle scope. Where Node refuses (a worker that is
/// being terminated), the value is null, which every other method, and Node itself as a return value, takes for
/// `undefined`.
#[derive(Clone, Copy, Debug)]
pub struct Js(pub sys::napi_env);

impl Js {
    /// `undefined`.
    pub fn undefined(self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is the one that called us; `value` is written or left null.
        unsafe { sys::napi_get_undefined(self.0, &mut value) };
        value
    }

    /// `null`.
    pub fn null(self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_get_null(self.0, &mut value) };
        value
    }

    /// A boolean.
    pub fn boolean(self, boolean: bool) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_get_boolean(self.0, boolean, &mut value) };
        value
    }

    /// A number.
    pub fn number(self, number: f64) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_create_double(self.0, number, &mut value) };
        value
    }

    /// A string from UTF-8; what is not UTF-8 becomes U+FFFD, as in `Buffer.toString`.
    pub fn utf8(self, text: &[u8]) -> sys::napi_value {
        if text.is_ascii() {
            return self.latin1(text);
        }
        let mut value = ptr::null_mut();
        // SAFETY: pointer and length are those of a slice, which Node copies.
        unsafe {
            sys::napi_create_string_utf8(self.0, text.as_ptr().cast(), length_of(text), &mut value);
        }
        value
    }

    /// A string, one character from each byte.
    pub fn latin1(self, text: &[u8]) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as above.
        unsafe {
            sys::napi_create_string_latin1(
                self.0,
                text.as_ptr().cast(),
                length_of(text),
                &mut value,
            );
        }
        value
    }

    /// A string from UTF-16.
    pub fn utf16(self, text: &[u16]) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as above.
        unsafe {
            sys::napi_create_string_utf16(self.0, text.as_ptr(), length_of(text), &mut value);
        }
        value
    }

    /// A `Buffer` that nobody else sees: bytes that are held elsewhere too are copied.
    pub fn buffer(self, bytes: Bytes) -> sys::napi_value {
        if bytes.len() < EXTERNAL_BUFFER_BYTES {
            let mut value = ptr::null_mut();
            // SAFETY: pointer and length are those of a slice, which Node copies.
            unsafe {
                sys::napi_create_buffer_copy(
                    self.0,
                    bytes.len(),
                    bytes.as_ptr().cast(),
                    ptr::null_mut(),
                    &mut value,
                );
            }
            return value;
        }
        let bytes = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        self.external_buffer(bytes)
    }

    fn external_buffer(self, bytes: BytesMut) -> sys::napi_value {
        unsafe extern "C" fn release(_: sys::napi_env, _: *mut c_void, owner: *mut c_void) {
            // SAFETY: `owner` is the box given to Node below, which finalises it once.
            let owner = unsafe { Box::from_raw(owner.cast::<BytesMut>()) };
            // Giving hundreds of megabytes back to the system takes tens of milliseconds.
            if owner.len() >= memory::LARGE {
                pool::detach(move || memory::give_back(Vec::from(*owner)));
            }
        }
        let mut value = ptr::null_mut();
        let mut owner = Box::new(bytes);
        let (data, length) = (owner.as_mut_ptr(), owner.len());
        let owner = Box::into_raw(owner);
        // SAFETY: the memory belongs to `owner`, which lives until `release`, and nobody else refers to it.
        let status = unsafe {
            sys::napi_create_external_buffer(
                self.0,
                length,
                data.cast(),
                Some(release),
                owner.cast(),
                &mut value,
            )
        };
        if status == sys::Status::napi_no_external_buffers_allowed {
            // An embedder without external memory (Electron) takes a copy. After any other failure Node has already
            // finalised the box.
            // SAFETY: Node did not adopt the box, so that it is still ours.
            unsafe {
                let owner = Box::from_raw(owner);
                sys::napi_create_buffer_copy(
                    self.0,
                    owner.len(),
                    owner.as_ptr().cast(),
                    ptr::null_mut(),
                    &mut value,
                );
            }
        }
        value
    }

    /// A `Float64Array`.
    pub fn float64_array(self, numbers: &[f64]) -> sys::napi_value {
        let (mut data, mut memory, mut value) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: Node gives memory of the size asked for, aligned for any type; nothing is copied where it refused.
        unsafe {
            sys::napi_create_arraybuffer(self.0, size_of_val(numbers), &mut data, &mut memory);
            if data.is_null() && !numbers.is_empty() {
                return ptr::null_mut();
            }
            if !numbers.is_empty() {
                ptr::copy_nonoverlapping(numbers.as_ptr(), data.cast(), numbers.len());
            }
            sys::napi_create_typedarray(
                self.0,
                sys::TypedarrayType::float64_array,
                numbers.len(),
                memory,
                0,
                &mut value,
            );
        }
        value
    }

    /// An array.
    pub fn array(self, values: impl ExactSizeIterator<Item = sys::napi_value>) -> sys::napi_value {
        let mut array = ptr::null_mut();
        // SAFETY: all values belong to this environment.
        unsafe {
            sys::napi_create_array_with_length(self.0, values.len(), &mut array);
            for (index, value) in (0u32..).zip(values) {
                sys::napi_set_element(self.0, array, index, value);
            }
        }
        array
    }

    /// An array of strings.
    pub fn strings<T: AsRef<[u8]>>(self, texts: &[T]) -> sys::napi_value {
        // A scope for each lot, since ten thousand handles in one scope slow every collection down.
        let mut array = ptr::null_mut();
        // SAFETY: scopes are closed in the order opposite to that of opening, and no handle leaves its scope.
        unsafe {
            sys::napi_create_array_with_length(self.0, texts.len(), &mut array);
            let mut index = 0u32;
            for lot in texts.chunks(512) {
                self.scoped(|| {
                    for text in lot {
                        sys::napi_set_element(self.0, array, index, self.utf8(text.as_ref()));
                        index += 1;
                    }
                });
            }
        }
        array
    }

    /// Names with a NUL between each two, as one string: far cheaper than as many, and `ts/native.ts` takes it apart.
    pub fn joined<T: AsRef<[u8]>>(self, names: &[T]) -> sys::napi_value {
        let length: usize = names.iter().map(|name| name.as_ref().len() + 1).sum();
        let mut text = Vec::with_capacity(length);
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                text.push(0);
            }
            text.extend_from_slice(name.as_ref());
        }
        self.utf8(&text)
    }

    /// An empty object.
    pub fn object(self) -> sys::napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_create_object(self.0, &mut value) };
        value
    }

    /// Sets a property.
    pub fn set(self, object: sys::napi_value, name: &CStr, value: sys::napi_value) {
        // SAFETY: both values belong to this environment; the name ends with NUL.
        unsafe { sys::napi_set_named_property(self.0, object, name.as_ptr(), value) };
    }

    /// Sets a property whose name is a value too.
    pub fn set_key(self, object: sys::napi_value, name: sys::napi_value, value: sys::napi_value) {
        // SAFETY: all values belong to this environment.
        unsafe { sys::napi_set_property(self.0, object, name, value) };
    }

    /// Runs `f` in a handle scope of its own.
    pub fn scoped<T>(self, f: impl FnOnce() -> T) -> T {
        let mut scope = ptr::null_mut();
        // SAFETY: the scope is closed right after `f`, on the same thread; a null scope is refused by Node.
        unsafe { sys::napi_open_handle_scope(self.0, &mut scope) };
        let result = f();
        if !scope.is_null() {
            // SAFETY: as above.
            unsafe { sys::napi_close_handle_scope(self.0, scope) };
        }
        result
    }

    /// What kind of value this is.
    pub fn kind(self, value: sys::napi_value) -> sys::napi_valuetype {
        let mut kind = sys::ValueType::napi_undefined;
        if !value.is_null() {
            // SAFETY: the value belongs to this environment.
            unsafe { sys::napi_typeof(self.0, value, &mut kind) };
        }
        kind
    }

    /// Keeps a value alive until [`Js::release`].
    pub fn retain(self, value: sys::napi_value) -> sys::napi_ref {
        let mut reference = ptr::null_mut();
        // SAFETY: the value belongs to this environment.
        unsafe { sys::napi_create_reference(self.0, value, 1, &mut reference) };
        reference
    }

    /// Gives up what [`Js::retain`] gave.
    pub fn release(self, reference: sys::napi_ref) {
        if !reference.is_null() {
            // SAFETY: the reference was made in this environment and is not used again.
            unsafe { sys::napi_delete_reference(self.0, reference) };
        }
    }

    /// The value behind a reference.
    pub fn referenced(self, reference: sys::napi_ref) -> sys::napi_value {
        let mut value = ptr::null_mut();
        if !reference.is_null() {
            // SAFETY: the reference was made in this environment and is still held.
            unsafe { sys::napi_get_reference_value(self.0, reference, &mut value) };
        }
        value
    }

    /// Calls a function of the caller's. What it throws is an uncaught exception, as with an event emitter: it must
    /// not change the outcome of the operation that it was told of.
    pub fn call(self, function: sys::napi_value, arguments: &[sys::napi_value]) {
        let mut result = ptr::null_mut();
        // SAFETY: all values belong to this environment.
        unsafe {
            let status = sys::napi_call_function(
                self.0,
                self.undefined(),
                function,
                arguments.len(),
                arguments.as_ptr(),
                &mut result,
            );
            if status == sys::Status::napi_pending_exception {
                let mut exception = ptr::null_mut();
                sys::napi_get_and_clear_last_exception(self.0, &mut exception);
                if !exception.is_null() {
                    sys::napi_fatal_exception(self.0, exception);
                }
            }
        }
    }
}

fn length_of<T>(slice: &[T]) -> isize {
    // A slice is never longer than `isize::MAX` bytes.
    isize::try_from(slice.len()).unwrap_or(isize::MAX)
}
