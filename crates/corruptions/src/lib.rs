//! Fifteen ways in which a small grey picture can go wrong, after the definitions of MNIST-C (Mu and Gilmer, "MNIST-C: A Robustness
//! Benchmark for Computer Vision", 2019): for tests of what notices drift, and for demonstrations.
//!
//! Pictures are 28 × 28 bytes, rows from the top, 0 for the ground and 255 for ink. A strength goes from 0, which changes nothing, to 1,
//! about as strong as in that paper. The same picture, strength and seed give the same bytes. The code was written from the definitions:
//! single pixels differ from the published files, and where the paper gives no number, the one used here is in the text of the variant.

mod draw;
mod image;
mod noise;
mod warp;
mod weather;

use fastrand::Rng;

pub use image::{PIXELS, SIDE};
use image::{Picture, from_bytes, to_bytes};

/// A way in which a picture goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Corruption {
    /// Each pixel counts photons: a Poisson number with a mean of its brightness times 5 at full strength, times 500 near zero.
    ShotNoise,
    /// A share of the pixels, 0.27 at full strength, becomes black or white.
    ImpulseNoise,
    /// Pixels trade places with near ones, twice, between two Gaussian blurs, as behind uneven glass.
    GlassBlur,
    /// The mean along a line of up to 15 pixels in a direction within 45 degrees of the horizontal.
    MotionBlur,
    /// Columns slide up or down, by up to 0.6 of their distance from the middle.
    Shear,
    /// Shrunk towards the middle, to half its size at full strength.
    Scale,
    /// Turned by up to 57 degrees (one radian), to either side.
    Rotate,
    /// 0.5 of the range of brightness is added at full strength.
    Brightness,
    /// Shifted by up to 5 pixels in each of the two directions, to either side.
    Translate,
    /// A vertical stripe in the middle is inverted; 6 columns at full strength.
    Stripe,
    /// A cloud of fractal noise lies over it.
    Fog,
    /// Bright splashes: smooth noise above a level.
    Spatter,
    /// A straight line of dots across it.
    DottedLine,
    /// A zigzag line across it.
    Zigzag,
    /// Only its edges, as Canny's method finds them (1986). At less than full strength, faded into the picture.
    CannyEdges,
}

impl Corruption {
    /// All fifteen.
    pub const ALL: [Self; 15] = [
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::Shear,
        Self::Scale,
        Self::Rotate,
        Self::Brightness,
        Self::Translate,
        Self::Stripe,
        Self::Fog,
        Self::Spatter,
        Self::DottedLine,
        Self::Zigzag,
        Self::CannyEdges,
    ];

    /// Its name in MNIST-C, such as `shot_noise`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ShotNoise => "shot_noise",
            Self::ImpulseNoise => "impulse_noise",
            Self::GlassBlur => "glass_blur",
            Self::MotionBlur => "motion_blur",
            Self::Shear => "shear",
            Self::Scale => "scale",
            Self::Rotate => "rotate",
            Self::Brightness => "brightness",
            Self::Translate => "translate",
            Self::Stripe => "stripe",
            Self::Fog => "fog",
            Self::Spatter => "spatter",
            Self::DottedLine => "dotted_line",
            Self::Zigzag => "zigzag",
            Self::CannyEdges => "canny_edges",
        }
    }

    /// The corruption with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|corruption| corruption.name() == name)
    }

    /// The picture gone wrong. A strength outside of 0 to 1 is taken as the nearer of the two, and 0 returns the picture itself.
    #[must_use]
    pub fn apply(self, picture: &[u8; PIXELS], strength: f64, seed: u64) -> [u8; PIXELS] {
        let strength = if strength > 0.0 { strength.min(1.0) } else { return *picture };
        // Seeds that follow each other would give related random numbers in the first draws.
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (self as u64).rotate_left(32));
        random.u64(..);
        let clean = from_bytes(picture);
        to_bytes(&self.on(&clean, strength, &mut random))
    }

    fn on(self, clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
        match self {
            Self::ShotNoise => noise::shot(clean, strength, random),
            Self::ImpulseNoise => noise::impulse(clean, strength, random),
            Self::GlassBlur => noise::glass(clean, strength, random),
            Self::MotionBlur => warp::motion(clean, strength, random),
            Self::Shear => warp::shear(clean, strength, random),
            Self::Scale => warp::scale(clean, strength),
            Self::Rotate => warp::rotate(clean, strength, random),
            Self::Brightness => weather::brightness(clean, strength),
            Self::Translate => warp::translate(clean, strength, random),
            Self::Stripe => weather::stripe(clean, strength),
            Self::Fog => weather::fog(clean, strength, random),
            Self::Spatter => weather::spatter(clean, strength, random),
            Self::DottedLine => draw::dotted(clean, strength, random),
            Self::Zigzag => draw::zigzag(clean, strength, random),
            Self::CannyEdges => draw::canny(clean, strength),
        }
    }
}
