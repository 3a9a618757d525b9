//! Operations that libtorch has only as several, each of which reads and writes all numbers once more. They are differentiable as libtorch's
//! own are.
//!
//! A C++ shim (`shim/`) turns exceptions into messages; this crate turns those into tch's errors.

use std::ffi::c_void;
use std::ptr::null_mut;

use slipway_shim::{Message, take};
use tch::{TchError, Tensor};

unsafe extern "C" {
    fn kernels_max_pool_relu(images: *const c_void, out: *mut *mut c_void) -> Message;
    fn kernels_convolution_max_pool_relu(
        images: *const c_void,
        weight: *const c_void,
        bias: *const c_void,
        out: *mut *mut c_void,
    ) -> Message;
}

/// `relu(max_pool2d(images, 2))`: the maximum of every 2 × 2 pixels of images [n, channels, height, width], or 0 if that is negative; an odd
/// last row or column is left out. `images` are floats on the CPU. The channels of a pixel lie next to each other in what is returned and in its
/// gradient. They should in `images` too, which are copied otherwise.
///
/// For the gradient one byte of each number of the output is kept, and nothing of `images`. Both have the bits of libtorch's two operations.
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

/// `relu(max_pool2d(conv2d(images, weight, bias, padding = 1), 2))`, of images [n, 1, height, width] that have no gradient: the first layers of a
/// network. `weight` is [channels, 1, 3, 3] and `bias` [channels]; all are floats on the CPU. The channels of a pixel lie next to each other in
/// what is returned.
///
/// It rounds differently than libtorch's convolution, and alike whatever the number of threads and the other images of the batch. The ties of the
/// pool are libtorch's. A NaN among the four pixels of the pool gives NaN, and so do two opposite infinities.
///
/// # Errors
/// When a tensor is something else, when `images` require a gradient, or are smaller than 2 × 2 pixels. The gradient cannot be differentiated
/// again: a backward pass that is to have gradients itself fails.
pub fn convolution_max_pool_relu(images: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TchError> {
    let mut out = null_mut();
    // SAFETY: the tensors live for the call, and the out pointer is valid for it.
    let message = unsafe {
        kernels_convolution_max_pool_relu(
            images.as_ptr().cast(),
            weight.as_ptr().cast(),
            bias.as_ptr().cast(),
            &mut out,
        )
    };
    // SAFETY: the shim returned it.
    unsafe { take(message) }.map_err(TchError::Torch)?;
    // SAFETY: without a message, it is a tensor of its own that nothing else frees.
    Ok(unsafe { Tensor::from_ptr(out.cast()) })
}
