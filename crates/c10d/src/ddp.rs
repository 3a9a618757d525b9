//! The reducer of DistributedDataParallel: averages gradients over the workers while backward still runs.

use tch::Tensor;

use crate::ffi::{self, Handle, Message};
use crate::store::first_line;
use crate::{Error, Group, Result};

/// Sizes of the buckets in which gradients travel, in bytes. The defaults are PyTorch's.
#[derive(Clone, Copy, Debug)]
pub struct ReducerConfig {
    /// Size of every bucket except the first.
    pub bucket_bytes: i64,
    /// Size of the first bucket, which is smaller, so that sending starts early.
    pub first_bucket_bytes: i64,
}

impl Default for ReducerConfig {
    fn default() -> Self {
        Self { bucket_bytes: 25 << 20, first_bucket_bytes: 1 << 20 }
    }
}

/// `c10d::Reducer`: hooks into autograd, so that a finished backward leaves the mean of all workers' gradients.
#[derive(Debug)]
pub struct Reducer {
    handle: Handle,
}

impl Reducer {
    /// Registers parameters, which all workers must give in the same order and shape, and sends rank 0's values to all.
    pub fn new(group: &Group, parameters: &[(String, Tensor)], config: ReducerConfig) -> Result<Self> {
        let names =
            parameters.iter().map(|(name, _)| ffi::c_string("parameter name", name)).collect::<Result<Vec<_>>>()?;
        let name_pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let tensors: Vec<_> = parameters.iter().map(|(_, tensor)| ffi::pointer(tensor)).collect();
        let mut handle = std::ptr::null_mut();
        // SAFETY: both arrays have `tensors.len()` entries, and what they point to lives for the call; c10d keeps counted
        // references of the tensors and copies of the names.
        let message = unsafe {
            ffi::c10d_reducer_new(
                group.handle(),
                tensors.as_ptr(),
                name_pointers.as_ptr(),
                tensors.len(),
                config.bucket_bytes,
                config.first_bucket_bytes,
                &mut handle,
            )
        };
        check("setting up data parallelism", message)?;
        Ok(Self { handle })
    }

    /// Call this before each forward pass of training.
    pub fn prepare_forward(&self) -> Result<()> {
        // SAFETY: the handle is valid for the call.
        check("preparing the forward pass", unsafe { ffi::c10d_reducer_prepare_forward(self.handle) })
    }

    /// Call this between the forward and the backward pass.
    pub fn prepare_backward(&self) -> Result<()> {
        // SAFETY: the handle is valid for the call.
        check("preparing the backward pass", unsafe { ffi::c10d_reducer_prepare_backward(self.handle) })
    }
}

impl Drop for Reducer {
    fn drop(&mut self) {
        // SAFETY: the handle came from c10d_reducer_new and is freed once.
        // If closing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::c10d_reducer_free(self.handle)) };
    }
}

/// Drops the gradients of parameters, so that the next backward pass does not add to them.
pub fn zero_grad(parameters: &[(String, Tensor)]) -> Result<()> {
    let tensors: Vec<_> = parameters.iter().map(|(_, tensor)| ffi::pointer(tensor)).collect();
    // SAFETY: the array has `tensors.len()` entries, and the tensors live for the call.
    check("dropping gradients", unsafe { ffi::c10d_zero_grad(tensors.as_ptr(), tensors.len()) })
}

fn check(operation: &'static str, message: Message) -> Result<()> {
    // SAFETY: every caller passes what an entry of the shim returned.
    unsafe { ffi::take(message) }.map_err(|reason| {
        // The reducer communicates too; its transport's errors mean what those of any collective operation mean.
        let lost = reason.contains("gloo");
        let reason = first_line(&reason);
        if lost { Error::Collective { operation, reason } } else { Error::Reducer { operation, reason } }
    })
}
