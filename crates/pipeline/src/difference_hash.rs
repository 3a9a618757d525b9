//! The difference hash of an image (dHash): whether each of 8 × 8 places is brighter than its left neighbour, after the image was made
//! 9 × 8 pixels small. Images that look alike differ in few of the 64 bits, whatever their size or brightness.

use crate::picture::Picture;
use crate::resample::Resampler;
use crate::transform::grey;

const HEIGHT: u32 = 8;
const WIDTH: u32 = 9;

#[derive(Debug, Default)]
pub(crate) struct DifferenceHash {
    resampler: Resampler,
    small: Vec<u8>,
}

impl DifferenceHash {
    pub(crate) fn of(&mut self, picture: &Picture) -> u64 {
        let size = [picture.height, picture.width];
        let to = [HEIGHT, WIDTH];
        if picture.channels == 1 {
            self.resampler.resample(&picture.levels, size, 1, to, &mut self.small);
        } else {
            self.resampler.resample(&grey(picture), size, 1, to, &mut self.small);
        }
        let rows = self.small.chunks_exact(WIDTH as usize);
        rows.flat_map(|row| row.windows(2)).fold(0, |hash, pair| hash << 1 | u64::from(pair[1] > pair[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(size: u32, level: impl Fn(u32, u32) -> u32) -> Picture {
        let levels = (0..size * size).map(|place| level(place / size, place % size) as u8).collect();
        Picture { height: size, width: size, channels: 1, levels }
    }

    #[test]
    fn what_looks_alike_has_a_similar_hash() {
        let mut hash = DifferenceHash::default();
        let rising = picture(28, |_, column| column * 4);
        assert_eq!(hash.of(&rising), u64::MAX);
        assert_eq!(hash.of(&picture(28, |_, column| 200 - column * 4)), 0);
        let wave = |row: u32, column: u32| 100 + (row * column / 7) % 60;
        let one = hash.of(&picture(28, wave));
        // brighter, and a little noise
        let other = hash.of(&picture(28, |row, column| wave(row, column) + 40 + (row + column) % 2));
        assert!((one ^ other).count_ones() <= 6, "{one:x} {other:x}");
        let upside_down = hash.of(&picture(28, |row, column| wave(27 - row, column)));
        assert!((one ^ upside_down).count_ones() > 10, "{one:x} {upside_down:x}");
    }
}
