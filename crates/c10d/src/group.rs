//! A group of workers and what they do together.

use std::ffi::c_int;
use std::time::Duration;

use tch::Tensor;

use crate::ffi::{self, Handle, Message};
use crate::store::{first_line, milliseconds, rendezvous};
use crate::{Error, Result, Store};

/// How [`Group::all_reduce`] combines tensors. The numbers are those of `c10d::ReduceOp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The sum.
    Sum = 0,
    /// The minimum.
    Min = 3,
    /// The maximum.
    Max = 4,
}

/// A process group over gloo, on CPU tensors.
#[derive(Debug)]
pub struct Group {
    handle: Handle,
    rank: usize,
    world_size: usize,
    // rank 0 serves the store, which must live as long as others may still use it
    _store: Store,
}

impl Group {
    /// Connects every worker with every other one. Every worker calls this with its own rank.
    ///
    /// `bind_host` is this worker's own host name or address; without one the machine's host name is resolved, as PyTorch
    /// does. `timeout` bounds each later operation: if a worker hangs, the others fail after it; if one dies, they fail at once.
    pub fn gloo(store: Store, rank: usize, bind_host: Option<&str>, timeout: Duration) -> Result<Self> {
        let world_size = store.config.world_size;
        if rank >= world_size {
            return Err(Error::Argument(format!("rank {rank} is not below the world size {world_size}")));
        }
        let bind = ffi::c_string("host", bind_host.unwrap_or_default())?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the store's handle is valid while `store` lives, `bind` and the out pointer for the call.
        unsafe {
            ffi::take(ffi::c10d_group_new(
                store.handle(),
                ffi::c_count("rank", rank)?,
                ffi::c_count("world size", world_size)?,
                bind.as_ptr(),
                milliseconds(timeout),
                &mut handle,
            ))
        }
        .map_err(|reason| rendezvous(&store.config, reason))?;
        Ok(Self { handle, rank, world_size, _store: store })
    }

    /// This worker's number, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of workers.
    pub fn world_size(&self) -> usize {
        self.world_size
    }

    /// Combines the tensors of all workers element by element, in place. All must have the same shape and type.
    pub fn all_reduce(&self, tensor: &mut Tensor, op: Op) -> Result<()> {
        // SAFETY: both handles are valid for the call, and the tensor is borrowed for it alone.
        collective("all-reduce", unsafe { ffi::c10d_all_reduce(self.handle, tensor.as_mut_ptr().cast(), op as c_int) })
    }

    /// Copies the tensor of rank `root` to all workers, in place.
    pub fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<()> {
        let root = ffi::c_count("root", root)?;
        // SAFETY: both handles are valid for the call, and the tensor is borrowed for it alone.
        collective("broadcast", unsafe { ffi::c10d_broadcast(self.handle, tensor.as_mut_ptr().cast(), root) })
    }

    /// Returns when all workers have called this.
    pub fn barrier(&self) -> Result<()> {
        // SAFETY: the handle is valid for the call.
        collective("barrier", unsafe { ffi::c10d_barrier(self.handle) })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the handle came from c10d_group_new and is freed once; reducers hold references of their own.
        // If closing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::c10d_group_free(self.handle)) };
    }
}

fn collective(operation: &'static str, message: Message) -> Result<()> {
    // SAFETY: every caller passes what an entry of the shim returned.
    unsafe { ffi::take(message) }.map_err(|reason| Error::Collective { operation, reason: first_line(&reason) })
}
