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

/// Answers that wait, by the id of their request.
type Waiting = HashMap<String, (u64, (i64, i64))>;

/// Answers of both versions that wait for their truth, and the test of those that had one.
#[derive(Debug)]
pub(super) struct Truths {
    /// The classes of champion and challenger, with the number under which the answers came.
    answers: Waiting,
    /// The numbers in their order, and their ids. Those that were taken stay here for a while, so that taking one costs no search.
    order: VecDeque<(u64, String)>,
    next: u64,
    pub(super) test: Paired,
}

impl Truths {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never: the level is a constant.
    pub(super) fn new() -> slipway_drift::Result<Self> {
        Ok(Self { answers: HashMap::new(), order: VecDeque::new(), next: 0, test: Paired::new(LEVEL)? })
    }

    /// Keeps what both have answered. The same request again replaces its answers.
    pub(super) fn keep(&mut self, id: &str, champion: i64, challenger: i64) {
        if id.len() > LONGEST {
            return;
        }
        if let Some((_, classes)) = self.answers.get_mut(id) {
            *classes = (champion, challenger);
            return;
        }
        self.answers.insert(id.to_owned(), (self.next, (champion, challenger)));
        self.order.push_back((self.next, id.to_owned()));
        self.next += 1;
        let Self { answers, order, .. } = self;
        while answers.len() > KEPT {
            let Some((number, oldest)) = order.pop_front() else { break };
            if waits(answers, number, &oldest) {
                answers.remove(&oldest);
            }
        }
        // at most once in KEPT requests
        if order.len() > 2 * KEPT {
            order.retain(|(number, id)| waits(answers, *number, id));
        }
    }

    /// Takes the class that is right for a request. It counts once.
    pub(super) fn take(&mut self, id: &str, class: i64) -> Truth {
        let Some((_, (champion, challenger))) = self.answers.remove(id) else { return Truth::Unknown };
        self.test.observe_answers(challenger == class, champion == class);
        Truth::Counted
    }
}

/// Whether the answers that came under this number wait: an id that was taken may have come again, under another one.
fn waits(answers: &Waiting, number: u64, id: &str) -> bool {
    answers.get(id).is_some_and(|(waiting, _)| *waiting == number)
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
        // the oldest one that waits goes, not one that has come again under the id of an older one
        truths.keep("3", 1, 2);
        truths.keep("new", 1, 2);
        truths.keep("newer", 1, 2);
        assert_eq!((truths.take("4", 1), truths.take("3", 1)), (Truth::Unknown, Truth::Counted));
        // what is taken at once leaves nothing behind for long
        for at in 0..3 * KEPT {
            truths.keep(&format!("again-{at}"), 1, 2);
            assert_eq!(truths.take(&format!("again-{at}"), 1), Truth::Counted);
        }
        assert!(truths.order.len() <= 2 * KEPT && truths.answers.len() < KEPT, "{}", truths.order.len());
    }
}
