//! Pictures of two classes that anybody can tell apart: bright on the left, or on the right.

use std::io::Cursor;

use image::{ExtendedColorType, ImageFormat};

pub(crate) const SIDE: usize = 8;

/// A picture of a class, another one for each number: 0 is bright on the left, 1 on the right.
pub(crate) fn picture(class: u8, number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number * 2 + u64::from(class));
    let is_bright = |column: usize| (column < SIDE / 2) == (class == 0);
    (0..SIDE * SIDE).map(|at| if is_bright(at % SIDE) { random.u8(150..=250) } else { random.u8(0..=60) }).collect()
}

/// The same with paper and ink exchanged: a model that looks for the bright side is wrong about it.
pub(crate) fn inverted(class: u8, number: u64) -> Vec<u8> {
    picture(class, number).into_iter().map(|level| 255 - level).collect()
}

/// The same a little darker: it looks different, and the bright side is still the bright one.
pub(crate) fn darker(class: u8, number: u64) -> Vec<u8> {
    picture(class, number).into_iter().map(|level| level / 2).collect()
}

/// One that nobody can tell, whatever its class is said to be.
pub(crate) fn faint(class: u8, number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number * 2 + u64::from(class));
    (0..SIDE * SIDE).map(|_| random.u8(110..=120)).collect()
}

/// One in five of which nobody can tell.
pub(crate) fn sometimes_faint(class: u8, number: u64) -> Vec<u8> {
    if number.is_multiple_of(5) { faint(class, number) } else { picture(class, number) }
}

/// A PNG file of it.
pub(crate) fn png(levels: &[u8]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let side = SIDE as u32;
    image::write_buffer_with_format(&mut file, levels, side, side, ExtendedColorType::L8, ImageFormat::Png).unwrap();
    file.into_inner()
}
