//! The IDX format of MNIST's files: a magic number, big-endian sizes, then bytes (<http://yann.lecun.com/exdb/mnist/>,
//! "FILE FORMATS FOR THE MNIST DATABASE"). `idx3-ubyte` holds images, `idx1-ubyte` labels.

use crate::{Error, Result};

/// Unsigned bytes (0x08) in three dimensions.
const IMAGES: u32 = 0x0000_0803;
/// Unsigned bytes (0x08) in one dimension.
const LABELS: u32 = 0x0000_0801;

/// Grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The number of images.
    pub count: usize,
    /// Rows of each.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
    /// `count × height × width` bytes, row by row; 255 is ink.
    pub pixels: Vec<u8>,
}

/// Reads an `idx3-ubyte` file; `what` is named in errors.
///
/// # Errors
/// [`Error::Idx`] if the magic number is wrong, or there are fewer or more bytes than the header says.
pub fn read_images(what: &str, bytes: &[u8]) -> Result<Images> {
    let ([count, height, width], pixels) = read(what, bytes, IMAGES)?;
    Ok(Images { count, height, width, pixels: pixels.to_vec() })
}

/// Reads an `idx1-ubyte` file; `what` is named in errors.
///
/// # Errors
/// [`Error::Idx`] if the magic number is wrong, or there are fewer or more bytes than the header says.
pub fn read_labels(what: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let ([_], labels) = read(what, bytes, LABELS)?;
    Ok(labels.to_vec())
}

/// Writes an `idx3-ubyte` file; `pixels` holds complete images of `height × width` bytes.
///
/// # Errors
/// [`Error::Idx`] if the pixels are not complete images, or a size does not fit into 32 bits.
pub fn write_images(height: usize, width: usize, pixels: &[u8]) -> Result<Vec<u8>> {
    let size = height * width;
    if size == 0 || !pixels.len().is_multiple_of(size) {
        return Err(wrong(
            "the file to be written",
            format!("{} pixels are not complete images of {height} × {width}", pixels.len()),
        ));
    }
    write(IMAGES, [pixels.len() / size, height, width], pixels)
}

/// Writes an `idx1-ubyte` file.
///
/// # Errors
/// [`Error::Idx`] if there are more labels than 32 bits can count.
pub fn write_labels(labels: &[u8]) -> Result<Vec<u8>> {
    write(LABELS, [labels.len()], labels)
}

fn read<'a, const N: usize>(what: &str, bytes: &'a [u8], magic: u32) -> Result<([usize; N], &'a [u8])> {
    let header = 4 + 4 * N;
    let mut words = bytes.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    match words.next() {
        Some(found) if found == magic => {}
        Some(0x1f8b_0800..=0x1f8b_08ff) => {
            return Err(wrong(what, "it is compressed: unpack it with gunzip".to_owned()));
        }
        Some(found) => return Err(wrong(what, format!("it begins with {found:#010x} instead of {magic:#010x}"))),
        None => return Err(wrong(what, format!("it ends within its header: {} bytes of {header}", bytes.len()))),
    }
    let mut sizes = [0; N];
    for size in &mut sizes {
        let word = words
            .next()
            .ok_or_else(|| wrong(what, format!("it ends within its header: {} bytes of {header}", bytes.len())))?;
        *size = usize::try_from(word).map_err(|error| wrong(what, error.to_string()))?;
    }
    let expected = sizes
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .ok_or_else(|| wrong(what, format!("its header says {sizes:?}, more than fits into memory")))?;
    let content = &bytes[header..];
    if content.len() != expected {
        let is = if content.len() < expected { "truncated" } else { "too long" };
        return Err(wrong(
            what,
            format!("it is {is}: its header says {sizes:?}, that is {expected} bytes, and {} follow", content.len()),
        ));
    }
    Ok((sizes, content))
}

fn write<const N: usize>(magic: u32, sizes: [usize; N], content: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4 + 4 * N + content.len());
    bytes.extend(magic.to_be_bytes());
    for size in sizes {
        let size = u32::try_from(size)
            .map_err(|_| wrong("the file to be written", format!("a size of {size} does not fit into its header")))?;
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend(content);
    Ok(bytes)
}

fn wrong(what: &str, reason: String) -> Error {
    Error::Idx { what: what.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let pixels: Vec<u8> = (0..24).collect();
        let bytes = write_images(3, 4, &pixels).unwrap();
        assert_eq!(bytes[..16], [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
        assert_eq!(read_images("x", &bytes).unwrap(), Images { count: 2, height: 3, width: 4, pixels });
        assert_eq!(read_labels("x", &write_labels(&[7, 1]).unwrap()).unwrap(), [7, 1]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = write_images(3, 4, &[9; 24]).unwrap();
        for length in 0..bytes.len() {
            assert!(read_images("x", &bytes[..length]).is_err(), "{length}");
        }
        let error = read_images("train-images-idx3-ubyte", &bytes[..30]).unwrap_err().to_string();
        assert_eq!(
            error,
            "train-images-idx3-ubyte is not a complete IDX file: it is truncated: its header says [2, 3, 4], that is 24 bytes, and 14 follow"
        );
    }

    #[test]
    fn other_files_are_refused() {
        let labels = write_labels(&[1; 30]).unwrap();
        assert!(read_images("x", &labels).unwrap_err().to_string().contains("0x00000801 instead of 0x00000803"));
        assert!(read_labels("x", &[0x1f, 0x8b, 8, 0, 0]).unwrap_err().to_string().contains("gunzip"));
        assert!(read_labels("x", &[&labels[..], &[0]].concat()).unwrap_err().to_string().contains("too long"));
        let huge = [&IMAGES.to_be_bytes()[..], &[0xff; 12]].concat();
        assert!(read_images("x", &huge).is_err());
        assert!(write_images(3, 4, &[0; 13]).is_err());
        assert!(write_images(0, 4, &[]).is_err());
    }
}
