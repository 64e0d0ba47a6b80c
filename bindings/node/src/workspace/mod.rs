//! `NativeWorkspace`, the class that `ts/` wraps. Its methods have flat signatures (a path, numbers, flags) and give
//! either the value itself or, where the call goes on, a promise of it: `await` takes both.
//!
//! `native-workspace.d.ts` declares it; the table below is in the same order.

mod access;
mod background;
mod batch;
mod commands;
mod files;
mod life;
mod limits;
mod remote;
mod search;
mod session;
mod tools;
mod wall;

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use agent_backend::backend::local::LocalBackend;
use agent_backend::backend::remote::connection::Connection;
use agent_backend::error::{ErrorCode, Result};
use agent_backend::workspace::Workspace;
use napi::sys;
use tokio_util::sync::DropGuard;

use crate::arguments::{Arguments, MAX_ARGUMENTS};
use crate::environment::Environment;
use crate::error;
use crate::js::Js;

pub use access::NativeAccessQuestion;
pub use background::token_of;

/// A method: what it gives is returned, its error is thrown.
type Method = fn(&Native, &Arguments<'_>) -> Result<sys::napi_value>;

/// A static method, which makes the receiver of others.
type Factory = fn(&Arguments<'_>) -> Result<Made>;

/// A workspace, and the local backend or the connection below it where there is one: what only those can tell is asked
/// there.
pub struct Made {
    workspace: Workspace,
    local: Option<Arc<LocalBackend>>,
    remote: Option<Arc<Connection>>,
}

/// What a JavaScript object holds.
struct Native {
    environment: Rc<Environment>,
    workspace: Workspace,
    local: Option<Arc<LocalBackend>>,
    remote: Option<Arc<Connection>>,
    /// Ends what tells JavaScript of the connection.
    watch: RefCell<Option<DropGuard>>,
}

const METHODS: &[(&CStr, Method)] = &[
    (c"readText", files::read_text),
    (c"readBuffer", files::read_buffer),
    (c"readWithStat", files::read_with_stat),
    (c"write", files::write),
    (c"stat", files::stat),
    (c"lstat", files::lstat),
    (c"exists", files::exists),
    (c"list", files::list),
    (c"listWithStats", files::list_with_stats),
    (c"mkdir", files::mkdir),
    (c"rm", files::rm),
    (c"rename", files::rename),
    (c"touch", files::touch),
    (c"batch", batch::batch),
    (c"glob", search::glob),
    (c"grep", search::grep),
    (c"tree", search::tree),
    (c"edit", search::edit),
    (c"run", commands::run),
    (c"spawn", commands::spawn),
    (c"keys", files::keys),
    (c"deleteKey", files::delete_key),
    (c"clear", files::clear),
    (c"listTools", tools::list_tools),
    (c"callTool", tools::call_tool),
    (c"connectMcp", session::connect_mcp),
    (c"scope", life::scope),
    (c"describe", life::describe),
    (c"isolation", life::isolation),
    (c"runsAs", wall::runs_as),
    (c"hostTools", wall::host_tools),
    (c"weakness", wall::weakness),
    (c"limitEnforcement", limits::limit_enforcement),
    (c"activeScopes", life::active_scopes),
    (c"status", life::status),
    (c"watchStatus", remote::watch_status),
    (c"connect", remote::connect),
    (c"destroy", life::destroy),
];

const FACTORIES: &[(&CStr, Factory)] = &[
    (c"local", life::local),
    (c"memory", life::memory),
    (c"remote", remote::remote),
];

/// Defines the class.
pub fn define(environment: &Environment) {
    let js = environment.js;
    let method = |&(name, method): &(&CStr, Method)| property(name, call_method, method as _, 0);
    let factory = |&(name, factory): &(&CStr, Factory)| {
        let attributes = sys::PropertyAttributes::static_;
        property(name, call_factory, factory as _, attributes)
    };
    let properties: Vec<_> = METHODS
        .iter()
        .map(method)
        .chain(FACTORIES.iter().map(factory))
        .collect();
    let name = c"NativeWorkspace";
    let mut class = ptr::null_mut();
    // SAFETY: names end with NUL, and each callback gets the data that it expects.
    unsafe {
        sys::napi_define_class(
            js.0,
            name.as_ptr(),
            name.count_bytes() as isize,
            Some(construct),
            ptr::null_mut(),
            properties.len(),
            properties.as_ptr(),
            &mut class,
        );
    }
    environment.class.set(js.retain(class));
}

/// The object `NativeAddon` of the declarations.
pub fn offer(environment: &Environment) -> sys::napi_value {
    let js = environment.js;
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let object = js.object();
    js.set(
        object,
        c"NativeWorkspace",
        js.referenced(environment.class.get()),
    );
    js.set(object, c"statArray", environment.stat_array());
    js.set(object, c"errorCodes", js.strings(&codes));
    object
}

fn property(
    name: &CStr,
    callback: unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
    data: *mut c_void,
    attributes: sys::napi_property_attributes,
) -> sys::napi_property_descriptor {
    sys::napi_property_descriptor {
        utf8name: name.as_ptr(),
        name: ptr::null_mut(),
        method: Some(callback),
        getter: None,
        setter: None,
        value: ptr::null_mut(),
        attributes,
        data,
    }
}

/// What Node says about one call.
struct Frame {
    this: sys::napi_value,
    arguments: [sys::napi_value; MAX_ARGUMENTS],
    data: *mut c_void,
}

/// Reads a call's frame.
///
/// # Safety
/// `info` must be that of the call that is running.
unsafe fn frame(env: sys::napi_env, info: sys::napi_callback_info) -> Frame {
    let mut frame = Frame {
        this: ptr::null_mut(),
        arguments: [ptr::null_mut(); MAX_ARGUMENTS],
        data: ptr::null_mut(),
    };
    let mut count = MAX_ARGUMENTS;
    // SAFETY: there is room for `count` arguments; Node fills the rest with `undefined`.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &mut count,
            frame.arguments.as_mut_ptr(),
            &mut frame.this,
            &mut frame.data,
        );
    }
    frame
}

