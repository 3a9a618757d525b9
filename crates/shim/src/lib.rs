//! What the C++ shims over libtorch have in common: an entry returns null, or a message. `include/guard.h` makes messages of exceptions, and [`take`]
//! takes them.

use std::ffi::{CStr, c_char, c_void};

/// What an entry of a shim returns: null on success, otherwise a message for [`take`].
pub type Message = *mut c_char;

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

/// Takes ownership of a message. `Ok` if it is null; otherwise `Err` with its text.
///
/// # Safety
/// `message` comes from an entry of a shim, whose statements are in `GUARD`, and is not used again.
///
/// # Errors
/// The text of the message.
pub unsafe fn take(message: Message) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so it is a string that strdup made, which ends in a zero byte.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().trim().to_owned();
    // SAFETY: made by strdup, and the caller does not use it again.
    unsafe { free(message.cast()) };
    Err(text)
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;

    use super::*;

    unsafe extern "C" {
        fn strdup(text: *const c_char) -> Message;
    }

    #[test]
    fn a_message_is_its_text_and_null_is_none() {
        // SAFETY: null is allowed.
        let none = unsafe { take(null_mut()) };
        assert_eq!(none, Ok(()));
        // SAFETY: it ends in a zero byte.
        let message = unsafe { strdup(c"no such file\n".as_ptr()) };
        // SAFETY: strdup made it, and it is not used again.
        let taken = unsafe { take(message) };
        assert_eq!(taken, Err("no such file".to_owned()));
    }
}
