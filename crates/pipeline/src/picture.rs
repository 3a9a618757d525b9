//! An image in memory.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use slipway_digest::Digest;

use crate::record::Fault;

/// An image of more bytes than this is set aside, in its file or decoded.
pub(crate) const LARGEST: u64 = 128 << 20;

/// Levels of an image, row by row, with 1 (grey) or 3 (red, green, blue) for each pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) channels: u8,
    pub(crate) levels: Vec<u8>,
}

/// The form of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Png,
    Jpeg,
}

impl Picture {
    /// Decodes a PNG or JPEG file. Transparency is left out; 16 bits become 8.
    pub(crate) fn decode(file: &[u8]) -> Result<(Self, Form), Fault> {
        let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
        let reader = reader.map_err(|error| Fault::Unreadable(error.to_string()))?;
        let form = match reader.format() {
            Some(ImageFormat::Png) => Form::Png,
            Some(ImageFormat::Jpeg) => Form::Jpeg,
            _ => return Err(Fault::NotAnImage),
        };
        let unreadable = |error: image::ImageError| Fault::Unreadable(error.to_string());
        let decoder = reader.into_decoder().map_err(unreadable)?;
        if decoder.total_bytes() > LARGEST {
            return Err(Fault::TooLarge(decoder.total_bytes()));
        }
        let image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
        let (height, width) = (image.height(), image.width());
        let (channels, levels) = if image.color().has_color() {
            (3, image.into_rgb8().into_raw())
        } else {
            (1, image.into_luma8().into_raw())
        };
        Ok((Self { height, width, channels, levels }, form))
    }

    /// The digest of its size and its levels: the same for every file that holds them.
    pub(crate) fn digest(&self) -> Digest {
        Self::digest_of([self.height, self.width], self.channels, &self.levels)
    }

    pub(crate) fn digest_of([height, width]: [u32; 2], channels: u8, levels: &[u8]) -> Digest {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        hash.update(height.to_le_bytes());
        hash.update(width.to_le_bytes());
        hash.update([channels]);
        hash.update(levels);
        hash.into()
    }

    /// A PNG file of it.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Fault> {
        let mut file = Cursor::new(Vec::new());
        let color = if self.channels == 3 { image::ExtendedColorType::Rgb8 } else { image::ExtendedColorType::L8 };
        image::write_buffer_with_format(&mut file, &self.levels, self.width, self.height, color, ImageFormat::Png)
            .map_err(|error| Fault::Unreadable(error.to_string()))?;
        Ok(file.into_inner())
    }
}