/// Runs what a callback does: an error is thrown, and a panic is an error.
fn guarded(js: Js, work: impl FnOnce() -> Result<sys::napi_value>) -> sys::napi_value {
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(error::internal()));
    result.unwrap_or_else(|failure| {
        error::throw(js, &failure);
        ptr::null_mut()
    })
}

unsafe extern "C" fn call_method(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let js = Js(env);
    // SAFETY: Node calls us with the frame of this very call; V8 has checked that the receiver is an instance of our
    // class; `data` is the method from the table.
    unsafe {
        let frame = frame(env, info);
        let mut native = ptr::null_mut();
        sys::napi_unwrap(env, frame.this, &mut native);
        let native = native.cast::<Native>();
        if native.is_null() {
            return ptr::null_mut();
        }
        let method = std::mem::transmute::<*mut c_void, Method>(frame.data);
        guarded(js, || {
            let arguments = Arguments {
                js,
                environment: &(*native).environment,
                values: frame.arguments,
            };
            method(&*native, &arguments)
        })
    }
}

unsafe extern "C" fn call_factory(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let js = Js(env);
    // SAFETY: as above; `data` is the factory from the table.
    unsafe {
        let frame = frame(env, info);
        let factory = std::mem::transmute::<*mut c_void, Factory>(frame.data);
        guarded(js, || {
            let environment = Environment::of(js).ok_or_else(error::internal)?;
            let made = factory(&Arguments {
                js,
                environment: &environment,
                values: frame.arguments,
            })?;
            Ok(instance(&environment, made))
        })
    }
}

/// A JavaScript object for a workspace.
fn instance(environment: &Environment, made: Made) -> sys::napi_value {
    environment.newborn.replace(Some(made));
    let class = environment.js.referenced(environment.class.get());
    let mut object = ptr::null_mut();
    // SAFETY: the class belongs to this environment.
    unsafe {
        sys::napi_new_instance(environment.js.0, class, 0, ptr::null(), &mut object);
    }
    environment.newborn.take();
    object
}

unsafe extern "C" fn construct(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let js = Js(env);
    // SAFETY: `frame` as above; the box is Node's from here on, until `finalise`.
    unsafe {
        let frame = frame(env, info);
        guarded(js, || {
            let environment = Environment::of(js).ok_or_else(error::internal)?;
            let Made {
                workspace,
                local,
                remote,
            } = environment
                .newborn
                .take()
                .ok_or_else(|| error::wrong_type("a NativeWorkspace", "made by its factories"))?;
            let native = Box::into_raw(Box::new(Native {
                environment,
                workspace,
                local,
                remote,
                watch: RefCell::default(),
            }));
            let status = sys::napi_wrap(
                js.0,
                frame.this,
                native.cast(),
                Some(finalise),
                ptr::null_mut(),
                ptr::null_mut(),
            );
            if status != sys::Status::napi_ok {
                drop(Box::from_raw(native));
            }
            Ok(frame.this)
        })
    }
}

unsafe extern "C" fn finalise(_: sys::napi_env, native: *mut c_void, _: *mut c_void) {
    // SAFETY: the box given to `napi_wrap`, finalised once.
    let native = unsafe { Box::from_raw(native.cast::<Native>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // What is forgotten goes on (a background command may still be held); what its environment leaves behind ends.
        if native.environment.queue.is_closed() {
            drop(native.workspace.destroy());
        }
        drop(native);
    }));
}
