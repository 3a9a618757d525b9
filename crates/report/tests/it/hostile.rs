//! Reports on texts that were written to become something else, read by a parser of GitHub's Markdown.

use std::collections::BTreeMap;

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use serde_json::Value;
use slipway_deployment::Differences;
use slipway_experiment::Score;
use slipway_gitops::{Change, Difference};
use slipway_project::cluster::Prices;
use slipway_project::rendered::Draft;
use slipway_report::{
    About, Conflict, Document, EnvironmentJobs, Examination, Expectations, ExperimentResults, FIRST_LINES, Hindrance,
    InService, Job, ModelResult, PART_CHARACTERS, Promotion, Publication, Ranking, Results, TrainerImage, TrialResult,
    TrialState, Version, compose, plan_report, results_report, write_whole,
};
use slipway_source::Finding;

use crate::random::Random;

/// What must never have an effect. Each holds a word by which it is found again.
const TEXTS: [&str; 44] = [
    "HOSTILE",
    "@octo HOSTILE @org/team",
    "HOSTILE #1 GH-1 octo/repo#2 1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d1a2b3c4d",
    "[HOSTILE](https://evil.example)",
    "![HOSTILE](https://evil.example/x.png)",
    "https://evil.example/HOSTILE www.evil.example/HOSTILE a@evil.example",
    "<img src=x onerror=alert(1)> HOSTILE",
    "</code></summary></details><h1>HOSTILE</h1>",
    "<!-- HOSTILE",
    "HOSTILE --> <b>x</b> <!--",
    "\n\n# HOSTILE\n\n",
    "\nHOSTILE\n======\n",
    "\n```\nHOSTILE\n```\n",
    "`HOSTILE",
    "HOSTILE`",
    "`` HOSTILE ` ``` x",
    "```````````` HOSTILE",
    "~~~\nHOSTILE",
    "| HOSTILE | b |\n|---|---|\n| c | d |",
    "a|HOSTILE|c",
    "a\\|HOSTILE\\\\|c",
    "\\",
    "HOSTILE\\",
    "\\`HOSTILE\\`",
    "- [x] HOSTILE",
    "> [!CAUTION]\n> HOSTILE",
    "1. HOSTILE",
    "::error file=x::HOSTILE",
    "##[error]HOSTILE",
    "$$ HOSTILE $$ $`x`$",
    "[^1] HOSTILE\n\n[^1]: x",
    "[HOSTILE]: https://evil.example\n\n[HOSTILE]",
    "\u{202e}HOSTILE\u{2066}\u{200f}",
    "\u{1b}[31mHOSTILE\u{7}\u{0}\r\u{8}",
    ":rocket: HOSTILE",
    "**HOSTILE** __x__ ~~y~~",
    "&lt;b&gt; &#64;octo HOSTILE &amp;",
    "<details open><summary>HOSTILE",
    "<script>HOSTILE</script>",
    "<a href=\"https://evil.example\">HOSTILE</a>",
    "\"]\n    bar [1, 2]\n```\n@octo HOSTILE",
    "%%{init: {\"HOSTILE\": 1}}%%",
    "click A href \"https://evil.example\" HOSTILE",
    " ",
];

/// Long, empty, or one or several of the texts.
fn hostile(random: &mut Random) -> String {
    match random.below(30) {
        0 => String::new(),
        1 => random.pick(&TEXTS).repeat(300),
        2 => format!("{}{}", random.pick(&TEXTS), random.pick(&TEXTS)),
        _ => (*random.pick(&TEXTS)).to_owned(),
    }
}

fn many<T>(random: &mut Random, most: usize, make: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..random.below(most + 1)).map(|_| make(random)).collect()
}

fn finding(random: &mut Random) -> Finding {
    let finding = Finding::new(&hostile(random), random.below(9), 1, "edited", hostile(random));
    if random.below(2) == 0 { finding.with_help(hostile(random)) } else { finding }
}

