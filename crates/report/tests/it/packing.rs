//! Documents of any size in the parts of a comment.

use std::collections::BTreeMap;

use slipway_deployment::Differences;
use slipway_gitops::{Change, Difference};
use slipway_project::cluster::Prices;
use slipway_report::{
    About, Block, Document, EnvironmentJobs, Examination, Expectations, ExperimentResults, FIRST_LINES, Job, Object,
    PART_CHARACTERS, PARTS, Results, Rows, Section, Subject, TrialResult, TrialState, compose, plan_report,
    results_report, write_whole,
};

use crate::random::Random;

const HEAD: &str = "1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d";
const KINDS: [&str; 6] = ["TrainJob", "ConfigMap", "Deployment", "Secret", "NetworkPolicy", "Job"];
const LINES: [&str; 5] = ["+ a: 1", "- `````", "  | x | y |", "+ </details>", "  äöü 漢字 💥"];

fn document(random: &mut Random) -> Document {
    let mut next = 0;
    let most = if random.below(50) == 0 { 2_000 } else { 12 };
    let sections = (0..random.size(most))
        .map(|section| {
            let blocks = (0..random.size(60)).map(|_| block(random, &mut next)).collect();
            Section { title: format!("section-{section}."), blocks }
        })
        .collect();
    Document {
        subject: Subject::Plan,
        first: (0..=random.below(FIRST_LINES)).map(|line| format!("- line {line}\n")).collect(),
        summary: "starts nothing".to_owned(),
        sections,
        everything: "`slipway report 1` shows everything".to_owned(),
        check: None,
    }
}

fn block(random: &mut Random, next: &mut usize) -> Block {
    *next += 1;
    match random.below(8) {
        0 => Block::Text(format!("text-{next}. {}", "word ".repeat(random.size(4_000)))),
        1 | 2 => {
            let many = random.size(3_000);
            let row = |row: usize| format!("| row-{next}-{row}. | {} |", "x".repeat(random.size(300)));
            let rows = (0..many).map(row).collect();
            Block::Rows(Rows::table(&[("a", false), ("b", true)], rows, &format!("row{next}")))
        }
        3 => {
            let items = (0..random.size(500)).map(|item| format!("row-{next}-{item}. and")).collect::<Vec<_>>();
            Block::Rows(Rows::list(items, &format!("row{next}")))
        }
        _ => {
            let kind = KINDS[random.below(6).min(random.below(6))];
            let most = if random.below(100) == 0 { 40_000 } else { 300 };
            let lines = random.size(most);
            let diff = (0..lines).map(|_| format!("{}\n", random.pick(&LINES))).collect();
            Block::Object(Object { kind: kind.to_owned(), headline: format!("+ {kind} obj-{next}. (jobs)"), diff })
        }
    }
}

/// How often each name of a form, such as `obj-7`, is in a text.
fn named(text: &str, form: &str) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (at, _) in text.match_indices(form) {
        let name: String = text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        *found.entry(name).or_default() += 1;
    }
    found
}

fn number(text: &str) -> usize {
    text.replace(',', "").parse().unwrap()
}

/// How many more of something there are, by its noun in the singular, as `… and 12 more row7s` says.
fn more(text: &str) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (at, said) in text.match_indices("… and ") {
        let Some((count, rest)) = text[at + said.len()..].split_once(" more ") else { continue };
        let noun: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        *found.entry(noun.trim_end_matches('s').to_owned()).or_default() += number(count);
    }
    found
}

/// What a section says that it leaves out.
#[derive(Debug, PartialEq, Eq)]
enum LeftOut<'a> {
    /// How many of each kind.
    Named(BTreeMap<&'a str, usize>),
    /// How many, of how many kinds.
    Counted(usize, usize),
}

