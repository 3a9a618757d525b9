//! The list of earlier plans, which a comment carries along.

use serde::{Deserialize, Serialize};
use slipway_markdown::{characters, code, shortened, visible};

use crate::document::{SUMMARY, Subject, count};
use crate::short::short_commit;

/// The most earlier plans that are listed.
const LISTED: usize = 20;

/// The most characters of the list and of the line that carries it along.
pub(crate) const EARLIER: usize = 12_000;

/// What a comment's hidden line begins and ends with.
const OPENING: &str = "<!-- slipway:plans ";
const CLOSING: &str = " -->";

/// What a comment says in one line about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    commit: String,
    /// The commit of the base branch that a plan was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(default)]
    subject: Subject,
    summary: String,
}

/// What is known about the plans of a pull request: that of now, and earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plans {
    now: Said,
    /// The newest first.
    earlier: Vec<Said>,
}

impl Plans {
    /// The plan of a commit, with the ones that the previous comment knows. What somebody has put in their place is nothing.
    pub(crate) fn new(head: &str, subject: Subject, summary: &str, previous: Option<&str>) -> Self {
        let known = previous.and_then(Self::read);
        // what earlier plans were made on is of no use any more
        let known = known.into_iter().flat_map(|plans| std::iter::once(plans.now).chain(plans.earlier));
        let known = known.map(|said| Said { base: None, ..said });
        let earlier = known.filter(|said| said.commit != head || said.subject != subject).take(LISTED).collect();
        Self { now: Said { commit: head.to_owned(), base: None, subject, summary: kept(summary) }, earlier }
    }

    /// The same, made on this commit of the base branch.
    pub(crate) fn on(mut self, base: Option<String>) -> Self {
        self.now.base = base;
        self
    }

    /// What a comment holds. Whoever may edit comments may have written it, so only what this program could have is taken.
    fn read(comment: &str) -> Option<Self> {
        let hidden = comment.lines().rev().find_map(|line| line.strip_prefix(OPENING)?.strip_suffix(CLOSING))?;
        let mut plans: Self = serde_json::from_str(hidden).ok()?;
        let is_commit = |commit: &str| {
            (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !is_commit(&plans.now.commit) {
            return None;
        }
        plans.now.base = plans.now.base.filter(|base| is_commit(base));
        plans.earlier.retain(|said| is_commit(&said.commit));
        plans.earlier.truncate(LISTED);
        for said in plans.earlier.iter_mut().chain([&mut plans.now]) {
            said.summary = kept(&said.summary);
        }
        Some(plans)
    }

    /// The list and the line that carries it along, in at most [`EARLIER`] characters: the oldest plans are left out.
    pub(crate) fn text(mut self) -> String {
        loop {
            let text = self.markdown() + &self.hidden();
            if characters(&text) <= EARLIER || self.earlier.pop().is_none() {
                return text;
            }
        }
    }

    /// The earlier plans as a folded list; empty if there are none.
    fn markdown(&self) -> String {
        if self.earlier.is_empty() {
            return String::new();
        }
        let line = |said: &Said| format!("- {}: {}\n", short_commit(&said.commit), code(&said.summary));
        let lines: String = self.earlier.iter().map(line).collect();
        format!("<details><summary>{}</summary>\n\n{lines}\n</details>\n\n", count(self.earlier.len(), "earlier plan"))
    }

    /// The line that carries them along, which no reader sees. Nothing in it ends an HTML comment.
    fn hidden(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut escaped = String::with_capacity(json.len());
        for c in json.chars() {
            match c {
                // these are only within texts: there are no numbers
                '<' | '>' | '&' | '-' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => escaped.push(c),
            }
        }
        format!("{OPENING}{escaped}{CLOSING}\n")
    }
}

/// What the report of a comment is about, as far as the comment says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedOn {
    /// The commit.
    pub head: String,
    /// The commit of the base branch that a plan was made on; `None` for results.
    pub base: Option<String>,
    /// What it says of the commit.
    pub subject: Subject,
}

impl ReportedOn {
    /// Reads it from the first part of a comment. Returns `None` if that is no report. Whoever may edit comments may have written it.
    #[must_use]
    pub fn read(comment: &str) -> Option<Self> {
        let Said { commit, base, subject, .. } = Plans::read(comment)?.now;
        Some(Self { head: commit, base, subject })
    }
}

/// What is kept of a summary.
fn kept(summary: &str) -> String {
    visible(&shortened(summary, SUMMARY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(index: usize) -> String {
        format!("{index:040x}")
    }

    #[test]
    fn each_new_commit_pushes_the_plan_before_it_down() {
        let mut comment = String::new();
        for index in 0..30 {
            let plans = Plans::new(&commit(index), Subject::Plan, &format!("plan {index} --> <b>"), Some(&comment));
            assert_eq!(plans.earlier.len(), index.min(LISTED));
            comment = format!("text\n{}{}", plans.markdown(), plans.hidden());
            assert_eq!(
                Plans::new(&commit(index), Subject::Plan, &format!("plan {index} --> <b>"), Some(&comment)),
                plans
            );
            assert_eq!(comment.matches("-->").count() - plans.markdown().matches("-->").count(), 1);
        }
        let results = Plans::new(&commit(29), Subject::Results, "done", Some(&comment));
        assert_eq!(results.earlier[0].summary, "plan 29 --> <b>");
        let back = Plans::new(&commit(28), Subject::Plan, "again", Some(&comment));
        assert_eq!((back.earlier.len(), &back.earlier[0].commit), (20, &commit(29)));
        assert!(back.earlier.iter().all(|said| said.commit != commit(28)));
    }

    #[test]
    fn a_comment_says_what_it_is_about() {
        let on = |base: &str| Plans::new(&commit(1), Subject::Plan, "one", None).on(Some(base.to_owned())).text();
        let about = ReportedOn { head: commit(1), base: Some(commit(2)), subject: Subject::Plan };
        assert_eq!(ReportedOn::read(&on(&commit(2))), Some(about.clone()));
        assert_eq!(ReportedOn::read(&on("@octo")), Some(ReportedOn { base: None, ..about }));
        assert_eq!(ReportedOn::read("### Slipway"), None);
        // what came before has none
        let next = Plans::new(&commit(3), Subject::Results, "done", Some(&on(&commit(2)))).text();
        assert_eq!(
            ReportedOn::read(&next),
            Some(ReportedOn { head: commit(3), base: None, subject: Subject::Results })
        );
        assert!(!next.contains(&commit(2)), "{next}");
    }

    #[test]
    fn what_somebody_made_of_it_is_nothing_or_text() {
        let good = Plans::new(&commit(1), Subject::Plan, "one", None).hidden();
        for damaged in ["", "<!-- slipway:plans  -->", "<!-- slipway:plans {} -->", &good.replace("earlier", "later")] {
            assert_eq!(Plans::new(&commit(2), Subject::Plan, "", Some(damaged)).earlier, []);
        }
        let other = good.replace(&commit(1), "@octo **x**");
        assert_eq!(Plans::new(&commit(2), Subject::Plan, "", Some(&other)).earlier, []);
        let long = good.replace("one", &"`@octo ".repeat(1_000));
        let plans = Plans::new(&commit(2), Subject::Plan, "", Some(&long));
        assert_eq!(plans.earlier[0].summary.chars().count(), SUMMARY);
        assert!(plans.markdown().contains(": `` `@octo"), "{}", plans.markdown());
    }
}
