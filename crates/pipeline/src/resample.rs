//! Another size for an image, by a triangle filter that widens with the scale, so that nothing is skipped when it becomes smaller: what Pillow
//! calls `BILINEAR`. Integers alone, so every machine gives the same bytes.

use std::collections::HashMap;

use crate::picture::Picture;

/// Resizes images. Keeps the weights of sizes that it has seen.
#[derive(Debug, Default)]
pub(crate) struct Resampler {
    /// By the length of a row or a column before and after.
    weights: HashMap<(u32, u32), Vec<Weights>>,
    /// Those that were used last: most images of a source have the same size.
    last: Option<Sizes>,
    rows: Vec<u16>,
    sums: Vec<u32>,
    lanes: Vec<[f32; LANES]>,
    /// In place of rows that are not there.
    nothing: Vec<u8>,
}

/// Weights of rows and of columns, with the sizes that they are for.
#[derive(Debug)]
struct Sizes {
    from: [u32; 2],
    to: [u32; 2],
    across: Vec<Weights>,
    down: Vec<Weights>,
    /// The weights of rows, by the places that they are of; `None` if one of them counts for more than two new ones.
    spread: Option<Vec<Spread>>,
}

/// Which places count for a new one, and how much: 65,536 together.
#[derive(Debug, Clone)]
struct Weights {
    start: usize,
    each: Vec<u32>,
}

/// What a place counts for a new one and for the one after it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    first: usize,
    weights: [f32; 2],
}

/// Rows that are made smaller together, one in each lane of vector instructions.
const LANES: usize = 8;
/// How many sizes are remembered.
const SIZES: usize = 1024;

impl Resampler {
    pub(crate) fn resize(&mut self, picture: &Picture, [height, width]: [u32; 2]) -> Picture {
        let mut levels = Vec::new();
        let size = [picture.height, picture.width];
        self.resample(&picture.levels, size, usize::from(picture.channels), [height, width], &mut levels);
        Picture { height, width, channels: picture.channels, levels }
    }

    /// From levels of a size to those of another.
    pub(crate) fn resample(
        &mut self,
        levels: &[u8],
        from: [u32; 2],
        channels: usize,
        to: [u32; 2],
        resized: &mut Vec<u8>,
    ) {
        let sizes = match self.last.take() {
            Some(last) if (last.from, last.to) == (from, to) => last,
            _ => self.sizes(from, to),
        };
        // rows in levels of 1/256; a product with a weight fits into 32 bits
        self.rows.clear();
        match &sizes.spread {
            Some(spread) if channels == 1 => self.together(levels, spread, sizes.across.len()),
            _ => each(levels, from[1] as usize, channels, &sizes.across, &mut self.rows),
        }
        let row = to[1] as usize * channels;
        resized.clear();
        resized.reserve(to[0] as usize * row);
        self.sums.resize(row, 0);
        for Weights { start, each } in &sizes.down {
            self.sums.fill(1 << 23);
            let above = self.rows[start * row..].chunks_exact(row);
            for (above, &weight) in above.zip(each) {
                self.sums.iter_mut().zip(above).for_each(|(sum, &level)| *sum += u32::from(level) * weight);
            }
            resized.extend(self.sums.iter().map(|sum| (sum >> 24) as u8));
        }
        self.last = Some(sizes);
    }

    /// The rows of a grey image, [`LANES`] of them at a time. Sums of levels times weights are whole numbers of less than 2^24, which 32-bit
    /// floats hold exactly and processors multiply fast.
    fn together(&mut self, levels: &[u8], spread: &[Spread], to: usize) {
        let from = spread.len();
        self.nothing.clear();
        self.nothing.resize(from, 0);
        for block in levels.chunks(from * LANES) {
            let mut rows = [&self.nothing[..from]; LANES];
            rows.iter_mut().zip(block.chunks_exact(from)).for_each(|(row, own)| *row = &own[..from]);
            self.lanes.clear();
            // one more than there are new places, for the last one's weight of nothing
            self.lanes.resize(to + 1, [128.0; LANES]);
            for (at, Spread { first, weights }) in spread.iter().enumerate().take(from) {
                let levels: [f32; LANES] = std::array::from_fn(|lane| f32::from(rows[lane][at]));
                let Some([one, other]) = self.lanes[*first..].first_chunk_mut::<2>() else { continue };
                one.iter_mut().zip(levels).for_each(|(sum, level)| *sum += level * weights[0]);
                other.iter_mut().zip(levels).for_each(|(sum, level)| *sum += level * weights[1]);
            }
            let before = self.rows.len();
            self.rows.resize(before + block.len() / from * to, 0);
            let made = &mut self.rows[before..];
            for (new, sums) in self.lanes[..to].iter().enumerate() {
                let rounded = sums.map(|sum| (sum as i32 >> 8) as u16);
                made.iter_mut().skip(new).step_by(to).zip(rounded).for_each(|(place, sum)| *place = sum);
            }
        }
    }

