//! Leaving at once, while libtorch still computes.

use std::ffi::c_int;

/// Ends the process with this code and runs no destructor: those of libtorch's globals, run while another of this process's
/// threads is inside libtorch, crash, and the code would be a crash's. What was written to files and pipes stays written.
pub fn exit_at_once(code: u8) -> ! {
    unsafe extern "C" {
        fn _exit(status: c_int) -> !;
    }
    // SAFETY: _exit has no preconditions and does not return.
    unsafe { _exit(c_int::from(code)) }
}