fn job(random: &mut Random) -> Job {
    Job {
        name: hostile(random),
        experiment: hostile(random),
        parameters: [(hostile(random), Value::from(hostile(random))), (hostile(random), Value::from(1))].into(),
        workers: 2,
        cpus: 2.0,
        gpus: random.below(2) as f64,
        deadline: 60,
        program: Some(hostile(random)),
        cpu_hours: random.below(3) as f64,
        gpu_hours: random.below(2) as f64,
        dataset: Some((hostile(random), hostile(random))),
        image: format!("{}@{}", hostile(random), hostile(random)),
        ..Job::default()
    }
}

fn environment(random: &mut Random) -> EnvironmentJobs {
    let prices = match random.below(3) {
        0 => Err(hostile(random)),
        _ => Ok(Prices { cpu_hour: 0.04, gpu_hour: None, currency: hostile(random) }),
    };
    let mut environment = EnvironmentJobs::new(hostile(random), prices);
    environment.starts = many(random, 4, job);
    environment.stops = many(random, 2, job);
    environment.archived = many(random, 2, job);
    environment.other_records = many(random, 2, hostile);
    environment.changes = many(random, 2, job);
    environment.unreadable = many(random, 2, |random| (hostile(random), hostile(random)));
    environment.stays = random.below(2);
    environment
}

fn difference(random: &mut Random, environment: &str) -> Difference {
    Difference {
        environment: environment.to_owned(),
        application: hostile(random),
        kind: hostile(random),
        namespace: hostile(random),
        name: hostile(random),
        change: *random.pick(&[Change::Added, Change::Changed, Change::Removed]),
        diff: many(random, 5, hostile).join("\n"),
    }
}

fn plan(random: &mut Random) -> Document {
    let environments = many(random, 3, environment);
    let mut differences = Differences {
        deploys: true,
        not_shown: many(random, 2, hostile),
        omitted: many(random, 2, finding),
        ..Differences::default()
    };
    for environment in &environments {
        differences.objects.extend(many(random, 4, |random| difference(random, &environment.name)));
    }
    let examination = Examination {
        conflict: match random.below(6) {
            0 => Some(Conflict::Files { files: many(random, 6, hostile), only_rendered: random.below(2) == 0 }),
            1 => Some(Conflict::Unrelated),
            _ => None,
        },
        findings: many(random, 3, finding),
        not_as_reviewed: many(random, 3, finding),
        warnings: many(random, 3, finding),
        drafts: many(random, 2, |random| Draft { file: hostile(random), environment: hostile(random), jobs: 1 }),
        skipped: many(random, 2, hostile),
        in_service: environments
            .iter()
            .map(|one| InService {
                environment: one.name.clone(),
                model: hostile(random),
                before: Some(1),
                after: Some(3),
            })
            .collect(),
        keep_code: [(hostile(random), 2)].into(),
        experiment_files: many(random, 3, |random| (hostile(random), many(random, 5, hostile).join("\n")))
            .into_iter()
            .collect(),
        trainer_images: environments
            .iter()
            .map(|one| TrainerImage {
                environment: one.name.clone(),
                trainer: Some(hostile(random)),
                before: Some(hostile(random)),
                after: Some(hostile(random)),
            })
            .collect(),
        differences: Some(if random.below(4) == 0 { Err(hostile(random)) } else { Ok(differences) }),
        environments,
        ..Examination::default()
    };
    let about = About {
        number: Some(7),
        is_draft: random.below(2) == 0,
        is_fork: random.below(2) == 0,
        base_branch: hostile(random),
        resolution: String::new(),
        reviewers: many(random, 5, hostile),
        missing: many(random, 3, hostile),
        unknown: many(random, 3, hostile),
        everything: Some(if random.below(2) == 0 { hostile(random) } else { "https://ours.example/x".to_owned() }),
    };
    let versions = examination.in_service.iter().flat_map(|one| [(one.model.clone(), 1), (one.model.clone(), 3)]);
    let versions = versions.filter(|_| random.below(2) == 0).collect::<Vec<_>>();
    let versions = versions.into_iter().map(|key| (key, version(random))).collect();
    let expectations = Expectations { versions, unavailable: Some(hostile(random)), ..Expectations::default() };
    plan_report(&examination, &about, &expectations)
}

