//! The key-value store through which workers find each other.

use std::time::Duration;

use crate::ffi::{self, Handle};
use crate::{Error, Result};

/// Where and how workers meet.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Host name or address of the worker that serves the store (`PET_MASTER_ADDR`).
    pub host: String,
    /// The port on that host (`PET_MASTER_PORT`); 0 lets the serving worker choose one.
    pub port: u16,
    /// Whether this worker serves the store: rank 0 does.
    pub serve: bool,
    /// Number of workers.
    pub world_size: usize,
    /// Whether the serving worker waits until all have connected.
    pub wait_for_workers: bool,
    /// How long to wait for the others.
    pub timeout: Duration,
}

/// c10d's TCPStore.
#[derive(Debug)]
pub struct Store {
    handle: Handle,
    port: u16,
    pub(crate) config: StoreConfig,
}

impl Store {
    /// Serves the store or connects to it.
    pub fn tcp(config: StoreConfig) -> Result<Self> {
        let host = ffi::c_string("host", &config.host)?;
        let world_size = ffi::c_count("world size", config.world_size)?;
        let mut handle = std::ptr::null_mut();
        let mut port = 0;
        // SAFETY: `host` outlives the call, and both out pointers are valid for it.
        unsafe {
            ffi::take(ffi::c10d_store_new(
                host.as_ptr(),
                config.port,
                config.serve,
                world_size,
                config.wait_for_workers,
                milliseconds(config.timeout),
                &mut handle,
                &mut port,
            ))
        }
        .map_err(|reason| rendezvous(&config, reason))?;
        Ok(Self { handle, port, config })
    }

    /// The port of the store's server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Writes a value for all workers.
    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let name = ffi::c_string("key", key)?;
        // SAFETY: the handle is valid, and key and value outlive the call.
        unsafe { ffi::take(ffi::c10d_store_set(self.handle, name.as_ptr(), value.as_ptr(), value.len())) }
            .map_err(|reason| rendezvous(&self.config, reason))
    }

    /// Waits until a worker has written a value, and reads it.
    pub(crate) fn get(&self, key: &str) -> Result<Vec<u8>> {
        const LONGEST: usize = 1024;
        let name = ffi::c_string("key", key)?;
        let (mut value, mut length) = (vec![0; LONGEST], 0);
        // SAFETY: the handle is valid, the key outlives the call, and the value has room for LONGEST bytes.
        unsafe { ffi::take(ffi::c10d_store_get(self.handle, name.as_ptr(), value.as_mut_ptr(), LONGEST, &mut length)) }
            .map_err(|reason| rendezvous(&self.config, reason))?;
        value.truncate(length);
        Ok(value)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the handle came from c10d_store_new and is freed once; groups hold references of their own.
        // If closing fails, nothing can be done about it.
        let _ = unsafe { ffi::take(ffi::c10d_store_free(self.handle)) };
    }
}

pub(crate) fn rendezvous(config: &StoreConfig, reason: String) -> Error {
    Error::Rendezvous {
        host: config.host.clone(),
        port: config.port,
        world_size: config.world_size,
        timeout: config.timeout,
        reason: first_line(&reason),
    }
}

/// The first line of c10d's message; C++ frames follow it.
pub(crate) fn first_line(reason: &str) -> String {
    reason.lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
