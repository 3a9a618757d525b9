//! Sums over the levels of images, exact.

/// How many levels there are, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) count: u128,
    pub(crate) sum: u128,
    pub(crate) squares: u128,
}

impl Levels {
    pub(crate) fn of(levels: &[u8]) -> Self {
        let (mut sum, mut squares) = (0, 0);
        // 4096 squares of a byte fit into 32 bits
        for block in levels.chunks(4096) {
            sum += u64::from(block.iter().map(|&level| u32::from(level)).sum::<u32>());
            squares += u64::from(block.iter().map(|&level| u32::from(level) * u32::from(level)).sum::<u32>());
        }
        Self { count: levels.len() as u128, sum: sum.into(), squares: squares.into() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// Itself; `None` if there are no levels, as of rows.
    pub(crate) fn any(self) -> Option<Self> {
        (self.count > 0).then_some(self)
    }

    /// The mean, from 0 to 255; 0 of nothing.
    pub(crate) fn mean(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The variance of all levels together, in squared levels.
    pub(crate) fn variance(self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        // n Σx² - (Σx)² is exact, so a small variance is not lost between large numbers
        (self.count * self.squares - self.sum * self.sum) as f64 / (self.count as f64 * self.count as f64)
    }

    /// Whether the standard deviation is at least `least`, without rounding.
    pub(crate) fn deviates(self, least: u8) -> bool {
        let least = u128::from(least);
        self.count * self.squares - self.sum * self.sum >= least * least * self.count * self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_exact() {
        let levels = Levels::of(&[1, 2, 3, 4]);
        assert_eq!((levels.mean(), levels.variance()), (2.5, 1.25));
        assert!(levels.deviates(1) && !levels.deviates(2));
        let mut all = Levels::default();
        let many: Vec<u8> = (0..100_000).map(|n| (n % 256) as u8).collect();
        many.chunks(1000).for_each(|some| all.add(Levels::of(some)));
        assert_eq!(all, Levels::of(&many));
        assert_eq!(Levels::of(&[255; 1 << 20]).variance(), 0.0);
        assert_eq!((Levels::default().mean(), Levels::default().variance()), (0.0, 0.0));
    }
}