fn trial(random: &mut Random) -> TrialResult {
    let state = match random.below(5) {
        0 => TrialState::Failed(hostile(random)),
        1 => TrialState::Refused(hostile(random)),
        2 => TrialState::Waiting(Some(Hindrance { reason: hostile(random), advice: hostile(random) })),
        3 => TrialState::Running,
        _ => TrialState::Finished,
    };
    let value = |random: &mut Random| *random.pick(&[0.5, 0.25, f64::NAN, f64::INFINITY, -1e300, 1e-9]);
    let metrics: BTreeMap<String, f64> =
        many(random, 4, |random| (hostile(random), value(random))).into_iter().collect();
    let curve = |random: &mut Random| (0..random.below(6)).map(|step| (step as f64, value(random))).collect();
    TrialResult {
        name: hostile(random),
        parameters: many(random, 3, |random| (hostile(random), Value::from(hostile(random)))).into_iter().collect(),
        state,
        url: Some(if random.below(2) == 0 { hostile(random) } else { "https://ours.example/run".to_owned() }),
        epochs: Some((1, 3)),
        curves: metrics.keys().map(|metric| (metric.clone(), curve(random))).collect(),
        metrics,
        seconds: Some(value(random)),
        cpu_hours: Some(value(random)),
        ..TrialResult::default()
    }
}

fn version(random: &mut Random) -> Version {
    Version {
        number: random.below(3) as u64,
        job: hostile(random),
        score: Some(Score { metric: hostile(random), value: 0.9, more_is_better: random.below(2) > 0 })
            .filter(|_| random.below(3) > 0),
        dataset_digest: hostile(random),
        url: Some(hostile(random)),
    }
}

fn results(random: &mut Random) -> Document {
    let experiments = many(random, 4, |random| ExperimentResults {
        experiment: hostile(random),
        environment: hostile(random),
        ranking: Some(Ranking { metric: hostile(random), more_is_better: true }).filter(|_| random.below(2) == 0),
        trials: many(random, 6, trial),
        model: Some(ModelResult {
            model: hostile(random),
            best: Some(version(random)).filter(|_| random.below(3) > 0),
            no_best: Some(hostile(random)).filter(|_| random.below(2) == 0),
            in_service: Some(version(random)).filter(|_| random.below(2) == 0),
            promotion: Some(Promotion { number: 3, url: Some(hostile(random)) }).filter(|_| random.below(2) == 0),
        }),
    });
    let in_service = many(random, 2, |random| InService {
        environment: hostile(random),
        model: hostile(random),
        before: Some(1),
        after: Some(2),
    });
    let mut versions = Vec::new();
    for one in &in_service {
        versions.extend([1, 2].map(|number| (one.model.clone(), Version { number, ..version(random) })));
    }
    results_report(&Results {
        number: Some(7),
        commit: hostile(random),
        experiments,
        in_service,
        versions,
        unknown: many(random, 3, hostile),
        everything: None,
        ..Results::default()
    })
}

/// That nothing outside of code comes from one of the texts.
fn check(markdown: &str) {
    for c in markdown.chars() {
        let acts = c.is_control() && !matches!(c, '\n' | '\t');
        assert!(!acts && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200f}'), "{c:?}");
    }
    let mut options = Options::default();
    options.extension.autolink = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.extension.math_dollars = true;
    options.extension.math_code = true;
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options);
    let mut headings = 0;
    let mut in_code = false;
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(_) if in_code => {}
            NodeValue::Text(text) => {
                assert!(!text.contains("HOSTILE") && !text.contains('@'), "text outside of code: {text:?}");
            }
            NodeValue::Link(link) => assert!(link.url.starts_with("https://ours.example/"), "a link to {}", link.url),
            NodeValue::Heading(_) => headings += 1,
            NodeValue::HtmlBlock(html) => check_html(&html.literal),
            NodeValue::HtmlInline(html) => match html.as_str() {
                "<br>" | "<wbr>" => {}
                "<code>" => in_code = true,
                "</code>" => in_code = false,
                other => panic!("{other}"),
            },
            NodeValue::CodeBlock(block) if block.info == "mermaid" => check_chart(&block.literal),
            NodeValue::CodeBlock(block) => assert_eq!(block.info, "diff"),
            NodeValue::Image(_)
            | NodeValue::FootnoteDefinition(_)
            | NodeValue::FootnoteReference(_)
            | NodeValue::TaskItem(..)
            | NodeValue::Alert(_)
            | NodeValue::BlockQuote
            | NodeValue::ThematicBreak
            | NodeValue::Strikethrough
            | NodeValue::Math(_) => panic!("{:?}", node.data.borrow().value),
            other => assert!(!in_code, "{other:?} in code"),
        }
    }
    // that of the first lines, or none in a later part
    assert!(headings <= 1, "{headings} headings");
}

