//! A group of workers and what they do together.

use std::ffi::c_int;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tch::Tensor;

use crate::exchange::{Exchange, Means};
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

/// A group of workers on CPUs: a process group over gloo, and beside it an exchange of gradients.
#[derive(Debug)]
pub struct Group {
    handle: Handle,
    rank: usize,
    world_size: usize,
    /// `None` if gloo exchanges gradients too.
    means: Option<Mutex<Means>>,
    // rank 0 serves the store, which must live as long as others may still use it
    store: Store,
}

impl Group {
    /// Connects every worker with every other one. Every worker calls this with its own rank and the address at which the others reach it.
    ///
    /// `timeout` bounds each later operation: if a worker hangs, the others fail after it; if one dies, they fail at once. `exchange` says
    /// how gradients travel; without it, in the fastest way that is possible here. It must be the same on all workers.
    ///
    /// # Errors
    /// [`Error::Rendezvous`] if some do not come in time; [`Error::Argument`] if the workers differ in `exchange`, or share no memory
    /// although it asks for some.
    pub fn meet(store: Store, rank: usize, own: IpAddr, timeout: Duration, exchange: Option<Exchange>) -> Result<Self> {
        let world_size = store.config.world_size;
        if rank >= world_size {
            return Err(Error::Argument(format!("rank {rank} is not below the world size {world_size}")));
        }
        let bind = ffi::c_string("host", &own.to_string())?;
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
        let mut group = Self { handle, rank, world_size, means: None, store };
        group.means = Means::agree(&group.store, rank, own, timeout, exchange)?.map(Mutex::new);
        Ok(group)
    }

    /// How gradients travel.
    pub fn exchange(&self) -> Exchange {
        self.means.as_ref().map_or(Exchange::Gloo, |means| lock(means).exchange())
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

    /// Averages the numbers of all workers, element by element, in place. All must give as many, and all get the same bits.
    pub fn mean(&self, numbers: &mut [f32]) -> Result<()> {
        self.mean_by(numbers, None)
    }

    /// The same, with a time limit of its own for how long nothing comes from another worker. gloo keeps that of the group.
    pub fn mean_within(&self, numbers: &mut [f32], limit: Duration) -> Result<()> {
        self.mean_by(numbers, Some(limit))
    }

    fn mean_by(&self, numbers: &mut [f32], limit: Option<Duration>) -> Result<()> {
        if let Some(means) = &self.means {
            return lock(means).mean(numbers, limit);
        }
        // SAFETY: the handle is valid, and the numbers are borrowed for the call alone.
        collective("averaging", unsafe { ffi::c10d_sum(self.handle, numbers.as_mut_ptr(), numbers.len()) })?;
        let share = 1.0 / self.world_size as f32;
        numbers.iter_mut().for_each(|number| *number *= share);
        Ok(())
    }

    /// Copies the values of rank 0's parameters to all workers.
    pub(crate) fn broadcast_parameters(&self, parameters: Handle) -> Result<()> {
        // SAFETY: both handles are valid for the call, whose caller borrows the parameters mutably.
        collective("broadcast", unsafe { ffi::c10d_broadcast(self.handle, parameters) })
    }

    /// Gives every worker the bytes that rank 0 has; those of the others are dropped.
    ///
    /// # Errors
    /// [`Error::Collective`] if a worker is lost.
    pub fn share(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let own = if self.rank == 0 { bytes.len() as i64 } else { 0 };
        let mut length = Tensor::from_slice(&[own]);
        self.all_reduce(&mut length, Op::Max)?;
        let length = length.int64_value(&[0]);
        bytes.resize(usize::try_from(length).unwrap_or_default(), 0);
        if !bytes.is_empty() {
            // SAFETY: the handle is valid, and the bytes are borrowed for the call alone.
            let message = unsafe { ffi::c10d_broadcast_bytes(self.handle, bytes.as_mut_ptr(), bytes.len()) };
            collective("broadcast", message)?;
        }
        Ok(bytes)
    }

    /// Returns when all workers have called this.
    pub fn barrier(&self) -> Result<()> {
        // SAFETY: the handle is valid for the call.
        collective("barrier", unsafe { ffi::c10d_barrier(self.handle) })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the handle came from c10d_group_new and is freed once.
        // If closing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::c10d_group_free(self.handle)) };
    }
}

fn lock(means: &Mutex<Means>) -> MutexGuard<'_, Means> {
    // a panic in an exchange ends the program
    means.lock().unwrap_or_else(PoisonError::into_inner)
}

fn collective(operation: &'static str, message: Message) -> Result<()> {
    // SAFETY: every caller passes what an entry of the shim returned.
    unsafe { ffi::take(message) }.map_err(|reason| Error::Collective { operation, reason: first_line(&reason) })
}
