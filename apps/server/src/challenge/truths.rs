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
    /// No answer that can be compared is known under this id: it was given too long ago or not at all, it had several rows, or its truth is
    /// known already.
    Unknown,
}

/// The class that was answered to a request, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// By both: the challenger is a shadow.
    Both { champion: i64, challenger: i64 },
    /// By the version in service, beside a canary.
    Champion(i64),
    /// By the canary.
    Canary(i64),
}

/// An answer that waits for its truth.
#[derive(Debug)]
struct Answer {
    /// The number under which it came.
    number: u64,
    said: Said,
    /// Whether a person has corrected it.
    is_corrected: bool,
}

/// Answers that wait, by the id of their request.
type Waiting = HashMap<String, Answer>;

/// Answers that wait for their truth, and the test of those that had one.
///
/// Champion and shadow answer the same requests: each is a pair. A canary answers other requests than its champion, and a hash decides which, so
/// a pair is a truth about each: as soon as there are both, they are one, of several about the same version the newest. If neither version is
/// right more often, "only the canary was right" is then as probable as "only the champion was".
#[derive(Debug)]
pub(super) struct Truths {
    answers: Waiting,
    /// The numbers in their order, and their ids. Those that were taken stay here for a while, so that taking one costs no search.
    order: VecDeque<(u64, String)>,
    next: u64,
    /// Whether champion and canary were right, in the pair that is not complete.
    pair: [Option<bool>; 2],
    pub(super) test: Paired,
}

impl Truths {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never: the level is a constant.
    pub(super) fn new() -> slipway_drift::Result<Self> {
        let (answers, order) = (HashMap::new(), VecDeque::new());
        Ok(Self { answers, order, next: 0, pair: [None; 2], test: Paired::new(LEVEL)? })
    }

    /// Keeps what was answered. The same request again replaces its answer.
    pub(super) fn keep(&mut self, id: &str, said: Said) {
        if id.len() > LONGEST {
            return;
        }
        if let Some(answer) = self.answers.get_mut(id) {
            answer.said = said;
            return;
        }
        self.answers.insert(id.to_owned(), Answer { number: self.next, said, is_corrected: false });
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
        let Some(Answer { said, .. }) = self.answers.remove(id) else { return Truth::Unknown };
        match said {
            Said::Both { champion, challenger } => {
                self.test.observe_answers(challenger == class, champion == class);
            }
            Said::Champion(champion) => self.complete(0, champion == class),
            Said::Canary(canary) => self.complete(1, canary == class),
        }
        Truth::Counted
    }

    /// Whether it was the canary whose answer a person corrects by this class, and not the champion. `None` if it does not count: nobody knows who
    /// has answered, both have, that is what was answered, or it was corrected before.
    pub(super) fn correct(&mut self, id: &str, class: i64) -> Option<bool> {
        let answer = self.answers.get_mut(id).filter(|answer| !answer.is_corrected)?;
        let (answered, of_canary) = match answer.said {
            Said::Both { .. } => return None,
            Said::Champion(champion) => (champion, false),
            Said::Canary(canary) => (canary, true),
        };
        if answered == class {
            return None;
        }
        answer.is_corrected = true;
        Some(of_canary)
    }

    /// Puts one side into the pair, and counts the pair once it has both.
    fn complete(&mut self, side: usize, is_right: bool) {
        self.pair[side] = Some(is_right);
        if let [Some(champion), Some(canary)] = self.pair {
            self.test.observe_answers(canary, champion);
            self.pair = [None; 2];
        }
    }
}

/// Whether the answers that came under this number wait: an id that was taken may have come again, under another one.
fn waits(answers: &Waiting, number: u64, id: &str) -> bool {
    answers.get(id).is_some_and(|answer| answer.number == number)
}

#[cfg(test)]
mod tests {
    use slipway_drift::Decision;

    use super::*;

    fn both(champion: i64, challenger: i64) -> Said {
        Said::Both { champion, challenger }
    }

