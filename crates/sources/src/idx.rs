//! Sets of grey images in IDX files.

use std::fs::File;
use std::io::Read;

use slipway_dataset::idx::{Images, read_images, read_labels};
use slipway_dataset::{LocalDataset, Splits, select};
use slipway_experiment::{Files, IdxSource};

use crate::classes::Classes;
use crate::fetch::Located;
use crate::make::Work;
use crate::open::{Plain, file};
use crate::{Error, Result, splits};

/// They are held in memory.
const MOST: u64 = 16 << 30;

struct Part {
    images: Images,
    classes: Vec<u32>,
}

pub(crate) fn read(work: &Work<'_>, source: &IdxSource, files: &Files<(Located, Located)>) -> Result<LocalDataset> {
    let declared = work.spec();
    let classes = Classes::of(declared, source.first_label, "spec.source.idx")
        .ok_or_else(|| Error::problem("spec", "missing-field", "no classes are declared", "add `classes:`"))?;
    let part = |pair: &(Located, Located)| part(work, source, &classes, pair);
    let (parts, all) = match files {
        Files::Whole(pair) => {
            let Part { images, classes } = part(pair)?;
            let indices = splits::all(&classes, declared.split)?;
            (indices.map(|indices| chosen(&images, &classes, indices)), classes)
        }
        Files::Parts { train, validation, test } => {
            let (train, test) = (part(train)?, part(test)?);
            let mut all = [train.classes.as_slice(), &test.classes].concat();
            let parts = match validation {
                Some(pair) => {
                    let validation = part(pair)?;
                    all.extend(&validation.classes);
                    [train, validation, test].map(|part| (part.images, part.classes))
                }
                None => {
                    let (stays, taken) = splits::cut(&train.classes, declared.split)?;
                    let of = |indices: &[usize]| chosen(&train.images, &train.classes, indices);
                    [of(&stays), of(&taken), (test.images, test.classes)]
                }
            };
            let [train, validation, test] = parts;
            (Splits { train, validation, test }, all)
        }
    };
    classes.complete(&all, &parts.train.1)?;
    // at most 256 classes are declared for this kind of source
    let bytes =
        |(images, classes): (Images, Vec<u32>)| (images, classes.into_iter().map(|class| class as u8).collect());
    let parts = Splits { train: bytes(parts.train), validation: bytes(parts.validation), test: bytes(parts.test) };
    let made = LocalDataset::of_images(&work.declaration.name, classes.count as usize, declared.labels.clone(), &parts);
    made.map_err(|error| {
        let help = "each split needs images of the same size";
        Error::problem("spec.source.idx", "mixed-sizes", error.to_string(), help)
    })
}

fn chosen(images: &Images, classes: &[u32], indices: &[usize]) -> (Images, Vec<u32>) {
    // labels of bytes are what `select` has
    let (images, _) = select(images, &vec![0; classes.len()], indices);
    (images, indices.iter().map(|&index| classes[index]).collect())
}

fn part(work: &Work<'_>, source: &IdxSource, classes: &Classes<'_>, pair: &(Located, Located)) -> Result<Part> {
    let (pixels, labels) = (file(&work.unpacking, &pair.0)?, file(&work.unpacking, &pair.1)?);
    let truncated = |plain: &Plain, error: &slipway_dataset::Error| {
        let help = "download it again; if it is another kind of file, correct the address";
        Error::problem(&plain.field, "truncated", error.to_string(), help)
    };
    let mut images = read_images(&pixels.name, &bytes(&pixels)?).map_err(|error| truncated(&pixels, &error))?;
    let numbers = read_labels(&labels.name, &bytes(&labels)?).map_err(|error| truncated(&labels, &error))?;
    if images.count != numbers.len() {
        let message =
            format!("{} has {} images, but {} has {} labels", pixels.name, images.count, labels.name, numbers.len());
        return Err(Error::problem(&labels.field, "wrong-count", message, "give the two files of one split"));
    }
    if source.transposed {
        images = upright(&images);
    }
    let (height, width) = (images.height, images.width);
    if let Some(shape) = &work.spec().shape {
        let declared: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
        if declared != [height, width] {
            let message =
                format!("{} has images of [{height}, {width}] pixels, but {declared:?} is declared", pixels.name);
            return Err(Error::problem(
                "spec.shape",
                "wrong-shape",
                message,
                format!("if that is right, declare [{height}, {width}]"),
            ));
        }
    }
    let numbers: Vec<i64> = numbers.into_iter().map(i64::from).collect();
    let classes = classes.numbered(&numbers, |index| format!("{}, image {index},", labels.name))?;
    Ok(Part { images, classes })
}

fn bytes(plain: &Plain) -> Result<Vec<u8>> {
    let unreadable = |error| Error::file("read", &plain.path, &error);
    let file = File::open(&plain.path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > MOST {
        let message = format!("{} has {size} bytes", plain.name);
        return Err(Error::problem(
            &plain.field,
            "too-large",
            message,
            format!("at most {MOST}: store images as folders of files"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Images with rows and columns exchanged.
fn upright(images: &Images) -> Images {
    let Images { count, height, width, ref pixels } = *images;
    let size = height * width;
    let pixel = |place: usize| {
        let (image, within) = (place / size, place % size);
        let (row, column) = (within / height, within % height);
        pixels[image * size + column * width + row]
    };
    Images { count, height: width, width: height, pixels: (0..count * size).map(pixel).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let images = Images { count: 2, height: 2, width: 3, pixels: (0..12).collect() };
        let upright = upright(&images);
        assert_eq!((upright.height, upright.width), (3, 2));
        assert_eq!(upright.pixels, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
        assert_eq!(super::upright(&upright), images);
    }
}