impl<'a> LeftOut<'a> {
    /// Reads the first line of a section, without its line end.
    fn read(line: &'a str, everything: &str) -> Self {
        let Some(line) = line.strip_prefix("⚠ Left out, because it does not fit: ") else {
            return Self::Named(BTreeMap::new());
        };
        let counted = line.strip_suffix(everything).and_then(|line| line.strip_suffix(". ")).unwrap();
        if let Some((objects, kinds)) = counted.split_once(" objects of ") {
            return Self::Counted(number(objects), number(kinds.strip_suffix(" kinds").unwrap()));
        }
        let counted = counted.split(", ").map(|one| one.split_once(" × ").unwrap());
        Self::Named(counted.map(|(count, kind)| (kind.trim_matches('`'), number(count))).collect())
    }
}

/// What each section that is there leaves out, by its number.
fn left_out<'a>(all: &'a str, everything: &str) -> BTreeMap<usize, LeftOut<'a>> {
    let begin = "<details><summary>section-";
    let titles = all.match_indices(begin).map(|(at, _)| all[at + begin.len()..].split_once('.').unwrap());
    let first = titles.filter_map(|(section, rest)| Some((section, rest.strip_prefix("</summary>\n\n")?)));
    first.map(|(section, rest)| (number(section), LeftOut::read(rest.lines().next().unwrap(), everything))).collect()
}

/// No part ends within a fence, a table has its head, and every fold is closed.
fn check_part(part: &str) {
    let mut fence: Option<String> = None;
    let mut folds = 0_i32;
    let mut above = "";
    for line in part.lines() {
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => fence = Some(line.chars().take_while(|c| *c == '`').collect()),
            None => {
                folds += line.matches("<details>").count() as i32 - line.matches("</details>").count() as i32;
                if line.starts_with('|') && !above.starts_with('|') {
                    assert_eq!(line, "| a | b |", "a table without its head, after {above:?}");
                }
                if line.starts_with("<details>") || line.starts_with("</details>") {
                    assert!(
                        above.is_empty() || above.starts_with("```"),
                        "HTML within a paragraph: {above:?} {line:?}"
                    );
                }
                if above.starts_with("</details>") {
                    assert!(line.is_empty(), "Markdown within HTML: {line:?}");
                }
            }
        }
        above = line;
    }
    assert_eq!((fence, folds), (None, 0));
}

fn check(document: &Document, previous: Option<&str>) -> Vec<String> {
    let publication = compose(document, HEAD, previous);
    assert!((1..=PARTS).contains(&publication.parts.len()));
    for part in &publication.parts {
        assert!(part.chars().count() <= PART_CHARACTERS, "{}", part.chars().count());
        check_part(part);
    }
    assert!(publication.parts[0].starts_with(&document.first));
    let all = publication.parts.concat();
    let (more, left_out) = (more(&all), left_out(&all, &document.everything));
    // a section is in each part at most once
    let sections = named(&all, "section-");
    assert_eq!(sections.len(), left_out.len());
    assert_eq!(sections.len() + more.get("section").copied().unwrap_or_default(), document.sections.len());
    let [objects, rows, texts] = ["obj-", "row-", "text-"].map(|form| {
        let named = named(&all, form);
        assert!(named.values().all(|times| *times == 1), "one of {form} stands there twice");
        named
    });
    for (number, section) in document.sections.iter().enumerate() {
        let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
        for block in &section.blocks {
            let (kind, all, shown) = match block {
                Block::Object(object) => {
                    let name = object.headline.split(' ').nth(2).unwrap().trim_end_matches('.');
                    (object.kind.as_str(), 1, usize::from(objects.contains_key(name)))
                }
                Block::Rows(table) => {
                    let id = table.noun.trim_start_matches("row");
                    let shown = rows.range(format!("row-{id}-")..format!("row-{id}.")).count();
                    let counted = more.get(&table.noun).copied().unwrap_or_default();
                    (table.noun.as_str(), table.rows.len(), shown + counted)
                }
                Block::Text(text) => {
                    let name = text.split('.').next().unwrap();
                    ("paragraph", 1, usize::from(texts.contains_key(name)))
                }
            };
            assert!(shown <= all && (shown == 0 || left_out.contains_key(&number)), "{kind} of section {number}");
            if shown < all {
                *missing.entry(kind).or_default() += all - shown;
            }
        }
        match left_out.get(&number) {
            None => {}
            Some(LeftOut::Named(counts)) => assert_eq!(*counts, missing, "section {number}"),
            Some(LeftOut::Counted(all, kinds)) => {
                assert_eq!((*all, *kinds), (missing.values().sum::<usize>(), missing.len()), "section {number}");
            }
        }
    }
    publication.parts
}

