//! Streams of windows without drift, independent or with memory. Used by the simulation and by the tests.

use fastrand::Rng;

/// Long-run shares of the streams, in turn.
const SHARES: [f64; 5] = [0.02, 0.1, 0.35, 0.5, 0.005];

/// How windows depend on those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependence {
    /// Not at all.
    None,
    /// With probability 0.3 an observation is a copy of one in the window before: the edge of the class, and covered by the theorem.
    Copies,
    /// With probability 0.3 an observation repeats the one before it: a correlation of 0.3 between observations, and counts that vary 1.86
    /// times as much as independent ones.
    Repeats,
    /// The expected share changes between a low and a high one, as by day and by night, so that neighbouring windows are correlated by 0.3
    /// and counts vary twice as much as independent ones.
    Wandering,
}

impl Dependence {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Copies, Self::Repeats, Self::Wandering];

    /// A name for tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Copies => "copies of the window before",
            Self::Repeats => "repeats of the observation before",
            Self::Wandering => "wandering share",
        }
    }
}

const SERIAL: f64 = 0.3;
/// The chance that a wandering share changes sides before a window: it keeps 1 - 2 × 0.2 = 0.6 of itself, and has half of the variance.
const CHANGE: f64 = 0.2;

/// Several streams of windows.
pub(crate) struct Simulation {
    random: Rng,
    dependence: Dependence,
    /// What each stream remembers.
    states: Vec<usize>,
    /// For each share and each state before: the distribution function of what comes next.
    tables: Vec<Vec<Vec<f64>>>,
    hits: Vec<u32>,
}

impl Simulation {
    /// Streams, and the observations of a window.
    pub(crate) fn new(streams: usize, window: u32, dependence: Dependence, seed: u64) -> Self {
        let tables: Vec<Vec<Vec<f64>>> =
            SHARES.iter().take(streams).map(|share| tables(*share, window, dependence)).collect();
        let random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut simulation = Self { random, dependence, states: vec![0; streams], tables, hits: vec![0; streams] };
        // until the beginning is forgotten
        (0..20).for_each(|_| simulation.next());
        simulation
    }

    /// Hits of each stream among independent observations.
    pub(crate) fn reference(&mut self, observations: usize) -> Vec<usize> {
        let streams = self.hits.len();
        let mut tally = |share: f64| (0..observations).filter(|_| self.random.f64() < share).count();
        (0..streams).map(|stream| tally(SHARES[stream % SHARES.len()])).collect()
    }

    /// Hits of each stream in the next window.
    pub(crate) fn window(&mut self) -> &[u32] {
        self.next();
        &self.hits
    }

    fn next(&mut self) {
        for (stream, (state, hits)) in self.states.iter_mut().zip(&mut self.hits).enumerate() {
            if self.dependence == Dependence::Wandering && self.random.f64() < CHANGE {
                *state = 1 - *state;
            }
            let outcome = draw(&mut self.random, &self.tables[stream % SHARES.len()][*state]);
            (*hits, *state) = match self.dependence {
                Dependence::None | Dependence::Wandering => (outcome, *state),
                Dependence::Copies => (outcome, outcome as usize),
                // twice the hits, and whether the last observation was one
                Dependence::Repeats => (outcome / 2, outcome as usize % 2),
            };
        }
    }

    /// The correlation of the first stream's neighbouring windows.
    pub(crate) fn correlation(&mut self, windows: usize) -> f64 {
        let values: Vec<f64> = (0..windows).map(|_| f64::from(self.window()[0])).collect();
        let mean = values.iter().sum::<f64>() / windows as f64;
        let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / variance
    }
}

fn tables(share: f64, window: u32, dependence: Dependence) -> Vec<Vec<f64>> {
    match dependence {
        Dependence::None => vec![distribution(window, share)],
        Dependence::Copies => (0..=window)
            .map(|before| distribution(window, (1.0 - SERIAL) * share + SERIAL * f64::from(before) / f64::from(window)))
            .collect(),
        Dependence::Repeats => [0.0, 1.0].map(|last| repeats(window, share, last)).to_vec(),
        Dependence::Wandering => {
            // a rare event cannot become rarer than never
            let spread = (share * (1.0 - share) / f64::from(window)).sqrt().min(share);
            [share - spread, share + spread].map(|share| distribution(window, share)).to_vec()
        }
    }
}

/// The distribution function of a binomial number.
fn distribution(trials: u32, share: f64) -> Vec<f64> {
    let mut term = (1.0 - share).powi(trials as i32);
    let mut sum = 0.0;
    (0..=trials)
        .map(|hits| {
            sum += term;
            term *= f64::from(trials - hits) / f64::from(hits + 1) * share / (1.0 - share);
            sum
        })
        .collect()
}

/// The distribution function of twice the hits, plus one if the last observation is a hit, after an observation `last`.
fn repeats(trials: u32, share: f64, last: f64) -> Vec<f64> {
    let follow = |last: f64| (1.0 - SERIAL) * share + SERIAL * last;
    let size = 2 * (trials as usize + 1);
    let mut chances = vec![0.0; size];
    chances[0] = 1.0 - last;
    chances[1] = last;
    for _ in 0..trials {
        let mut next = vec![0.0; size];
        for (index, chance) in chances.into_iter().enumerate().filter(|(_, chance)| *chance > 0.0) {
            let (hits, hit) = (index / 2, follow((index % 2) as f64));
            next[2 * hits] += chance * (1.0 - hit);
            if 2 * hits + 3 < size {
                next[2 * hits + 3] += chance * hit;
            }
        }
        chances = next;
    }
    let mut sum = 0.0;
    chances
        .into_iter()
        .map(|chance| {
            sum += chance;
            sum
        })
        .collect()
}

fn draw(random: &mut Rng, distribution: &[f64]) -> u32 {
    let uniform = random.f64();
    // the last one is 1 but for rounding
    distribution.partition_point(|&sum| sum < uniform).min(distribution.len() - 1) as u32
}
