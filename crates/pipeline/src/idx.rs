//! IDX files, one image at a time.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read};

use slipway_experiment::IdxSource;
use slipway_sources::Plain;

use crate::examine::{Examiner, Origin};
use crate::record::{Item, Part};
use crate::{Error, Result};

const BUFFER: usize = 1 << 18;

/// Examines every image of a pair of files; `take` gets what that came to.
pub(crate) fn read(
    images: &Plain,
    labels: &Plain,
    source: &IdxSource,
    part: Part,
    examiner: &mut Examiner,
    mut take: impl FnMut(&Item) -> Result<()>,
) -> Result<()> {
    let mut pixels = Values::<3>::open(images, 0x0803)?;
    let mut numbers = Values::<1>::open(labels, 0x0801)?;
    let [count, height, width] = pixels.sizes;
    if numbers.sizes != [count] {
        let message =
            format!("{} has {count} images, but {} has {} labels", images.name, labels.name, numbers.sizes[0]);
        return Err(Error::problem(&labels.field, "wrong-count", message, "give the two files of one split"));
    }
    let size = u64::from(height) * u64::from(width);
    if size == 0 || size > crate::picture::LARGEST {
        let message = format!("{} has images of {height} × {width} pixels", images.name);
        return Err(Error::problem(&images.field, "wrong-shape", message, "give a file of images"));
    }
    let (mut levels, mut number) = (Vec::new(), Vec::new());
    let mut upright = Vec::new();
    let (mut name, mut label) = (String::new(), String::new());
    for index in 0..count {
        pixels.next(size as usize, &mut levels)?;
        numbers.next(1, &mut number)?;
        let mut shape = [height, width];
        if source.transposed {
            shape = [width, height];
            exchange(&levels, width as usize, &mut upright);
            std::mem::swap(&mut levels, &mut upright);
        }
        name.clear();
        label.clear();
        // a String takes everything
        let _ = write!(name, "image {index}");
        let _ = write!(label, "{}", i64::from(number[0]) - i64::from(source.first_label));
        let from = Origin { name: &name, part, label: &label };
        take(&examiner.levels(from, shape, &mut levels)?)?;
    }
    pixels.end()?;
    numbers.end()
}

/// Rows become columns.
fn exchange(levels: &[u8], width: usize, exchanged: &mut Vec<u8>) {
    exchanged.clear();
    for column in 0..width {
        exchanged.extend(levels[column..].iter().step_by(width));
    }
}

/// The values of a file of `N` dimensions.
struct Values<'a, const N: usize> {
    reader: BufReader<File>,
    plain: &'a Plain,
    sizes: [u32; N],
}

impl<'a, const N: usize> Values<'a, N> {
    fn open(plain: &'a Plain, magic: u32) -> Result<Self> {
        let file = File::open(&plain.path).map_err(|error| Error::file("read", &plain.path, &error))?;
        let mut values = Self { reader: BufReader::with_capacity(BUFFER, file), plain, sizes: [0; N] };
        let found = values.word()?;
        if found != magic {
            return Err(values.wrong(&format!("it begins with {found:#010x} instead of {magic:#010x}")));
        }
        for dimension in 0..N {
            values.sizes[dimension] = values.word()?;
        }
        Ok(values)
    }

    fn word(&mut self) -> Result<u32> {
        let mut bytes = Vec::new();
        self.next(4, &mut bytes)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn next(&mut self, size: usize, values: &mut Vec<u8>) -> Result<()> {
        values.resize(size, 0);
        self.reader.read_exact(values).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.wrong("it ends early"),
            _ => Error::file("read", &self.plain.path, &error),
        })
    }

    fn end(&mut self) -> Result<()> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.wrong("it is longer than its header says")),
            Err(error) => Err(Error::file("read", &self.plain.path, &error)),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        let message = format!("{} is not a complete IDX file: {reason}", self.plain.name);
        let help = "download it again; if it is another kind of file, correct the address";
        Error::problem(&self.plain.field, "truncated", message, help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let mut upright = Vec::new();
        exchange(&[0, 1, 2, 3, 4, 5], 3, &mut upright);
        assert_eq!(upright, [0, 3, 1, 4, 2, 5]);
    }
}
