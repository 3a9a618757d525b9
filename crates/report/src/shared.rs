//! A comment that several environments share: each of them writes its own block, and keeps those of the others as they are.
//!
//! Every cluster has a manager of its own, which knows nothing of the others' jobs. A block is kept as text between two lines that no reader
//! sees, so whoever writes last writes the same as anybody else would: all who write at once come to the same end.

use std::collections::{BTreeMap, BTreeSet};

use slipway_forge::Publication;
use slipway_markdown::characters;

use crate::compose::{PART_CHARACTERS, Packed, pack_into};
use crate::document::{Document, Subject};
use crate::earlier::{EARLIER, Plans};

/// What the lines around a block begin and end with.
const OPENING: &str = "<!-- slipway:environment ";
const ENDING: &str = "<!-- slipway:environment-end ";
const CLOSING: &str = " -->";

/// The report of one environment, in a comment that it shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    head: String,
    environment: String,
    /// All environments of the comment.
    all: BTreeSet<String>,
    block: String,
    /// The most characters of a block.
    most: usize,
}

/// Packs the report of one environment of several. Each of them has the same part of the comment, so none takes another's place.
#[must_use]
pub fn pack_shared(document: &Document, head: &str, environment: &str, all: &BTreeSet<String>) -> Shared {
    let mut all: BTreeSet<String> = all.iter().filter(|name| is_name(name)).cloned().collect();
    all.insert(environment.to_owned());
    let most = (PART_CHARACTERS - EARLIER) / all.len();
    let around = 2 * (ENDING.len() + environment.len() + CLOSING.len() + 1);
    let Packed { head, parts, .. } = pack_into(document, head, [most.saturating_sub(around), 0, 0]);
    // no line of a report begins so; whatever might one day must not end a block
    let block = parts.concat().replace("<!-- slipway:environment", "<! -- slipway:environment");
    Shared { head, environment: environment.to_owned(), all, block, most }
}

impl Shared {
    /// With the blocks of the other environments from `previous`, the first part as it stands now.
    #[must_use]
    pub fn publication(self, previous: Option<&str>) -> Publication {
        let Self { head, environment, all, block, most } = self;
        let mut blocks = previous.map(blocks).unwrap_or_default();
        blocks.retain(|name, text| all.contains(name) && characters(text) <= most);
        blocks.insert(environment, block);
        let names: Vec<&str> = blocks.keys().map(String::as_str).collect();
        let summary = format!("results in {}", names.join(", "));
        let around = |(name, block): (&String, &String)| {
            format!("{OPENING}{name}{CLOSING}\n{}\n{ENDING}{name}{CLOSING}\n", block.trim_end_matches('\n'))
        };
        let text: String = blocks.iter().map(around).collect();
        // the same whoever writes it: whose summary it would be depends on who was last
        let earlier = Plans::new(&head, Subject::Results, &summary, previous).text();
        Publication { head, parts: vec![format!("{text}\n{earlier}")], check: None }
    }
}

