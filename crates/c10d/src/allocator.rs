//! Tunes the C library's allocator to keep memory that the next training step needs again.

/// Keeps large blocks in the heap instead of mapping and unmapping memory for each tensor; page faults are up to a third of a
/// training step otherwise. Call it once, before the first tensor. Returns whether the allocator accepted the settings;
/// `false` on systems other than Linux with glibc.
pub fn tune_allocator() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // <malloc.h>
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_TOP_PAD: c_int = -2;
        const M_MMAP_THRESHOLD: c_int = -3;
        // older versions of glibc refuse a threshold above half of a heap's largest size
        const LARGEST_EVERYWHERE: c_int = 32 << 20;
        // SAFETY: mallopt has no preconditions; it returns 0 for a value that it does not accept.
        let set = |parameter, value| unsafe { mallopt(parameter, value) } == 1;
        (set(M_MMAP_THRESHOLD, c_int::MAX) || set(M_MMAP_THRESHOLD, LARGEST_EVERYWHERE))
            && set(M_TRIM_THRESHOLD, c_int::MAX)
            && set(M_TOP_PAD, 64 << 20)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}
