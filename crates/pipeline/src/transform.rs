//! What is done with each image. Integers alone, so every machine gives the same bytes.

use slipway_experiment::Transform;

use crate::picture::Picture;
use crate::resample::Resampler;

/// Does the declared transforms. Keeps the weights of sizes that it has seen.
#[derive(Debug, Default)]
pub(crate) struct Transformer {
    steps: Vec<Transform>,
    resampler: Resampler,
}

impl Transformer {
    pub(crate) fn new(steps: &[Transform]) -> Self {
        Self { steps: steps.to_vec(), resampler: Resampler::default() }
    }

    /// Gives whether anything may have changed.
    pub(crate) fn apply(&mut self, picture: &mut Picture) -> bool {
        let mut changed = false;
        for step in &self.steps {
            changed |= match *step {
                Transform::Grey if picture.channels == 1 => false,
                Transform::Grey => {
                    picture.levels = grey(picture);
                    picture.channels = 1;
                    true
                }
                Transform::Resize([height, width]) if [height, width] == [picture.height, picture.width] => false,
                Transform::Resize(size) => {
                    *picture = self.resampler.resize(picture, size);
                    true
                }
                Transform::Normalize([low, high]) => {
                    let [low, high] = [u32::from(low), u32::from(high)];
                    let of = |level: u32| ((level.clamp(low, high) - low) * 255 + (high - low) / 2) / (high - low);
                    each(picture, |level| of(u32::from(level)) as u8);
                    true
                }
                Transform::Invert => {
                    each(picture, |level| 255 - level);
                    true
                }
            };
        }
        changed
    }
}

fn each(picture: &mut Picture, of: impl Fn(u8) -> u8) {
    let mut table = [0; 256];
    (0..=255_u8).for_each(|level| table[usize::from(level)] = of(level));
    picture.levels.iter_mut().for_each(|level| *level = table[usize::from(*level)]);
}

/// Luma of ITU-R BT.601, as Pillow's mode `L` has it.
pub(crate) fn grey(picture: &Picture) -> Vec<u8> {
    if picture.channels == 1 {
        return picture.levels.clone();
    }
    let luma = |rgb: &[u8]| {
        let [red, green, blue] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
        ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
    };
    picture.levels.chunks_exact(3).map(luma).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picture(height: u32, width: u32, levels: &[u8]) -> Picture {
        let channels = (levels.len() / (height * width) as usize) as u8;
        Picture { height, width, channels, levels: levels.to_vec() }
    }

    fn transformed(steps: &[Transform], mut picture: Picture) -> Picture {
        Transformer::new(steps).apply(&mut picture);
        picture
    }

    #[test]
    fn levels_are_mapped() {
        let one = picture(1, 4, &[0, 8, 16, 200]);
        assert_eq!(transformed(&[Transform::Normalize([0, 16])], one.clone()).levels, [0, 128, 255, 255]);
        assert_eq!(transformed(&[Transform::Invert], one.clone()).levels, [255, 247, 239, 55]);
        assert_eq!(transformed(&[Transform::Invert, Transform::Invert], one.clone()), one);
        let colours = picture(1, 4, &[255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]);
        // what Pillow's convert("L") gives
        assert_eq!(transformed(&[Transform::Grey], colours).levels, [76, 150, 29, 9]);
    }

    #[test]
    fn sizes_are_as_pillow_makes_them() {
        let one = picture(2, 4, &[0, 100, 200, 50, 10, 20, 30, 40]);
        // Image.fromarray(…).resize((2, 1), Image.BILINEAR)
        near(&transformed(&[Transform::Resize([1, 2])], one.clone()).levels, &[44, 77]);
        // … .resize((8, 2), Image.BILINEAR)
        let larger = [0, 25, 75, 125, 175, 163, 88, 50, 10, 13, 18, 23, 28, 33, 38, 40];
        near(&transformed(&[Transform::Resize([2, 8])], one).levels, &larger);
    }

    /// Pillow rounds once more, between rows and columns.
    fn near(levels: &[u8], pillow: &[u8]) {
        let is_near = |(&one, &other): (&u8, &u8)| one.abs_diff(other) <= 1;
        assert!(levels.len() == pillow.len() && levels.iter().zip(pillow).all(is_near), "{levels:?}");
    }

    proptest! {
        #[test]
        fn resizing_keeps_what_is_even_and_the_range(
            (height, width, to_height, to_width) in (1..40_u32, 1..40_u32, 1..40_u32, 1..40_u32),
            level in any::<u8>(),
            seed in any::<u64>(),
        ) {
            let size = (height * width) as usize;
            let even = transformed(&[Transform::Resize([to_height, to_width])], picture(height, width, &vec![level; size]));
            prop_assert_eq!(even, picture(to_height, to_width, &vec![level; (to_height * to_width) as usize]));
            let mut random = fastrand::Rng::with_seed(seed);
            let levels: Vec<u8> = (0..size).map(|_| random.u8(50..=200)).collect();
            let resized = transformed(&[Transform::Resize([to_height, to_width])], picture(height, width, &levels));
            prop_assert!(resized.levels.iter().all(|level| (50..=200).contains(level)), "{:?}", resized);
        }

        #[test]
        fn three_channels_are_three_images(seed in any::<u64>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let levels: Vec<u8> = (0..5 * 7 * 3).map(|_| random.u8(..)).collect();
            let whole = transformed(&[Transform::Resize([3, 4])], picture(5, 7, &levels));
            for channel in 0..3 {
                let of = |levels: &[u8]| levels.iter().skip(channel).step_by(3).copied().collect::<Vec<_>>();
                let one = transformed(&[Transform::Resize([3, 4])], picture(5, 7, &of(&levels)));
                prop_assert_eq!(of(&whole.levels), one.levels);
            }
        }
    }
}
