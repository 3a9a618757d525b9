//! Who was right, where somebody says what is right.

use std::collections::{HashMap, VecDeque};

use slipway_drift::Paired;

/// How many answers wait for their truth.
const KEPT: usize = 8192;
/// An id that is longer is not kept, in bytes.
const LONGEST: usize = 256;
/// The level of the test: it says "better" of a challenger that is not with at most this probability.
pub(super) const LEVEL: f64 = 0.01;

/// What became of a truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It counts.
    Counted,
    /// No answer of both versions is known under this id: they answered too long ago or not at all, it had several rows, or its truth is
    /// known already.
    Unknown,
}

/// Answers of both versions that wait for their truth, and the test of those that had one.
#[derive(Debug)]
pub(super) struct Truths {
    /// The classes of champion and challenger.
    answers: HashMap<String, (i64, i64)>,
    order: VecDeque<String>,
    pub(super) test: Paired,
}

impl Truths {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never: the level is a constant.
    pub(super) fn new() -> slipway_drift::Result<Self> {
        Ok(Self { answers: HashMap::new(), order: VecDeque::new(), test: Paired::new(LEVEL)? })
    }

    /// Keeps what both have answered. The same request again replaces its answers.
    pub(super) fn keep(&mut self, id: &str, champion: i64, challenger: i64) {
        if id.len() > LONGEST {
            return;
        }
        if self.answers.insert(id.to_owned(), (champion, challenger)).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }

    /// Takes the class that is right for a request. It counts once.
    pub(super) fn take(&mut self, id: &str, class: i64) -> Truth {
        let Some((champion, challenger)) = self.answers.remove(id) else { return Truth::Unknown };
        self.order.retain(|other| other != id);
        self.test.observe_answers(challenger == class, champion == class);
        Truth::Counted
    }
}

#[cfg(test)]
mod tests {
    use slipway_drift::Decision;

    use super::*;

    #[test]
    fn a_truth_counts_once_and_decides_in_the_end() {
        let mut truths = Truths::new().unwrap();
        for at in 0..12 {
            truths.keep(&at.to_string(), 1, 7);
            assert_eq!(truths.take(&at.to_string(), 7), Truth::Counted);
            assert_eq!(truths.take(&at.to_string(), 7), Truth::Unknown);
        }
        truths.keep("same", 1, 1);
        assert_eq!(truths.take("same", 7), Truth::Counted);
        assert_eq!((truths.test.counts(), truths.test.decision()), ((12, 0, 1), Decision::Better));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut truths = Truths::new().unwrap();
        for at in 0..KEPT + 3 {
            truths.keep(&at.to_string(), 1, 2);
            truths.keep(&at.to_string(), 1, 2);
        }
        truths.keep(&"x".repeat(LONGEST + 1), 1, 2);
        assert_eq!((truths.answers.len(), truths.order.len()), (KEPT, KEPT));
        assert_eq!((truths.take("2", 1), truths.take("3", 1)), (Truth::Unknown, Truth::Counted));
        assert_eq!(truths.order.len(), KEPT - 1);
    }
}
