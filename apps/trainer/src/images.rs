//! Images and labels as tensors.

use tch::Tensor;

use crate::augment::EpochAugmentation;
use crate::failure::{Failure, Result};

/// Labelled images in memory, one byte per pixel. Each batch is converted to floats in 0..1 when it is used: here, because that is one pass over a
/// batch, and takes libtorch three.
#[derive(Debug)]
pub(crate) struct Images {
    /// `count` × height × width, 0..=255, ink high.
    pixels: Vec<u8>,
    /// `count`.
    labels: Vec<i64>,
    pub(crate) count: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Images {
    /// Takes `n` × height × width bytes and `n` labels below `classes`.
    pub(crate) fn new(pixels: &[u8], labels: &[u8], shape: [usize; 2], classes: usize) -> Result<Self> {
        let [height, width] = shape;
        let count = labels.len();
        if pixels.len() != count * height * width {
            return Err(Failure::Input(format!(
                "{count} labels, but {} bytes of images of {height}x{width}: the dataset is damaged",
                pixels.len()
            )));
        }
        if let Some(at) = labels.iter().position(|label| usize::from(*label) >= classes) {
            return Err(Failure::Input(format!(
                "label {} of image {at} is not below {classes}, the dataset's number of classes",
                labels[at]
            )));
        }
        Ok(Self {
            pixels: pixels.to_vec(),
            labels: labels.iter().map(|label| i64::from(*label)).collect(),
            count,
            height,
            width,
        })
    }

    /// The images and labels at these indices, each below `count`: float [n, 1, height, width] in 0..1, and int64 [n].
    pub(crate) fn at(&self, indices: &[i64]) -> Result<(Tensor, Tensor)> {
        let mut numbers = Vec::with_capacity(indices.len() * self.height * self.width);
        for index in indices {
            numbers.extend(to_floats(self.image(*index as usize)));
        }
        Ok((self.tensor(&numbers)?, self.labels_at(indices)?))
    }

    /// The same with each image changed.
    pub(crate) fn augmented_at(&self, indices: &[i64], augmentation: &EpochAugmentation) -> Result<(Tensor, Tensor)> {
        let mut changed = Vec::with_capacity(indices.len() * self.height * self.width);
        for index in indices {
            augmentation.apply(*index, self.image(*index as usize), [self.height, self.width], &mut changed);
        }
        Ok((self.tensor(&changed)?, self.labels_at(indices)?))
    }

    /// `length` consecutive images and labels, in the form of [`Self::at`].
    pub(crate) fn range(&self, start: usize, length: usize) -> Result<(Tensor, Tensor)> {
        let size = self.height * self.width;
        let numbers: Vec<f32> = to_floats(&self.pixels[start * size..(start + length) * size]).collect();
        Ok((self.tensor(&numbers)?, Tensor::f_from_slice(&self.labels[start..start + length])?))
    }

    /// The pixels of the image at this index, which is below `count`, row by row.
    pub(crate) fn image(&self, index: usize) -> &[u8] {
        let size = self.height * self.width;
        &self.pixels[index * size..(index + 1) * size]
    }

    /// Numbers of whole images as [n, 1, height, width].
    fn tensor(&self, numbers: &[f32]) -> Result<Tensor> {
        Ok(Tensor::f_from_slice(numbers)?.f_reshape([-1, 1, self.height as i64, self.width as i64])?)
    }

    fn labels_at(&self, indices: &[i64]) -> Result<Tensor> {
        let labels: Vec<_> = indices.iter().map(|index| self.labels[*index as usize]).collect();
        Ok(Tensor::f_from_slice(&labels)?)
    }
}

fn to_floats(pixels: &[u8]) -> impl Iterator<Item = f32> {
    pixels.iter().map(|pixel| f32::from(*pixel) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Augmentation;

    #[test]
    fn damaged_data_is_refused() {
        assert!(Images::new(&[0; 8], &[0, 1], [2, 2], 10).is_ok());
        assert!(Images::new(&[0; 7], &[0, 1], [2, 2], 10).is_err());
        assert!(Images::new(&[0; 8], &[0, 10], [2, 2], 10).unwrap_err().to_string().contains("label 10 of image 1"));
    }

    #[test]
    fn an_image_changes_alike_in_every_batch() {
        let images = crate::synthetic::synthetic(6, 1).unwrap();
        let epoch = Augmentation { shift: 2, rotation: 10.0 }.of_epoch(7, 0);
        let (together, labels) = images.augmented_at(&[4, 0, 5], &epoch).unwrap();
        let (alone, label) = images.augmented_at(&[5], &epoch).unwrap();
        assert_eq!(together.size(), [3, 1, 28, 28]);
        assert!(together.narrow(0, 2, 1).equal(&alone) && labels.narrow(0, 2, 1).equal(&label));
        assert!(!alone.equal(&images.at(&[5]).unwrap().0));
        // without a change, the numbers are those of the image itself
        let epoch = Augmentation { shift: 0, rotation: 0.0 }.of_epoch(7, 0);
        let unchanged = images.augmented_at(&[4, 0, 5], &epoch).unwrap();
        assert!(unchanged.0.equal(&images.at(&[4, 0, 5]).unwrap().0));
    }

    #[test]
    fn pixels_become_numbers() {
        let images = Images::new(&[0, 255, 51, 0, 1, 2, 3, 4], &[3, 7], [2, 2], 10).unwrap();
        let (x, y) = images.at(&[1, 0]).unwrap();
        assert_eq!(x.size(), [2, 1, 2, 2]);
        assert_eq!(Vec::<i64>::try_from(y).unwrap(), [7, 3]);
        assert_eq!(Vec::<f32>::try_from(x.flatten(0, -1)).unwrap()[4..], [0.0, 1.0, 0.2, 0.0]);
        assert_eq!(images.image(1), [1, 2, 3, 4]);
        let (x, y) = images.range(1, 1).unwrap();
        assert_eq!((x.size(), Vec::<i64>::try_from(y).unwrap()), (vec![1, 1, 2, 2], vec![7]));
        assert!(x.equal(&images.at(&[1]).unwrap().0));
    }
}
