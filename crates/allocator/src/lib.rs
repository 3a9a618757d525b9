//! The C library's allocator: whether freed memory is kept for what comes next, or goes back to the system.
//!
//! The settings are those of [glibc](https://man7.org/linux/man-pages/man3/mallopt.3.html). On other systems nothing is set, and each function
//! returns `false`.

pub mod files;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
        fn malloc_trim(pad: usize) -> c_int;
    }

    // <malloc.h>
    pub(super) const M_TRIM_THRESHOLD: c_int = -1;
    pub(super) const M_TOP_PAD: c_int = -2;
    pub(super) const M_MMAP_THRESHOLD: c_int = -3;
    pub(super) const M_ARENA_MAX: c_int = -8;

    /// Whether the setting was accepted.
    pub(super) fn set(parameter: c_int, value: c_int) -> bool {
        // SAFETY: mallopt has no preconditions; it returns 0 for a value that it does not accept.
        unsafe { mallopt(parameter, value) == 1 }
    }

    /// Whether there was anything to give back.
    pub(super) fn trim() -> bool {
        // SAFETY: malloc_trim has no preconditions, and locks each arena that it looks at.
        unsafe { malloc_trim(0) == 1 }
    }
}

/// Keeps large blocks in the heap instead of mapping and unmapping memory for each tensor; page faults are up to a third of a
/// training step otherwise. Call it once, before the first tensor. Returns whether the allocator accepted the settings.
pub fn keep() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        use glibc::{M_MMAP_THRESHOLD, M_TOP_PAD, M_TRIM_THRESHOLD, set};

        // older versions of glibc refuse a threshold above half of a heap's largest size
        const LARGEST_EVERYWHERE: c_int = 32 << 20;
        (set(M_MMAP_THRESHOLD, c_int::MAX) || set(M_MMAP_THRESHOLD, LARGEST_EVERYWHERE))
            && set(M_TRIM_THRESHOLD, c_int::MAX)
            && set(M_TOP_PAD, 64 << 20)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Lets all threads share one arena, for a program that waits most of the time: otherwise each thread that comes and goes leaves an arena
/// behind, with memory that it has freed. Call it once, before a second thread starts. Returns whether the allocator accepted the setting.
pub fn share() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return glibc::set(glibc::M_ARENA_MAX, 1);
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Gives freed memory back to the system, also where it lies between what is in use. It takes some milliseconds for a heap of some dozens of MB.
/// Returns whether there was any.
pub fn trim() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    return glibc::trim();
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    use std::fs;

    /// The memory of this process that is not a file's, in kB.
    fn anonymous() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_lies_between_used_blocks_goes_back() {
        assert!(super::share());
        // small blocks, so that they are all in the heap, and the last one in use is above all that is freed
        let mut blocks: Vec<Vec<u8>> = (0..60_000).map(|_| vec![1; 1000]).collect();
        let full = anonymous();
        let last = blocks.pop();
        drop(blocks);
        let freed = anonymous();
        assert!(super::trim());
        let trimmed = anonymous();
        assert!(freed + 20_000 > full, "the test is of no use: {freed} kB of {full} kB are left before");
        assert!(trimmed + 40_000 < full, "{trimmed} kB of {full} kB are left");
        drop(last);
    }
}
