//! Random changes to training images.

use slipway_model::SplitMix64;

/// How far images are moved and turned at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Augmentation {
    /// Whole pixels, to each side.
    pub(crate) shift: usize,
    /// Degrees, in each direction.
    pub(crate) rotation: f64,
}

/// The change of one image in one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    /// Pixels to the right and down.
    shift: [f64; 2],
    /// Radians.
    angle: f64,
}

impl Augmentation {
    /// The changes of one epoch.
    pub(crate) fn of_epoch(self, seed: u64, epoch: usize) -> EpochAugmentation {
        // one number further than the order of the images, which has the same seed and epoch
        let mut random = SplitMix64::new(seed);
        random.next_u64();
        let seed = random.next_u64() ^ epoch as u64;
        EpochAugmentation { augmentation: self, seed: SplitMix64::new(seed).next_u64() }
    }
}

/// The changes of one epoch. The change of an image depends on seed, epoch and the image's index alone, so that it is the same whichever worker
/// trains on it, and in whichever batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochAugmentation {
    augmentation: Augmentation,
    seed: u64,
}

impl EpochAugmentation {
    /// Appends the changed image to `out`, as numbers in 0..1. `pixels` holds its channels one after the other, each of `height` × `width` bytes.
    pub(crate) fn apply(&self, index: i64, pixels: &[u8], [height, width]: [usize; 2], out: &mut Vec<f32>) {
        let change = self.change(index);
        for channel in pixels.chunks_exact(height * width) {
            transform(channel, [height, width], change, out);
        }
    }

    fn change(&self, index: i64) -> Change {
        let mut random = SplitMix64::new(self.seed ^ index as u64);
        let Augmentation { shift, rotation } = self.augmentation;
        // a whole number of -shift..=shift
        let mut moved = || {
            let choices = 2 * shift as u64 + 1;
            ((u128::from(random.next_u64()) * u128::from(choices)) >> 64) as f64 - shift as f64
        };
        let shift = [moved(), moved()];
        Change { shift, angle: rotation.to_radians() * (2.0 * random.unit() - 1.0) }
    }
}

/// Turns an image around its centre, then moves it. What comes from outside of the image is paper.
fn transform(pixels: &[u8], [height, width]: [usize; 2], change: Change, out: &mut Vec<f32>) {
    let ink = |x: i64, y: i64| {
        let is_inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
        if is_inside { f32::from(pixels[y as usize * width + x as usize]) / 255.0 } else { 0.0 }
    };
    let (sin, cos) = change.angle.sin_cos();
    let [middle_x, middle_y] = [(width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0];
    for row in 0..height {
        for column in 0..width {
            // where this pixel comes from
            let x = column as f64 - change.shift[0] - middle_x;
            let y = row as f64 - change.shift[1] - middle_y;
            let (x, y) = (cos * x + sin * y + middle_x, cos * y - sin * x + middle_y);
            let (left, top) = (x.floor(), y.floor());
            // a mean of the four pixels around that point, each with the share that it overlaps
            let (right, below) = ((x - left) as f32, (y - top) as f32);
            let (left, top) = (left as i64, top as i64);
            let upper = ink(left, top) * (1.0 - right) + ink(left + 1, top) * right;
            let lower = ink(left, top + 1) * (1.0 - right) + ink(left + 1, top + 1) * right;
            out.push(upper * (1.0 - below) + lower * below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    fn transformed(shift: [f64; 2], degrees: f64) -> Vec<f32> {
        let mut out = Vec::new();
        transform(&PIXELS, [3, 4], Change { shift, angle: degrees.to_radians() }, &mut out);
        out.iter().map(|pixel| (pixel * 255.0 * 1000.0).round() / 1000.0).collect()
    }

    #[test]
    fn pixels_move_and_paper_follows() {
        assert_eq!(transformed([0.0, 0.0], 0.0), PIXELS.map(f32::from));
        assert_eq!(transformed([1.0, 0.0], 0.0), [0., 1., 2., 3., 0., 5., 6., 7., 0., 9., 10., 11.]);
        assert_eq!(transformed([0.0, -2.0], 0.0), [9., 10., 11., 12., 0., 0., 0., 0., 0., 0., 0., 0.]);
        assert_eq!(transformed([50.0, 50.0], 0.0), [0.0; 12]);
    }

    #[test]
    fn an_image_turns_around_its_centre() {
        assert_eq!(transformed([0.0, 0.0], 180.0), [12., 11., 10., 9., 8., 7., 6., 5., 4., 3., 2., 1.]);
        // a quarter turn clockwise as seen, with y downwards
        let mut out = Vec::new();
        let quarter = Change { shift: [0.0, 0.0], angle: 90f64.to_radians() };
        transform(&[255, 0, 0, 0], [2, 2], quarter, &mut out);
        assert!(out.iter().zip([0.0, 1.0, 0.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?}");
    }

    #[test]
    fn a_change_depends_on_seed_epoch_and_image() {
        let augmentation = Augmentation { shift: 2, rotation: 10.0 };
        let change = |seed, epoch, index| augmentation.of_epoch(seed, epoch).change(index);
        assert_eq!(change(7, 1, 5), change(7, 1, 5));
        let others = [change(8, 1, 5), change(7, 2, 5), change(7, 1, 6)];
        assert!(others.iter().all(|other| *other != change(7, 1, 5)), "{others:?}");
    }

    #[test]
    fn changes_are_spread_over_all_that_is_allowed() {
        let changes: Vec<_> = {
            let epoch = Augmentation { shift: 2, rotation: 10.0 }.of_epoch(7, 0);
            (0..2_000).map(|index| epoch.change(index)).collect()
        };
        for axis in [0, 1] {
            for shift in [-2.0, -1.0, 0.0, 1.0, 2.0] {
                let count = changes.iter().filter(|change| change.shift[axis] == shift).count();
                assert!((300..500).contains(&count), "{count} of 2000 moved by {shift}");
            }
        }
        let degrees: Vec<_> = changes.iter().map(|change| change.angle.to_degrees()).collect();
        assert!(degrees.iter().all(|degrees| degrees.abs() <= 10.0));
        assert!(degrees.iter().any(|degrees| *degrees > 9.0) && degrees.iter().any(|degrees| *degrees < -9.0));
        // neither is one where the other one is alone
        let epoch = Augmentation { shift: 0, rotation: 10.0 }.of_epoch(7, 0);
        assert!((0..10).all(|index| epoch.change(index).shift == [0.0, 0.0] && epoch.change(index).angle != 0.0));
        let epoch = Augmentation { shift: 3, rotation: 0.0 }.of_epoch(7, 0);
        assert!((0..10).all(|index| epoch.change(index).angle == 0.0));
    }

    #[test]
    fn channels_change_together() {
        let epoch = Augmentation { shift: 1, rotation: 20.0 }.of_epoch(7, 0);
        let (mut one, mut both) = (Vec::new(), Vec::new());
        epoch.apply(3, &PIXELS, [3, 4], &mut one);
        epoch.apply(3, &[PIXELS, PIXELS].concat(), [3, 4], &mut both);
        assert_eq!(both, [one.clone(), one].concat());
    }
}