#[test]
fn any_document_fits_and_says_what_it_leaves_out() {
    let mut shown = [0; PARTS + 1];
    let (mut paragraphs, mut sections) = (0, 0);
    for seed in 0..10_000 {
        let document = document(&mut Random::new(seed));
        let done = std::panic::catch_unwind(|| check(&document, None));
        let parts = done.unwrap_or_else(|_| panic!("seed {seed}"));
        shown[parts.len()] += 1;
        paragraphs += usize::from(parts.iter().any(|part| part.contains(" × `paragraph`")));
        sections += usize::from(parts[0].contains(" more section"));
    }
    assert!(shown[1..].iter().all(|count| *count > 50), "documents of each number of parts: {shown:?}");
    assert!(paragraphs > 0 && sections > 0, "no document leaves out a paragraph, or none a section");
}

#[test]
fn a_document_that_is_composed_again_is_the_same() {
    for seed in 0..200 {
        let document = document(&mut Random::new(seed));
        let first = compose(&document, HEAD, None);
        assert_eq!(compose(&document, HEAD, Some(&first.parts[0])), first);
        let other = check(&document, Some(&compose(&document, "aaaaaaaaaa", None).parts[0]));
        assert!(other[0].contains("<summary>1 earlier plan</summary>"));
    }
}

#[test]
fn rare_kinds_are_shown_and_what_is_too_long_is_named() {
    let object = |kind: &str, index: usize, lines: usize| {
        let headline = format!("+ {kind} obj-{index}. (jobs)");
        Block::Object(Object { kind: kind.to_owned(), headline, diff: "+ a line\n".repeat(lines) })
    };
    let mut blocks: Vec<Block> = (0..10_000).map(|index| object("TrainJob", index, 60)).collect();
    blocks.push(object("ConfigMap", 10_000, 100_000));
    blocks.push(object("Deployment", 10_001, 30));
    let section = Section { title: "section-0.".to_owned(), blocks };
    let document = Document { sections: vec![section], first: "### x\n".to_owned(), ..document(&mut Random::new(1)) };
    let parts = check(&document, None);
    let all = parts.concat();
    assert_eq!(parts.len(), PARTS);
    assert!(
        all.contains("- `+ ConfigMap obj-10000. (jobs)`: 100,000 lines, which do not fit here"),
        "{}",
        &all[..2_000]
    );
    assert!(all.contains("Deployment obj-10001"));
    let space: usize = parts.iter().map(|part| part.chars().count()).sum();
    assert!(space > PARTS * PART_CHARACTERS * 9 / 10, "{space}");
}

/// A plan that starts many jobs, with so many lines of differences.
fn large(jobs: usize, lines: usize) -> Examination {
    let job = |index: usize| Job {
        name: format!("digits-{index:08x}"),
        experiment: "digits".to_owned(),
        parameters: [("training.seed".to_owned(), index.into())].into(),
        workers: 2,
        cpus: 2.0,
        deadline: 1800,
        epochs: Some(3),
        cpu_hours: 1.0,
        dataset: Some(("mnist".to_owned(), format!("sha256:{}", "a".repeat(64)))),
        image: "registry.local/trainer:1".to_owned(),
        ..Job::default()
    };
    let object = |index: usize| Difference {
        environment: "local".to_owned(),
        application: "jobs".to_owned(),
        kind: "TrainJob".to_owned(),
        namespace: "training".to_owned(),
        name: format!("digits-{index:08x}"),
        change: Change::Added,
        diff: "+   some: line of a rendered job\n".repeat(lines / jobs),
    };
    let prices = Prices { cpu_hour: 0.04, gpu_hour: None, currency: "USD".to_owned() };
    let mut local = EnvironmentJobs::new("local".to_owned(), Ok(prices));
    local.starts = (0..jobs).map(job).collect();
    let differences = Differences { objects: (0..jobs).map(object).collect(), deploys: true, ..Differences::default() };
    Examination { environments: vec![local], differences: Some(Ok(differences)), ..Examination::default() }
}

