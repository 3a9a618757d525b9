//! Images and labels as tensors.

use tch::{Kind, Tensor};

use crate::augment::EpochAugmentation;
use crate::failure::{Failure, Result};

/// Labelled images in memory, one byte per pixel. Each batch is converted to floats in 0..1 when it is used.
#[derive(Debug)]
pub(crate) struct Images {
    /// [n, 1, height, width], 0..=255, ink high.
    pixels: Tensor,
    /// [n].
    labels: Tensor,
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
        let size = [count as i64, 1, height as i64, width as i64];
        Ok(Self {
            pixels: Tensor::f_from_data_size(pixels, &size, Kind::Uint8)?,
            labels: Tensor::f_from_data_size(labels, &[count as i64], Kind::Uint8)?.f_to_kind(Kind::Int64)?,
            count,
            height,
            width,
        })
    }

    /// The images and labels at these indices: float [n, 1, height, width] in 0..1, and int64 [n].
    pub(crate) fn at(&self, indices: &[i64]) -> Result<(Tensor, Tensor)> {
        let indices = Tensor::f_from_slice(indices)?;
        let pixels = self.pixels.f_index_select(0, &indices)?;
        Ok((to_floats(&pixels)?, self.labels.f_index_select(0, &indices)?))
    }

    /// The same with each image changed.
    pub(crate) fn augmented_at(&self, indices: &[i64], augmentation: &EpochAugmentation) -> Result<(Tensor, Tensor)> {
        let at = Tensor::f_from_slice(indices)?;
        let pixels = self.pixels.f_index_select(0, &at)?;
        let size = pixels.size();
        let mut bytes = vec![0u8; pixels.numel()];
        pixels.f_copy_data(&mut bytes, pixels.numel())?;
        let mut changed = Vec::with_capacity(bytes.len());
        for (index, image) in indices.iter().zip(bytes.chunks_exact(bytes.len() / indices.len())) {
            augmentation.apply(*index, image, [self.height, self.width], &mut changed);
        }
        Ok((Tensor::f_from_slice(&changed)?.f_view(size.as_slice())?, self.labels.f_index_select(0, &at)?))
    }

    /// `length` consecutive images and labels, in the form of [`Self::at`].
    pub(crate) fn range(&self, start: usize, length: usize) -> Result<(Tensor, Tensor)> {
        let (start, length) = (start as i64, length as i64);
        Ok((to_floats(&self.pixels.f_narrow(0, start, length)?)?, self.labels.f_narrow(0, start, length)?))
    }

    /// The pixels of one image, row by row.
    pub(crate) fn picture(&self, index: usize) -> Result<Vec<u8>> {
        let image = self.pixels.f_narrow(0, index as i64, 1)?.f_contiguous()?;
        let mut bytes = vec![0; self.height * self.width];
        image.f_copy_data_u8(&mut bytes, self.height * self.width)?;
        Ok(bytes)
    }
}

fn to_floats(pixels: &Tensor) -> Result<Tensor> {
    let mut floats = pixels.f_to_kind(Kind::Float)?;
    Ok(floats.f_div_scalar_(255.0)?)
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
        assert_eq!(images.picture(1).unwrap(), [1, 2, 3, 4]);
    }
}
