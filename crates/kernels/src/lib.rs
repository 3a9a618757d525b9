//! Operations that libtorch has only as several, each of which reads and writes all numbers once more. They are differentiable as libtorch's
//! own are, and give the same bits.
//!
//! A C++ shim (`shim/`) turns exceptions into messages; this crate turns those into tch's errors.

use std::ffi::c_void;
use std::ptr::null_mut;

use slipway_shim::{Message, take};
use tch::{TchError, Tensor};

unsafe extern "C" {
    fn kernels_max_pool_relu(images: *const c_void, out: *mut *mut c_void) -> Message;
}

/// `relu(max_pool2d(images, 2))`: the maximum of every 2 × 2 pixels of images [n, channels, height, width], or 0 if that is negative; an odd
/// last row or column is left out. `images` are floats on the CPU. The channels of a pixel lie next to each other in what is returned and in its
/// gradient. They should in `images` too, which are copied otherwise.
///
/// For the gradient one byte of each number of the output is kept, and nothing of `images`.
///
/// # Errors
/// When `images` are something else, or smaller than 2 × 2 pixels. The gradient cannot be differentiated again: a backward pass that is to
/// have gradients itself fails.
pub fn max_pool_relu(images: &Tensor) -> Result<Tensor, TchError> {
    let mut out = null_mut();
    // SAFETY: the tensor lives for the call, and the out pointer is valid for it.
    let message = unsafe { kernels_max_pool_relu(images.as_ptr().cast(), &mut out) };
    // SAFETY: the shim returned it.
    unsafe { take(message) }.map_err(TchError::Torch)?;
    // SAFETY: without a message, it is a tensor of its own that nothing else frees.
    Ok(unsafe { Tensor::from_ptr(out.cast()) })
}
