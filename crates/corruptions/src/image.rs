//! A picture as numbers, and what several corruptions do with it: sampling between pixels and the Gaussian blur.

use fastrand::Rng;

/// Rows and columns of a picture.
pub const SIDE: usize = 28;
/// Pixels of a picture.
pub const PIXELS: usize = SIDE * SIDE;

/// Brightness of each pixel from 0 to 1, rows from the top.
pub(crate) type Picture = [f64; PIXELS];

pub(crate) fn from_bytes(bytes: &[u8; PIXELS]) -> Picture {
    bytes.map(|byte| f64::from(byte) / 255.0)
}

pub(crate) fn to_bytes(picture: &Picture) -> [u8; PIXELS] {
    // rounded and within 0 to 255, so nothing is cut
    picture.map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// A picture from the row and the column of each pixel.
pub(crate) fn each(mut value: impl FnMut(usize, usize) -> f64) -> Picture {
    std::array::from_fn(|index| value(index / SIDE, index % SIDE))
}

/// The pixel there; ground outside of the picture.
pub(crate) fn pixel(picture: &Picture, row: i64, column: i64) -> f64 {
    let inside = 0..SIDE as i64;
    if inside.contains(&row) && inside.contains(&column) { picture[row as usize * SIDE + column as usize] } else { 0.0 }
}

/// The brightness between pixels, from the four nearest.
pub(crate) fn sample(picture: &Picture, row: f64, column: f64) -> f64 {
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = (row - top, column - left);
    let (top, left) = (top as i64, left as i64);
    let upper = pixel(picture, top, left) * (1.0 - right) + pixel(picture, top, left + 1) * right;
    let lower = pixel(picture, top + 1, left) * (1.0 - right) + pixel(picture, top + 1, left + 1) * right;
    upper * (1.0 - down) + lower * down
}

/// Each pixel as a mean of its neighbours with Gaussian weights; `deviation` in pixels.
pub(crate) fn blur(picture: &Picture, deviation: f64) -> Picture {
    if deviation < 1e-3 {
        return *picture;
    }
    let reach = (3.0 * deviation).ceil() as i64;
    let weights: Vec<f64> = (-reach..=reach).map(|step| (-0.5 * (step as f64 / deviation).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let across = each(|row, column| {
        let values = (-reach..=reach).map(|step| pixel(picture, row as i64, column as i64 + step));
        values.zip(&weights).map(|(value, weight)| value * weight).sum::<f64>() / sum
    });
    each(|row, column| {
        let values = (-reach..=reach).map(|step| pixel(&across, row as i64 + step, column as i64));
        values.zip(&weights).map(|(value, weight)| value * weight).sum::<f64>() / sum
    })
}

/// A number from the normal distribution, by the method of Box and Muller.
pub(crate) fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// A number between two others.
pub(crate) fn between(random: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * random.f64()
}

/// One side or the other.
pub(crate) fn side(random: &mut Rng) -> f64 {
    if random.bool() { 1.0 } else { -1.0 }
}