#[test]
fn ten_thousand_trials_and_two_million_lines_fit() {
    let examination = large(10_000, 2_000_000);
    let document = plan_report(&examination, &About::default(), &Expectations::default());
    let publication = compose(&document, HEAD, None);
    assert!(document.first.lines().count() <= FIRST_LINES);
    assert!(document.first.starts_with("### Slipway: starts 10,000 TrainJobs\n"), "{}", document.first);
    assert!(document.first.contains("`400.00 USD`"), "{}", document.first);
    assert_eq!(publication.parts.len(), PARTS);
    assert!(publication.parts.iter().all(|part| part.chars().count() <= PART_CHARACTERS));
    assert!(publication.parts[0].contains("| … and 9,800 more TrainJobs |"), "{}", &publication.parts[0][..3_000]);
    let mut whole = Vec::new();
    write_whole(&document, &mut whole).unwrap();
    assert_eq!(
        String::from_utf8(whole).unwrap().lines().filter(|line| line.starts_with("+   some")).count(),
        2_000_000
    );
}

#[test]
fn the_results_of_ten_thousand_trials_fit_with_their_charts() {
    let trial = |index: usize| TrialResult {
        name: format!("digits-{index:08x}"),
        parameters: [("training.seed".to_owned(), index.into())].into(),
        state: TrialState::Finished,
        epochs: Some((10, 10)),
        metrics: [("test_accuracy".to_owned(), 0.9 + index as f64 * 1e-6)].into(),
        curves: [("validation_accuracy".to_owned(), (1..=10).map(|step| (f64::from(step), 0.9)).collect())].into(),
        seconds: Some(90.0),
        cpu_hours: Some(0.05),
        planned_cpu_hours: 1.0,
        ..TrialResult::default()
    };
    let experiment = |number: usize| ExperimentResults {
        experiment: format!("digits-{number}"),
        environment: "local".to_owned(),
        trials: (number * 1_000..(number + 1) * 1_000).map(trial).collect(),
        ..ExperimentResults::default()
    };
    let results = Results { experiments: (0..10).map(experiment).collect(), ..Results::default() };
    let document = results_report(&results);
    assert!(document.first.lines().count() <= FIRST_LINES);
    assert!(document.first.starts_with("### Slipway: 10,000 trials finished\n"), "{}", document.first);
    assert!(document.first.contains("| CPU-hours | 500 | 10000 |"), "{}", document.first);
    let publication = compose(&document, HEAD, None);
    assert_eq!(publication.parts.len(), PARTS);
    for part in &publication.parts {
        assert!(part.chars().count() <= PART_CHARACTERS, "{}", part.chars().count());
        let fences = part.lines().filter(|line| line.starts_with("```")).count();
        assert!(fences.is_multiple_of(2), "a chart is cut: {part}");
    }
    // each experiment has its two charts and its best trials; the others are counted
    let all = publication.parts.concat();
    assert_eq!(all.matches("xychart-beta").count(), 20, "{all}");
    for number in 0..10 {
        let best = format!("\n| `digits-{:08x}` | ✓ finished |", number * 1_000 + 999);
        assert!(all.contains(&best), "{best}: {all}");
    }
    let shown = all.lines().filter(|line| line.starts_with("| `digits-")).count();
    let more = all.match_indices(" more trial").map(|(at, _)| number(all[..at].rsplit(' ').next().unwrap()));
    assert_eq!(shown + more.sum::<usize>(), 10_000, "{all}");
}