    #[test]
    fn truths_about_a_canary_and_its_champion_make_pairs() {
        let mut truths = Truths::new().unwrap();
        // of three about the champion the newest is in the pair: it was wrong, and the canary right
        for (id, said) in [("a", Said::Champion(7)), ("b", Said::Champion(7)), ("c", Said::Champion(1))] {
            truths.keep(id, said);
            assert_eq!(truths.take(id, 7), Truth::Counted);
        }
        assert_eq!(truths.test.counts(), (0, 0, 0));
        truths.keep("d", Said::Canary(7));
        assert_eq!((truths.take("d", 7), truths.take("d", 7)), (Truth::Counted, Truth::Unknown));
        assert_eq!(truths.test.counts(), (1, 0, 0));
        // the next pair begins anew
        truths.keep("e", Said::Canary(1));
        truths.take("e", 7);
        assert_eq!(truths.test.counts(), (1, 0, 0));
        truths.keep("f", Said::Champion(7));
        truths.take("f", 7);
        assert_eq!(truths.test.counts(), (1, 1, 0));
    }

    /// Whether a canary is found to be better within 2,000 truths, of which a fifth are about its answers. Both versions are right so often.
    fn is_promoted(random: &mut fastrand::Rng, [champion, canary]: [f64; 2]) -> bool {
        let mut truths = Truths::new().unwrap();
        (0..2000).any(|_| {
            let is_canary = random.f64() < 0.2;
            let class = i64::from(random.f64() < if is_canary { canary } else { champion });
            truths.keep("id", if is_canary { Said::Canary(class) } else { Said::Champion(class) });
            truths.take("id", 1);
            truths.test.decision() == Decision::Better
        })
    }

    #[test]
    fn an_equal_canary_is_hardly_ever_better_and_one_that_is_right_more_often_is() {
        let mut random = fastrand::Rng::with_seed(19);
        // three are promised, and three standard deviations of chance
        let equal = (0..300).filter(|_| is_promoted(&mut random, [0.9, 0.9])).count();
        assert!(equal <= 8, "{equal} of 300");
        let better = (0..300).filter(|_| is_promoted(&mut random, [0.7, 0.9])).count();
        assert!(better >= 285, "{better} of 300");
    }

    #[test]
    fn a_correction_counts_once_and_for_the_version_that_answered() {
        let mut truths = Truths::new().unwrap();
        truths.keep("canary", Said::Canary(1));
        truths.keep("champion", Said::Champion(1));
        truths.keep("both", both(1, 2));
        assert_eq!(truths.correct("canary", 1), None, "that is what it said");
        for (id, is_of_canary) in [("canary", Some(true)), ("champion", Some(false)), ("both", None), ("nobody", None)]
        {
            assert_eq!((truths.correct(id, 7), truths.correct(id, 7)), (is_of_canary, None), "{id}");
        }
        // it says nothing about the truths
        assert_eq!((truths.take("canary", 1), truths.test.counts()), (Truth::Counted, (0, 0, 0)));
    }

    #[test]
    fn a_truth_counts_once_and_decides_in_the_end() {
        let mut truths = Truths::new().unwrap();
        for at in 0..12 {
            truths.keep(&at.to_string(), both(1, 7));
            assert_eq!(truths.take(&at.to_string(), 7), Truth::Counted);
            assert_eq!(truths.take(&at.to_string(), 7), Truth::Unknown);
        }
        truths.keep("same", both(1, 1));
        assert_eq!(truths.take("same", 7), Truth::Counted);
        assert_eq!((truths.test.counts(), truths.test.decision()), ((12, 0, 1), Decision::Better));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut truths = Truths::new().unwrap();
        for at in 0..KEPT + 3 {
            truths.keep(&at.to_string(), both(1, 2));
            truths.keep(&at.to_string(), both(1, 2));
        }
        truths.keep(&"x".repeat(LONGEST + 1), both(1, 2));
        assert_eq!((truths.answers.len(), truths.order.len()), (KEPT, KEPT));
        assert_eq!((truths.take("2", 1), truths.take("3", 1)), (Truth::Unknown, Truth::Counted));
        // the oldest one that waits goes, not one that has come again under the id of an older one
        truths.keep("3", both(1, 2));
        truths.keep("new", both(1, 2));
        truths.keep("newer", both(1, 2));
        assert_eq!((truths.take("4", 1), truths.take("3", 1)), (Truth::Unknown, Truth::Counted));
        // what is taken at once leaves nothing behind for long
        for at in 0..3 * KEPT {
            truths.keep(&format!("again-{at}"), both(1, 2));
            assert_eq!(truths.take(&format!("again-{at}"), 1), Truth::Counted);
        }
        assert!(truths.order.len() <= 2 * KEPT && truths.answers.len() < KEPT, "{}", truths.order.len());
    }
}