    fn sizes(&mut self, from: [u32; 2], to: [u32; 2]) -> Sizes {
        if self.weights.len() > SIZES {
            self.weights.clear();
        }
        let mut of = |side: usize| {
            let side = (from[side], to[side]);
            self.weights.entry(side).or_insert_with(|| weights(side.0, side.1)).clone()
        };
        let (across, down) = (of(1), of(0));
        let spread = spread(&across, from[1] as usize);
        Sizes { from, to, across, down, spread }
    }
}

/// The rows of an image, one new place after the other.
fn each(levels: &[u8], width: usize, channels: usize, across: &[Weights], rows: &mut Vec<u16>) {
    for row in levels.chunks_exact(width * channels) {
        for Weights { start, each } in across {
            for channel in 0..channels {
                let places = row[start * channels + channel..].iter().step_by(channels);
                let sum: u32 = places.zip(each).map(|(&level, &weight)| u32::from(level) * weight).sum();
                rows.push(((sum + 128) >> 8) as u16);
            }
        }
    }
}

/// The same weights by their places, of which there are so many.
fn spread(across: &[Weights], places: usize) -> Option<Vec<Spread>> {
    let mut spread = vec![Spread { first: 0, weights: [0.0; 2] }; places];
    for (new, Weights { start, each }) in across.iter().enumerate() {
        for (place, weight) in spread[*start..].iter_mut().zip(each) {
            let weight = *weight as f32;
            match place.weights {
                [0.0, _] => *place = Spread { first: new, weights: [weight, 0.0] },
                [_, 0.0] if place.first + 1 == new => place.weights[1] = weight,
                _ => return None,
            }
        }
    }
    Some(spread)
}

fn weights(from: u32, to: u32) -> Vec<Weights> {
    let (from, to) = (i64::from(from), i64::from(to));
    let support = 2 * from.max(to);
    let place = |new: i64| {
        // everything times 2 × to, so that halves are whole
        let center = (2 * new + 1) * from;
        let weight = |old: i64| support - ((2 * old + 1) * to - center).abs();
        let first = ((center - support) / (2 * to) - 1).max(0);
        let counted: Vec<(i64, i64)> = (first..from)
            .map(|old| (old, weight(old)))
            .skip_while(|(_, weight)| *weight <= 0)
            .take_while(|(_, weight)| *weight > 0)
            .collect();
        let total: i64 = counted.iter().map(|(_, weight)| weight).sum();
        let mut each: Vec<u32> = counted.iter().map(|(_, weight)| (weight * 65_536 / total) as u32).collect();
        // what rounding took goes to the nearest place
        let rest = 65_536 - each.iter().sum::<u32>();
        let nearest = (0..each.len()).max_by_key(|&index| (counted[index].1, std::cmp::Reverse(index)));
        if let Some(nearest) = nearest {
            each[nearest] += rest;
        }
        Weights { start: counted.first().map_or(0, |(old, _)| *old as usize), each }
    };
    (0..to).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows together are a faster way to the same sums.
    #[test]
    fn rows_together_are_as_one_by_one() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut together = 0;
        for width in 1..70_u32 {
            for to in [1, 2, 3, 8, 9, 28, 64] {
                let across = weights(width, to);
                let Some(spread) = spread(&across, width as usize) else {
                    assert!(to > width, "{width} to {to}");
                    continue;
                };
                together += 1;
                for height in [1, 7, 8, 9, 28] {
                    let size = (height * width) as usize;
                    let noise: Vec<u8> = (0..size).map(|_| random.u8(..)).collect();
                    for levels in [noise, vec![255; size], vec![0; size]] {
                        let mut resampler = Resampler::default();
                        resampler.together(&levels, &spread, across.len());
                        let mut rows = Vec::new();
                        each(&levels, width as usize, 1, &across, &mut rows);
                        assert_eq!(resampler.rows, rows, "{height} × {width} to {to}");
                    }
                }
            }
        }
        assert!(together > 200, "{together}");
    }
}
