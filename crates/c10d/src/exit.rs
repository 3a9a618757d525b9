//! Exits at once, even while libtorch computes.

use std::ffi::c_int;

/// Ends the process with this code, without running destructors. The destructors of libtorch's globals crash while another thread
/// is inside libtorch, and the exit code would be that of the crash. Data that was written to files and pipes is kept.
pub fn exit_at_once(code: u8) -> ! {
    unsafe extern "C" {
        fn _exit(status: c_int) -> !;
    }
    // SAFETY: _exit has no preconditions and does not return.
    unsafe { _exit(c_int::from(code)) }
}
