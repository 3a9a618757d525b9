//! A part of a long list of trials, the newest first.

use std::cmp::Reverse;
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::problem::Problem;
use crate::view::{Trial, TrialState};

/// How many trials a part has if nothing is asked for, and at most.
const USUAL: usize = 200;
pub(crate) const MOST: usize = 1000;

/// A part of a list.
#[derive(Debug)]
pub(crate) struct Page {
    /// The trials.
    pub(crate) trials: Vec<Trial>,
    /// What to ask for after this part; `None` at the end.
    pub(crate) next: Option<String>,
}

impl Page {
    /// The part of some trials after a mark that [`next`](Self::next) was.
    ///
    /// # Errors
    /// For a limit that is out of bounds, and for a mark that never was one.
    pub(crate) fn of<'a>(
        trials: impl Iterator<Item = &'a Arc<Trial>>,
        limit: Option<usize>,
        after: Option<&str>,
    ) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::malformed("query", format!("limit is {limit}: give a number from 1 to {MOST}")));
        }
        let after = after.map(mark).transpose()?;
        let placed = trials.map(|trial| ((Reverse(moment(trial)), trial.name.as_str()), trial));
        let mut placed: Vec<_> = placed.filter(|(place, _)| after.is_none_or(|after| *place > after)).collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        let more = placed.len() > limit;
        placed.truncate(limit);
        let last = placed.last().filter(|_| more).map(|((moment, name), _)| format!("{}.{name}", moment.0));
        Ok(Self { trials: placed.into_iter().map(|(_, trial)| trial.as_ref().clone()).collect(), next: last })
    }
}

/// The place that a mark names.
fn mark(text: &str) -> Result<(Reverse<i64>, &str), Problem> {
    let place = text.split_once('.').and_then(|(moment, name)| Some((Reverse(moment.parse().ok()?), name)));
    place.ok_or_else(|| {
        Problem::malformed("query", format!("after is `{text}`: give what `next` of the answer before was"))
    })
}

/// When a trial was made, in seconds since 1970, as far as that is known. One that is still to be made is the newest.
fn moment(trial: &Trial) -> i64 {
    let read = |text: &String| OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp);
    let known = [&trial.created, &trial.started, &trial.ended].into_iter().flatten().find_map(read);
    known.unwrap_or(if trial.state == TrialState::Waiting { i64::MAX } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(name: &str, created: Option<&str>) -> Arc<Trial> {
        Arc::new(Trial { name: name.to_owned(), created: created.map(str::to_owned), ..Trial::default() })
    }

    #[test]
    fn parts_together_are_the_whole_newest_first() {
        let mut all: Vec<Arc<Trial>> = (0..25)
            .map(|index| trial(&format!("t-{index:02}"), Some(&format!("2026-01-{:02}T12:00:00Z", index / 2 + 1))))
            .collect();
        all.push(trial("planned", None));
        all.push(Arc::new(Trial { state: TrialState::Cancelled, ..trial("never-made", None).as_ref().clone() }));
        all.push(trial("offset", Some("2026-01-01T14:30:00+02:00")));
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = Page::of(all.iter(), Some(4), after.as_deref()).unwrap();
            assert!(page.trials.len() == 4 || page.next.is_none());
            names.extend(page.trials.into_iter().map(|trial| trial.name));
            // one that vanishes between two parts does not matter
            all.retain(|trial| trial.name != "t-20");
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(names.len(), 27, "{names:?}");
        assert_eq!(names[..3], ["planned", "t-24", "t-22"]);
        assert_eq!(names[24..], ["t-00", "t-01", "never-made"], "{names:?}");
    }

    #[test]
    fn bounds_and_marks_are_checked() {
        let all = [trial("a", None)];
        for (limit, after) in [(Some(0), None), (Some(MOST + 1), None), (None, Some("x")), (None, Some("1x.a"))] {
            assert_eq!(Page::of(all.iter(), limit, after).unwrap_err().status, 400, "{limit:?} {after:?}");
        }
        assert!(Page::of(all.iter(), Some(MOST), Some("1.")).unwrap().trials.is_empty());
    }
}
