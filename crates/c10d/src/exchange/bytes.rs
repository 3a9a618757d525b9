//! Numbers as the bytes that travel: those of memory, since all workers run the same program.

/// The bytes of numbers.
pub(super) fn bytes(numbers: &[f32]) -> &[u8] {
    // SAFETY: floats have no padding, and a byte needs no alignment.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// The bytes of numbers, to be overwritten.
pub(super) fn bytes_mut(numbers: &mut [f32]) -> &mut [u8] {
    // SAFETY: as above, and any four bytes are a float.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), size_of_val(numbers)) }
}