/// HTML has only our own elements, and texts of others only as code in it.
fn check_html(html: &str) {
    for line in html.replace("<wbr>", "").lines() {
        if let Some(hidden) = line.strip_prefix("<!-- slipway:plans ") {
            assert_eq!(hidden.find("-->"), Some(hidden.len() - 3), "{line}");
            continue;
        }
        let mut rest = line.to_owned();
        while let Some((before, after)) = rest.split_once("<code>") {
            let (code, after) = after.split_once("</code>").expect("an open element");
            assert!(!code.contains(['<', '>', '@', '[', '`', '*']), "{code}");
            rest = format!("{before}{after}");
        }
        for ours in ["<details>", "</details>", "<summary>", "</summary>"] {
            rest = rest.replace(ours, "");
        }
        assert!(!rest.contains(['<', '>', '@']) && !rest.contains("HOSTILE"), "{line:?}");
    }
}

/// A chart has only our own statements, and texts of others only in quotes.
fn check_chart(chart: &str) {
    let mut lines = chart.lines();
    assert!(lines.next().unwrap().starts_with("%%{init: ") && lines.next() == Some("xychart-beta"));
    for line in lines {
        let statement = line.trim().split(' ').next().unwrap();
        assert!(["title", "x-axis", "y-axis", "line", "bar"].contains(&statement), "{line}");
        let outside: String = line.split('"').step_by(2).collect();
        assert!(line.matches('"').count() % 2 == 0 && !outside.contains("HOSTILE"), "{line}");
        assert!(
            !line.contains(['`', '<', '@', '|', ';', '%']) && !outside.contains("NaN") && !outside.contains("inf"),
            "{line}"
        );
    }
}

fn check_all(publication: &Publication, document: &Document) {
    for part in &publication.parts {
        assert!(part.chars().count() <= PART_CHARACTERS);
        check(part);
    }
    assert!(document.first.lines().count() <= FIRST_LINES, "{}", document.first);
    assert!(document.first.starts_with("### Slipway: "));
    assert!(publication.parts[0].starts_with(&document.first), "the first lines are cut: {}", document.first);
    for annotation in publication.check.iter().flat_map(|check| &check.annotations) {
        assert!(!annotation.message.chars().any(|c| c.is_control() && c != '\n') && annotation.line > 0);
    }
    publication.check.iter().for_each(|check| self::check(&check.summary));
    let mut whole = Vec::new();
    write_whole(document, &mut whole).unwrap();
    check(&String::from_utf8(whole).unwrap());
}

#[test]
fn no_text_of_others_has_an_effect() {
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let document = if seed % 3 == 0 { results(&mut random) } else { plan(&mut random) };
        let done = std::panic::catch_unwind(|| {
            let earlier = compose(&document, &format!("{seed:040x}"), None);
            check_all(&compose(&document, &format!("{:040x}", seed + 1), Some(&earlier.parts[0])), &document);
        });
        assert!(done.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_previous_comment_that_somebody_edited_has_no_effect() {
    let document = plan(&mut Random::new(1));
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let text = hostile(&mut random);
        let commit = if random.below(2) == 0 { "1a2b3c4d".to_owned() } else { hostile(&mut random) };
        let said = serde_json::json!({ "commit": commit, "summary": text });
        let state = serde_json::json!({ "now": said, "earlier": vec![said.clone(); 50] }).to_string();
        let comment = format!("x\n<!-- slipway:plans {state} -->\n{}", hostile(&mut random));
        check_all(&compose(&document, &"2".repeat(40), Some(&comment)), &document);
    }
}