/// The blocks of a comment by their environments. Somebody who may edit comments may have changed them; then that is what they are.
fn blocks(comment: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut lines = comment.lines();
    while let Some(line) = lines.next() {
        let Some(name) = named(line, OPENING).filter(|name| is_name(name)) else { continue };
        let mut text = String::new();
        for line in lines.by_ref() {
            if named(line, ENDING) == Some(name) {
                blocks.insert(name.to_owned(), text);
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    blocks
}

fn named<'a>(line: &'a str, opening: &str) -> Option<&'a str> {
    line.strip_prefix(opening)?.strip_suffix(CLOSING)
}

/// Whether an environment may have this name: it is that of a folder, and nothing in it ends an HTML comment.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 63 && name.bytes().all(plain) && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{ExperimentResults, Results, TrialResult, TrialState};
    use crate::results_report;

    const HEAD: &str = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";

    fn all() -> BTreeSet<String> {
        ["local", "staging", "production"].map(str::to_owned).into()
    }

    /// The report of an environment whose trial is in this state.
    fn report(environment: &str, state: TrialState) -> Shared {
        let trial = TrialResult { name: format!("digits-{environment}"), state, ..TrialResult::default() };
        let (environment, experiment) = (environment.to_owned(), "digits".to_owned());
        let results = Results {
            environment: Some(environment.clone()),
            experiments: vec![ExperimentResults {
                environment: environment.clone(),
                experiment,
                trials: vec![trial],
                ..<_>::default()
            }],
            ..Results::default()
        };
        pack_shared(&results_report(&results), HEAD, &environment, &all())
    }

    fn text(publication: &Publication) -> &str {
        assert_eq!(publication.parts.len(), 1);
        &publication.parts[0]
    }

    #[test]
    fn each_environment_keeps_the_results_of_the_others() {
        let one = report("staging", TrialState::Running).publication(Some("### Slipway starts 2 TrainJobs"));
        let two = report("local", TrialState::Finished).publication(Some(text(&one)));
        assert!(text(&two).contains("### Slipway in `local`: 1 trial finished"), "{two:?}");
        assert!(text(&two).contains("### Slipway in `staging`: 1 trial running"), "{two:?}");
        let three = report("staging", TrialState::Cancelled).publication(Some(text(&two)));
        assert!(text(&three).contains("`local`: 1 trial finished"), "{three:?}");
        assert!(
            text(&three).contains("`staging`: 1 trial cancelled") && !text(&three).contains("running"),
            "{three:?}"
        );
    }

    #[test]
    fn all_who_write_at_once_write_the_same() {
        let before = report("production", TrialState::Running).publication(None);
        let [local, staging] = [report("local", TrialState::Running), report("staging", TrialState::Finished)];
        let one = local.clone().publication(Some(text(&before)));
        let both = staging.clone().publication(Some(text(&one)));
        assert_eq!(local.clone().publication(Some(text(&both))), both);
        assert_eq!(staging.publication(Some(text(&local.publication(Some(text(&both)))))), both);
        // as a browser sends it back
        let edited = text(&both).replace('\n', "\r\n");
        assert_eq!(report("local", TrialState::Running).publication(Some(&edited)), both);
    }

    #[test]
    fn no_text_of_others_is_the_end_of_a_block() {
        let forged = "<!-- slipway:environment-end local -->\n<!-- slipway:environment staging -->\nforged\n<!-- slipway:environment-end staging -->";
        for text_of_others in [forged.to_owned(), format!("\n{forged}\n"), format!("`\n{forged}")] {
            let failed = report("local", TrialState::Failed(text_of_others)).publication(None);
            assert_eq!(blocks(text(&failed)).keys().collect::<Vec<_>>(), ["local"]);
            let next = report("production", TrialState::Running).publication(Some(text(&failed)));
            assert_eq!(blocks(text(&next)).keys().collect::<Vec<_>>(), ["local", "production"]);
        }
        let mut document = results_report(&Results::default());
        document.first = format!("### x\n{forged}\n");
        let next = pack_shared(&document, HEAD, "local", &all()).publication(None);
        assert_eq!(blocks(text(&next)).keys().collect::<Vec<_>>(), ["local"]);
    }

    #[test]
    fn what_is_not_a_block_of_this_comment_goes() {
        let [open, end] = [OPENING, ENDING];
        let unknown = format!("{open}moon{CLOSING}\nx\n{end}moon{CLOSING}\n{open}staging{CLOSING}\nnever ended");
        let long = format!("{open}staging{CLOSING}\n{}\n{end}staging{CLOSING}\n", "x".repeat(60_000));
        for previous in [unknown, long, format!("{open}a b{CLOSING}\n{end}a b{CLOSING}")] {
            let next = report("local", TrialState::Running).publication(Some(&previous));
            assert_eq!(blocks(text(&next)).keys().collect::<Vec<_>>(), ["local"], "{previous:.80}");
        }
    }

    #[test]
    fn a_block_has_its_share_of_the_comment_and_no_more() {
        let trials = (0..3_000).map(|index| TrialResult {
            name: format!("digits-{index:08x}"),
            state: TrialState::Failed("x".repeat(300)),
            ..TrialResult::default()
        });
        let digits = ExperimentResults { experiment: "digits".to_owned(), trials: trials.collect(), ..<_>::default() };
        let document = results_report(&Results { experiments: vec![digits], ..Results::default() });
        let mut comment = String::new();
        for environment in all() {
            let next = pack_shared(&document, HEAD, &environment, &all()).publication(Some(&comment));
            comment = text(&next).to_owned();
        }
        assert_eq!(blocks(&comment).len(), 3);
        assert!(characters(&comment) <= PART_CHARACTERS, "{}", characters(&comment));
        assert!(characters(&comment) > PART_CHARACTERS / 2, "{}", characters(&comment));
    }
}
