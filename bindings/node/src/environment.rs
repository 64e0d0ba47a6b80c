//! What belongs to one Node environment: the main thread, or one worker. Nothing is shared between environments, and
//! the end of one (a terminated worker, in the middle of any call) leaves the others as they are.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use agent_backend::backend::FileStat;
use napi::sys;

use crate::executor::{self, Task};
use crate::js::Js;
use crate::queue::{Queue, TaskId};
use crate::stat;
use crate::workspace::Made;

/// The state of one environment.
pub struct Environment {
    /// Its values.
    pub js: Js,
    /// The way to it from other threads.
    pub queue: Arc<Queue>,
    /// The constructor of `NativeWorkspace`.
    pub class: Cell<sys::napi_ref>,
    /// The workspace that the constructor is being called for.
    pub newborn: RefCell<Option<Made>>,
    pub(crate) tasks: RefCell<HashMap<TaskId, Task>>,
    next_task: Cell<TaskId>,
    waker: Cell<sys::napi_threadsafe_function>,
    stat: StatMemory,
}

/// A `Float64Array` that `stat` writes to: the caller reads it before anything else runs, which spares an allocation
/// for each call.
struct StatMemory {
    array: Cell<sys::napi_ref>,
    numbers: UnsafeCell<*mut f64>,
}

impl Environment {
    /// Makes the state of an environment that has just loaded this library.
    pub fn install(raw: sys::napi_env) -> Rc<Self> {
        let environment = Rc::new(Self {
            js: Js(raw),
            queue: Arc::default(),
            class: Cell::new(ptr::null_mut()),
            newborn: RefCell::default(),
            tasks: RefCell::default(),
            next_task: Cell::new(0),
            waker: Cell::new(ptr::null_mut()),
            stat: StatMemory {
                array: Cell::new(ptr::null_mut()),
                numbers: UnsafeCell::new(ptr::null_mut()),
            },
        });
        environment.create_stat_memory();
        environment.create_waker();
        let data = Rc::into_raw(Rc::clone(&environment)).cast_mut().cast();
        // SAFETY: the instance data is the reference count that was just leaked for it; Node gives it up once.
        unsafe { sys::napi_set_instance_data(raw, data, Some(drop_state), ptr::null_mut()) };
        let hook = Rc::into_raw(Rc::clone(&environment)).cast_mut().cast();
        // Hooks run in the order opposite to that of adding, so this one runs before the waker is taken down.
        // SAFETY: the hook gets the reference count that was just leaked for it, once.
        unsafe { sys::napi_add_env_cleanup_hook(raw, Some(clean_up), hook) };
        environment
    }

    /// The state of an environment that has loaded this library.
    pub fn of(js: Js) -> Option<Rc<Self>> {
        let mut data = ptr::null_mut();
        // SAFETY: the instance data is what `install` set: a counted state, of which this takes one more count.
        unsafe {
            sys::napi_get_instance_data(js.0, &mut data);
            let state = data.cast_const().cast::<Self>();
            if state.is_null() {
                return None;
            }
            Rc::increment_strong_count(state);
            Some(Rc::from_raw(state))
        }
    }

    fn create_stat_memory(&self) {
        let (mut data, mut memory, mut array) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: the memory belongs to an array buffer that a reference keeps; its address does not change.
        unsafe {
            let bytes = stat::LENGTH * size_of::<f64>();
            sys::napi_create_arraybuffer(self.js.0, bytes, &mut data, &mut memory);
            let kind = sys::TypedarrayType::float64_array;
            sys::napi_create_typedarray(self.js.0, kind, stat::LENGTH, memory, 0, &mut array);
            *self.stat.numbers.get() = data.cast();
        }
        self.stat.array.set(self.js.retain(array));
    }

    fn create_waker(&self) {
        let name = self.js.latin1(b"agent-backend");
        let mut waker = ptr::null_mut();
        // SAFETY: the context is this state, which the clean-up hook keeps until the environment's end; after that
        // Node calls back with a null environment, and then the context is not touched.
        unsafe {
            sys::napi_create_threadsafe_function(
                self.js.0,
                ptr::null_mut(),
                ptr::null_mut(),
                name,
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::from_ref(self).cast_mut().cast(),
                Some(woken),
                &mut waker,
            );
            // An idle library does not keep the process alive.
            sys::napi_unref_threadsafe_function(self.js.0, waker);
        }
        self.waker.set(waker);
        self.queue.open(waker);
    }

    /// The array that [`Environment::put_stat`] writes to.
    pub fn stat_array(&self) -> sys::napi_value {
        self.js.referenced(self.stat.array.get())
    }

    /// Writes metadata where the caller looks for it.
    pub fn put_stat(&self, stat: &FileStat) {
        // SAFETY: the memory has room for `LENGTH` numbers and is touched by this thread alone.
        unsafe {
            let numbers = *self.stat.numbers.get();
            if !numbers.is_null() {
                numbers
                    .cast::<[f64; stat::LENGTH]>()
                    .write(stat::pack(stat));
            }
        }
    }

    /// A name for a new pending call.
    pub(crate) fn next_task(&self) -> TaskId {
        let task = self.next_task.get();
        self.next_task.set(task + 1);
        task
    }

    /// Keeps a pending call, and the process alive with it.
    pub(crate) fn keep(&self, id: TaskId, task: Task) {
        let mut tasks = self.tasks.borrow_mut();
        if tasks.is_empty() {
            // SAFETY: we are on the thread of the environment, which is alive.
            unsafe { sys::napi_ref_threadsafe_function(self.js.0, self.waker.get()) };
        }
        tasks.insert(id, task);
    }

    /// A pending call is over.
    pub(crate) fn forget(&self, id: TaskId) {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.remove(&id);
        if task.is_some() && tasks.is_empty() {
            // SAFETY: as above.
            unsafe { sys::napi_unref_threadsafe_function(self.js.0, self.waker.get()) };
        }
        drop(tasks);
        drop(task);
    }

    /// Tells JavaScript what has happened so far, so that it knows before the outcome of the call that caused it.
    pub fn deliver(&self) {
        while self.queue.has_deliveries() {
            for delivery in self.queue.take_deliveries() {
                delivery.deliver(self.js);
            }
        }
    }
}

unsafe extern "C" fn drop_state(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: the pointer is the one that `install` leaked.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Environment>()) });
}

/// Called by Node on the thread of the environment after a wake-up.
unsafe extern "C" fn woken(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        return;
    }
    // SAFETY: with an environment, its state is alive: see `create_waker`.
    let environment = unsafe { &*context.cast::<Environment>() };
    let _ = catch_unwind(AssertUnwindSafe(|| executor::run_ready(environment)));
}

/// Called by Node when the environment ends, perhaps in the middle of calls.
unsafe extern "C" fn clean_up(hook: *mut c_void) {
    // SAFETY: the pointer is the one that `install` leaked.
    let environment = unsafe { Rc::from_raw(hook.cast_const().cast::<Environment>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| {
        environment.queue.close();
        // Dropped futures cancel what they can.
        let tasks = std::mem::take(&mut *environment.tasks.borrow_mut());
        drop(tasks);
        environment.queue.wait_for_lent();
    }));
}
