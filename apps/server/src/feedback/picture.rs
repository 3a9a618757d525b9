//! From the tensor that a model was asked with to an image file of the same pixels.

use crate::refusal::Refusal;
use crate::tensor::{Array, Elements};

/// Levels of an image, row by row, with 1 (grey) or 3 (red, green, blue) for each pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from top to bottom.
    pub height: u32,
    /// Pixels from left to right.
    pub width: u32,
    /// 1 or 3.
    pub channels: u8,
    /// `height` × `width` × `channels` of them.
    pub levels: Vec<u8>,
}

impl Picture {
    /// The image that a request of one input `[1, channels, height, width]` asks about.
    ///
    /// # Errors
    /// 400 if it is no such input, or has numbers that are no levels of 8 bits.
    pub fn of(inputs: &[Array]) -> Result<Self, Refusal> {
        let [Array { shape, elements }] = inputs else {
            return Err(Refusal::request("feedback is about one image, but the model takes several inputs"));
        };
        let (channels, height, width) = match shape[..] {
            [1, channels @ (1 | 3), height, width] => (channels as u8, height as u32, width as u32),
            [rows, 1 | 3, _, _] => {
                return Err(Refusal::request(format!("feedback is about one image, and the request has {rows}")));
            }
            _ => return Err(Refusal::request("feedback is for models that take images, [n, 1 or 3, height, width]")),
        };
        let planes = levels(elements)?;
        let plane = planes.len() / usize::from(channels);
        let levels = match channels {
            1 => planes,
            _ => (0..planes.len()).map(|at| planes[at % 3 * plane + at / 3]).collect(),
        };
        Ok(Self { height, width, channels, levels })
    }

    /// A PNG file of it; the same bytes for the same image.
    ///
    /// # Errors
    /// 500 if it cannot be written.
    pub fn png(&self) -> Result<Vec<u8>, Refusal> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(if self.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.levels)?;
            writer.finish()
        });
        written.map_err(|error| Refusal::unexpected(format!("the image cannot be written as PNG: {error}")))?;
        Ok(file)
    }
}

/// The levels, 0 to 255, that bytes are, or numbers from 0 to 1 stand for.
fn levels(elements: &Elements) -> Result<Vec<u8>, Refusal> {
    match elements {
        Elements::Uint8(levels) => Ok(levels.clone()),
        Elements::Fp32(numbers) => each(numbers.iter().map(|number| f64::from(*number)), 0.01),
        Elements::Fp64(numbers) => each(numbers.iter().copied(), 0.01),
        // its numbers near 1 are an eighth of a level apart
        Elements::Fp16(numbers) => each(numbers.iter().map(|number| number.to_f64()), 0.13),
        other => {
            let datatype = other.datatype();
            Err(Refusal::request(format!("the image is {datatype}; feedback takes UINT8, FP16, FP32 and FP64")))
        }
    }
}

/// `within`: how far from a level a number may be, in levels.
fn each(numbers: impl Iterator<Item = f64>, within: f64) -> Result<Vec<u8>, Refusal> {
    let level = |(at, number): (usize, f64)| {
        let (exact, nearest) = (number * 255.0, (number * 255.0).round());
        if (0.0..=255.0).contains(&nearest) && (exact - nearest).abs() <= within {
            return Ok(nearest as u8);
        }
        Err(Refusal::request(format!(
            "data[{at}] is {number}, which is no level of an image: feedback takes n / 255 for n from 0 to 255, so that what is kept is what was asked"
        )))
    };
    numbers.enumerate().map(level).collect()
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    fn array(shape: &[i64], elements: Elements) -> Vec<Array> {
        vec![Array { shape: shape.to_vec(), elements }]
    }

    fn decoded(file: &[u8]) -> (u32, u32, png::ColorType, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut levels = vec![0; reader.output_buffer_size().unwrap()];
        let found = reader.next_frame(&mut levels).unwrap();
        (found.height, found.width, found.color_type, levels)
    }

    #[test]
    fn every_level_of_every_datatype_stays_what_it_is() {
        let levels: Vec<u8> = (0..=255).collect();
        let numbers = || levels.iter().map(|level| f64::from(*level) / 255.0);
        for elements in [
            Elements::Uint8(levels.clone()),
            Elements::Fp32(numbers().map(|number| number as f32).collect()),
            Elements::Fp64(numbers().collect()),
            Elements::Fp16(numbers().map(f16::from_f64).collect()),
        ] {
            let picture = Picture::of(&array(&[1, 1, 8, 32], elements)).unwrap();
            assert_eq!((picture.height, picture.width, picture.channels), (8, 32, 1));
            assert_eq!(picture.levels, levels);
            assert_eq!(decoded(&picture.png().unwrap()), (8, 32, png::ColorType::Grayscale, levels.clone()));
        }
    }

    #[test]
    fn colours_are_put_side_by_side() {
        let planes = Elements::Uint8(vec![1, 2, 11, 12, 21, 22]);
        let picture = Picture::of(&array(&[1, 3, 1, 2], planes)).unwrap();
        assert_eq!(picture.levels, [1, 11, 21, 2, 12, 22]);
        assert_eq!(decoded(&picture.png().unwrap()), (1, 2, png::ColorType::Rgb, picture.levels));
    }

    #[test]
    fn what_is_no_image_is_refused_with_what_is_allowed() {
        let fp32 = |numbers: &[f32]| Elements::Fp32(numbers.to_vec());
        for (inputs, says) in [
            (array(&[2, 1, 1, 1], fp32(&[0.0, 1.0])), "the request has 2"),
            (array(&[1, 2], fp32(&[0.0, 1.0])), "models that take images"),
            (array(&[1, 2, 1, 1], fp32(&[0.0, 1.0])), "models that take images"),
            (array(&[1, 1, 1, 2], fp32(&[0.0, 0.5])), "data[1] is 0.5"),
            (array(&[1, 1, 1, 2], fp32(&[-1.0, 0.0])), "data[0] is -1"),
            (array(&[1, 1, 1, 2], fp32(&[f32::NAN, 0.0])), "data[0] is NaN"),
            (array(&[1, 1, 1, 1], Elements::Int64(vec![7])), "the image is INT64"),
            ([array(&[1], fp32(&[0.0])), array(&[1], fp32(&[0.0]))].concat(), "several inputs"),
        ] {
            let refusal = Picture::of(&inputs).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(says), "{says}: {refusal}");
        }
    }
}
