//! The memory for loaded models: how much each takes, and how much there is.

use std::sync::{Arc, Mutex, PoisonError};

/// The memory for all loaded models together. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    most: u64,
    taken: Mutex<u64>,
}

/// A model's part of the memory, which is given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    room: Room,
    bytes: u64,
}

impl Room {
    /// Room for models of at most this many bytes together.
    pub fn new(most: u64) -> Self {
        Self(Arc::new(Taken { most, taken: Mutex::default() }))
    }

    /// The bytes that no model takes.
    pub fn free(&self) -> u64 {
        self.0.most.saturating_sub(self.taken())
    }

    /// The bytes that the loaded models take together.
    pub fn taken(&self) -> u64 {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A part of this many bytes.
    ///
    /// # Errors
    /// When there is less, with both numbers.
    pub fn take(&self, bytes: u64) -> Result<Share, String> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.0.most.saturating_sub(*taken);
        if bytes > free {
            return Err(format!(
                "it needs {} of memory, but of the {} for models only {} are free: raise SLIPWAY_MODEL_MEMORY_MIB",
                mib(bytes),
                mib(self.0.most),
                mib(free)
            ));
        }
        *taken += bytes;
        Ok(Share { room: self.clone(), bytes })
    }
}

impl Share {
    /// How large it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.room.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.bytes);
    }
}

/// Half of what this process may use: its control group's limit, or the machine's memory. 1 GiB where neither is known.
pub fn half_of_memory() -> u64 {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| number(&text));
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        number(line.trim().trim_end_matches("kB")).map(|kib| kib << 10)
    });
    group.into_iter().chain(machine).min().unwrap_or(2 << 30) / 2
}

/// The bytes of this process that are in memory now; 0 where that is not known.
pub fn resident() -> u64 {
    statm(1)
}

/// The bytes of this process that are in memory now and are no file's, such as code; 0 where that is not known.
pub fn anonymous() -> u64 {
    statm(1).saturating_sub(statm(2))
}

/// The bytes of this process that may be written to and belong to nobody else; 0 where that is not known.
pub fn data() -> u64 {
    statm(5)
}

/// A number of `/proc/self/statm`, in bytes.
fn statm(at: usize) -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(at).and_then(|pages| pages.trim().parse().ok()).unwrap_or_default();
    pages * rustix::param::page_size() as u64
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_and_given_back() {
        let room = Room::new(10 << 20);
        let part = room.take(7 << 20).unwrap();
        let error = room.take(4 << 20).unwrap_err();
        assert!(error.contains("needs 4 MiB") && error.contains("of the 10 MiB for models only 3 MiB"), "{error}");
        assert_eq!((room.free(), part.bytes()), (3 << 20, 7 << 20));
        drop(part);
        assert_eq!((room.free(), room.taken()), (10 << 20, 0));
    }

    #[test]
    fn what_this_process_uses_is_known() {
        assert!(half_of_memory() > 1 << 20);
        if cfg!(target_os = "linux") {
            assert!(resident() > 1 << 20 && data() > 1 << 16);
            assert!((1 << 16..resident()).contains(&anonymous()));
        }
    }
}
