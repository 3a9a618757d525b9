//! The pages of the program's own files, its code and its constants, that are in memory.
//!
//! A library runs much of its code once, such as what registers each of libtorch's operators when the program starts, and the system then keeps those pages
//! in the process until memory is short. Given back, they stay in the system's cache of files, and come back when they are used again: some
//! microseconds for 16 of them. On other systems than Linux nothing is given back.

/// Remembers which parts of files the program and its libraries are, for [`release`]. Call it once, before a second thread starts: what is mapped then stays
/// where it is until the program ends, unlike what is loaded later.
pub fn remember() {
    #[cfg(target_os = "linux")]
    linux::remember();
}

/// Gives back the pages of what [`remember`] has found. Returns how many bytes of files that was, in memory or not; 0 if nothing was remembered.
pub fn release() -> usize {
    #[cfg(target_os = "linux")]
    return linux::release();
    #[cfg(not(target_os = "linux"))]
    0
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_void};
    use std::ops::Range;
    use std::sync::OnceLock;

    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }

    // <sys/mman.h>
    const MADV_DONTNEED: c_int = 4;

    /// Parts of files whose pages are as they are in the file, and cannot be written to.
    static PARTS: OnceLock<Vec<Range<usize>>> = OnceLock::new();

    pub(super) fn remember() {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        PARTS.get_or_init(|| parts(&maps));
    }

    pub(super) fn release() -> usize {
        let mut bytes = 0;
        for part in PARTS.get().into_iter().flatten() {
            // SAFETY: the part is mapped from a file until the program ends, is never written to, and none of its pages differed from the file when it was
            // remembered. So a page that is read again is read from the file, with the same content.
            if unsafe { madvise(part.start as *mut c_void, part.len(), MADV_DONTNEED) } == 0 {
                bytes += part.len();
            }
        }
        bytes
    }

    /// From the text of `/proc/self/smaps`. Relocations make pages that are not those of the file any more; they count as anonymous.
    fn parts(maps: &str) -> Vec<Range<usize>> {
        let (mut parts, mut current) = (Vec::new(), None);
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            if !first.ends_with(':') {
                let is_kept = matches!(words.next(), Some("r-xp" | "r--p"));
                let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
                current = range(first).filter(|_| is_kept && is_file);
            } else if first == "Anonymous:" && words.next() == Some("0") {
                parts.extend(current.take());
            }
        }
        parts
    }

    fn range(addresses: &str) -> Option<Range<usize>> {
        let (start, end) = addresses.split_once('-')?;
        let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
        Some(start?..end?)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_what_is_as_in_its_file_and_stays_so_is_given_back() {
            let map =
                |of: &str, anonymous: u32| format!("{of}\nRss: 8 kB\nAnonymous: {anonymous} kB\nVmFlags: rd mr\n");
            let maps = [
                map("1000-3000 r-xp 00000000 fe:00 9    /lib/a.so", 0),
                map("3000-4000 r--p 00002000 fe:00 9    /lib/a.so (deleted)", 0),
                // relocated, may be written to, shared, not a file
                map("4000-5000 r--p 00003000 fe:00 9    /lib/a.so", 4),
                map("5000-6000 rw-p 00004000 fe:00 9    /lib/a.so", 0),
                map("6000-7000 r--s 00000000 fe:00 9    /lib/cache", 0),
                map("7000-8000 r-xp 00000000 00:00 0    [vdso]", 0),
                map("8000-9000 r--p 00000000 00:00 0", 0),
                map("9000-a000 r-xp 00000000 fe:00 9    /lib/b.so", 0),
            ];
            assert_eq!(parts(&maps.concat()), [0x1000..0x3000, 0x3000..0x4000, 0x9000..0xa000]);
            assert!(parts("").is_empty());
        }

        #[test]
        fn the_program_goes_on_without_its_pages() {
            assert_eq!(super::super::release(), 0);
            super::super::remember();
            // more than the code of this function is mapped, and what it gives back comes back
            for _ in 0..3 {
                assert!(super::super::release() > 1 << 16);
            }
        }
    }
}
