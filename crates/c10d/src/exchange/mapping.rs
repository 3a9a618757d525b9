//! Memory that several processes have in common.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// The name that `/proc` shows for the memory.
const NAME: &str = "slipway-gradients";

/// Memory of a file that has no name in any folder: when the last process that has it ends, however it ends, nothing is left.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: memory is not bound to the thread that mapped it, and what is written through `&self` is atomic.
unsafe impl Send for Mapping {}

impl Mapping {
    /// New memory of zeros, and the file for others to join. Its length can never change, so no access can go beyond its end.
    pub(super) fn create(length: usize) -> io::Result<(Self, OwnedFd)> {
        let file = rustix::fs::memfd_create(NAME, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, length as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok((Self::of(&file, length)?, file))
    }

    /// How another process finds a file of this one.
    pub(super) fn path(file: &OwnedFd) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
    }

    /// Memory that another process has created. A path may mean another file here than there, or none; it is not opened if it is not such
    /// memory of the right length, and whose it is must be seen from what is in it.
    pub(super) fn join(path: &str, length: usize) -> io::Result<Self> {
        let other = || io::Error::new(io::ErrorKind::NotFound, "this is not the memory of another worker");
        let target = std::fs::read_link(path)?;
        if !target.to_string_lossy().starts_with(&format!("/memfd:{NAME}")) {
            return Err(other());
        }
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() != length as u64 {
            return Err(other());
        }
        Self::of(&file, length)
    }

    fn of(file: impl AsFd, length: usize) -> io::Result<Self> {
        // SAFETY: a new mapping, which replaces none.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, length })
    }

    /// The number at a distance of so many bytes from the start.
    pub(super) fn number(&self, at: usize) -> &AtomicU64 {
        let size = size_of::<AtomicU64>();
        assert!(at.is_multiple_of(size) && at + size <= self.length, "no number at {at}");
        // SAFETY: within the mapping, which begins at a page and lives as long as `self`; all processes access it atomically.
        unsafe { self.start.add(at).cast::<AtomicU64>().as_ref() }
    }

    /// So many floats at a distance of so many bytes from the start.
    ///
    /// # Safety
    /// No process writes to them while the slice is in use.
    pub(super) unsafe fn floats(&self, at: usize, count: usize) -> &[f32] {
        let start = self.floats_at(at, count);
        // SAFETY: within the mapping, aligned, and any bytes are floats; the caller promises that nobody writes.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), count) }
    }

    /// Overwrites floats at a distance of so many bytes from the start.
    ///
    /// # Safety
    /// No process reads or writes them meanwhile.
    pub(super) unsafe fn write(&self, at: usize, floats: &[f32]) {
        let start = self.floats_at(at, floats.len());
        // SAFETY: within the mapping, aligned; the caller promises that nobody else has them, so they are not `floats` either.
        unsafe { std::ptr::copy_nonoverlapping(floats.as_ptr(), start.as_ptr(), floats.len()) };
    }

    fn floats_at(&self, at: usize, count: usize) -> NonNull<f32> {
        let size = count.saturating_mul(size_of::<f32>());
        assert!(
            at.is_multiple_of(align_of::<f32>()) && at.saturating_add(size) <= self.length,
            "no {count} floats at {at}"
        );
        // SAFETY: within the mapping.
        unsafe { self.start.add(at).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `of`, unmapped once, and every reference into it has ended.
        // If it fails, the memory stays mapped until the process ends.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn two_mappings_are_the_same_memory() {
        let (one, file) = Mapping::create(1 << 16).unwrap();
        let other = Mapping::join(&Mapping::path(&file), 1 << 16).unwrap();
        drop(file);
        one.number(8).store(7, Relaxed);
        // SAFETY: this thread alone has the memory.
        unsafe {
            one.write(4096, &[1.5, f32::NAN]);
            assert_eq!(other.number(8).load(Relaxed), 7);
            assert!(other.floats(4096, 2)[0] == 1.5 && other.floats(4096, 2)[1].is_nan());
        }
    }

    #[test]
    fn what_is_no_such_memory_is_not_joined() {
        let (_one, file) = Mapping::create(1 << 16).unwrap();
        assert!(Mapping::join(&Mapping::path(&file), 1 << 15).is_err(), "another length");
        assert!(rustix::fs::ftruncate(&file, 1).is_err(), "its length is sealed");
        assert!(Mapping::join("/proc/self/exe", 1 << 16).is_err());
        assert!(Mapping::join("/proc/1/fd/4000", 1 << 16).is_err());
    }

    #[test]
    #[should_panic(expected = "no 2 floats")]
    fn nothing_is_read_beyond_the_end() {
        let (one, _file) = Mapping::create(1 << 16).unwrap();
        // SAFETY: it panics before.
        let _ = unsafe { one.floats((1 << 16) - 4, 2) };
    }
}
