//! The C surface of `shim/`.

use std::ffi::{CString, c_char, c_int, c_void};

pub(crate) use slipway_shim::{Message, take};
use tch::Tensor;

use crate::{Error, Result};

/// Opaque handles of the shim.
pub(crate) type Handle = *mut c_void;

unsafe extern "C" {
    pub(crate) fn c10d_store_new(
        host: *const c_char,
        port: u16,
        is_server: bool,
        world_size: c_int,
        wait_for_workers: bool,
        timeout_ms: i64,
        out: *mut Handle,
        port_out: *mut u16,
    ) -> Message;
    pub(crate) fn c10d_store_free(store: Handle) -> Message;
    pub(crate) fn c10d_store_set(store: Handle, key: *const c_char, value: *const u8, length: usize) -> Message;
    pub(crate) fn c10d_store_get(
        store: Handle,
        key: *const c_char,
        value: *mut u8,
        longest: usize,
        length: *mut usize,
    ) -> Message;

    pub(crate) fn c10d_group_new(
        store: Handle,
        rank: c_int,
        world_size: c_int,
        bind_host: *const c_char,
        timeout_ms: i64,
        out: *mut Handle,
    ) -> Message;
    pub(crate) fn c10d_group_free(group: Handle) -> Message;
    pub(crate) fn c10d_all_reduce(group: Handle, tensor: Handle, op: c_int) -> Message;
    pub(crate) fn c10d_sum(group: Handle, numbers: *mut f32, count: usize) -> Message;
    pub(crate) fn c10d_broadcast(group: Handle, parameters: Handle) -> Message;
    pub(crate) fn c10d_broadcast_bytes(group: Handle, bytes: *mut u8, count: usize) -> Message;
    pub(crate) fn c10d_barrier(group: Handle) -> Message;

    pub(crate) fn parameters_new(
        tensors: *const Handle,
        count: usize,
        out: *mut Handle,
        gradients: *mut *mut f32,
        numbers: *mut usize,
    ) -> Message;
    pub(crate) fn parameters_free(parameters: Handle) -> Message;
    pub(crate) fn parameters_copy(parameters: Handle, numbers: *mut f32, count: usize) -> Message;
    pub(crate) fn parameters_set(parameters: Handle, numbers: *const f32, count: usize) -> Message;
    pub(crate) fn parameters_take_gradients(parameters: Handle) -> Message;

    pub(crate) fn optimizer_new(
        algorithm: c_int,
        momentum: f64,
        weight_decay: f64,
        parameters: Handle,
        out: *mut Handle,
    ) -> Message;
    pub(crate) fn optimizer_free(optimizer: Handle) -> Message;
    pub(crate) fn optimizer_counts(optimizer: Handle, first: *mut usize, second: *mut usize) -> Message;
    pub(crate) fn optimizer_copy(
        optimizer: Handle,
        first: *mut f32,
        first_count: usize,
        second: *mut f32,
        second_count: usize,
        steps: *mut f32,
    ) -> Message;
    pub(crate) fn optimizer_set(
        optimizer: Handle,
        first: *const f32,
        first_count: usize,
        second: *const f32,
        second_count: usize,
        steps: f32,
    ) -> Message;
    pub(crate) fn optimizer_step(optimizer: Handle, parameters: Handle, learning_rate: f64) -> Message;

    pub(crate) fn engine_library(path: *const c_char) -> Message;
    pub(crate) fn engine_script(path: *const c_char, out: *mut Handle) -> Message;
    pub(crate) fn engine_package(path: *const c_char, runners: usize, out: *mut Handle) -> Message;
    pub(crate) fn engine_share(engine: Handle, out: *mut Handle) -> Message;
    pub(crate) fn engine_free(engine: Handle) -> Message;
    pub(crate) fn engine_run(
        engine: Handle,
        inputs: *const Handle,
        input_count: usize,
        outputs: *const *const c_char,
        output_count: usize,
        out: *mut Handle,
    ) -> Message;
}

/// The `at::Tensor*` behind a tensor, to be lent for one call.
pub(crate) fn pointer(tensor: &Tensor) -> Handle {
    tensor.as_ptr().cast_mut().cast()
}

/// A C string, or an error that names what it was for.
pub(crate) fn c_string(what: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Argument(format!("{what} {text:?} contains a zero byte")))
}

/// A rank or a world size as c10d takes it.
pub(crate) fn c_count(what: &str, count: usize) -> Result<c_int> {
    c_int::try_from(count).map_err(|_| Error::Argument(format!("{what} {count} is too large")))
}
