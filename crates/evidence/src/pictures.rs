//! Grey pictures of one size, with their labels where they are known.

/// Grey pictures of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Height and width of each.
    pub shape: [usize; 2],
    /// `count × height × width` levels, row by row.
    pub levels: Vec<u8>,
    /// The label of each, if it is known.
    pub labels: Vec<Option<u8>>,
}

impl Pictures {
    /// None yet.
    #[must_use]
    pub fn new(shape: [usize; 2]) -> Self {
        Self { shape, levels: Vec::new(), labels: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The levels of one; empty if there is none of this number.
    #[must_use]
    pub fn get(&self, number: usize) -> &[u8] {
        let size = self.size();
        self.levels.get(number * size..(number + 1) * size).unwrap_or_default()
    }

    /// The levels of each.
    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.levels.chunks_exact(self.size().max(1))
    }

    /// Adds one: `height × width` levels.
    pub fn push(&mut self, levels: &[u8], label: Option<u8>) {
        self.levels.extend_from_slice(levels);
        self.labels.push(label);
    }

    /// Levels of one.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// So many from the first on, each at most once.
    pub(crate) fn first(&self, count: usize) -> Self {
        let count = count.min(self.len());
        let levels = self.levels[..count * self.size()].to_vec();
        Self { shape: self.shape, levels, labels: self.labels[..count].to_vec() }
    }
}
