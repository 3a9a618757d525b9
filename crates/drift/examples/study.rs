//! What the monitor notices of a real classifier, and how well its accuracy is estimated: `study FOLDER [RUNS]` reads what
//! tools/measure/drift.py wrote and prints the tables of docs/continuous-training.md.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fastrand::Rng;
use slipway_drift::{
    Answer, Calibration, Classifier, Count, Detector, Distance, Event, Example, Form, Monitor, NoDrift, Outlook,
    Promise, Reference, State, most, picture, upper_bound,
};

type Failure = Box<dyn std::error::Error>;

const CLASSES: usize = 10;
const FEATURES: usize = 64;
const SIDE: usize = 28;
/// Observations of a window, and its time.
const WINDOW: usize = 50;
const HOUR: Duration = Duration::from_secs(3600);
const RISK: f64 = 0.001;
/// No drift means independent observations.
const INDEPENDENT: NoDrift = NoDrift { serial: 0.0, stray: 0.0, dispersion: 1.0 };
const STRENGTHS: [&str; 2] = ["1", "0.5"];
const CORRUPTIONS: [&str; 15] = [
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted_line",
    "zigzag",
    "canny_edges",
];

/// What the network answered to some pictures.
struct Answers {
    pixels: Vec<u8>,
    softmax: Vec<f32>,
    features: Vec<f32>,
    labels: Vec<u8>,
}

impl Answers {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let bytes = |name: &str| {
            std::fs::read(folder.join(name)).map_err(|error| format!("{name} of {}: {error}", folder.display()))
        };
        let floats = |name: &str| -> Result<Vec<f32>, Failure> {
            Ok(bytes(name)?.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
        };
        Ok(Self {
            pixels: bytes("pictures.u8")?,
            softmax: floats("softmax.f32")?,
            features: floats("features.f32")?,
            labels: bytes("labels.u8")?,
        })
    }
}

/// Rows for the monitor, scores for the estimate, and whether each answer is right.
struct Set {
    rows: Vec<Vec<f64>>,
    scores: Vec<Vec<f64>>,
    right: Vec<bool>,
    labels: Vec<u8>,
}

impl Set {
    fn read(folder: &Path, classifier: &Classifier, distance: &Distance) -> Result<Self, Failure> {
        let answers = Answers::read(folder)?;
        let mut set = Self { rows: Vec::new(), scores: Vec::new(), right: Vec::new(), labels: answers.labels.clone() };
        for (index, &label) in answers.labels.iter().enumerate() {
            let softmax = &answers.softmax[index * CLASSES..(index + 1) * CLASSES];
            let features = &answers.features[index * FEATURES..(index + 1) * FEATURES];
            let pixels = &answers.pixels[index * SIDE * SIDE..(index + 1) * SIDE * SIDE];
            let inputs = picture::statistics(pixels, SIDE);
            let distance = distance.of(features)?;
            let answer = Answer { softmax, distance: Some(distance), label: None, inputs: &inputs };
            set.rows.push(classifier.row(&answer)?);
            set.right.push(most(softmax).0 == usize::from(label));
            set.scores.push(scores(softmax, distance));
        }
        Ok(set)
    }

    fn accuracy(&self) -> f64 {
        self.right.iter().filter(|right| **right).count() as f64 / self.right.len() as f64
    }
}

/// Which corrupted copies of the reference are in the fit.
#[derive(Clone, Copy, PartialEq)]
enum Copies {
    None,
    /// Those of other kinds than the one that is estimated.
    Others,
}

/// Confidence as a logit, and the logarithm of the distance.
fn scores(softmax: &[f32], distance: f64) -> Vec<f64> {
    let confidence = most(softmax).1.clamp(1e-7, 1.0 - 1e-7);
    vec![(confidence / (1.0 - confidence)).ln(), distance.max(1e-3).ln()]
}

struct Study {
    folder: std::path::PathBuf,
    runs: usize,
    classifier: Classifier,
    distance: Distance,
    reference: Set,
    stream: Set,
    corrupted: Vec<(&'static str, &'static str, Set)>,
}

impl Study {
    fn read(folder: &Path, runs: usize) -> Result<Self, Failure> {
        let train = Answers::read(&folder.join("train"))?;
        let features: Vec<&[f32]> = train.features.chunks_exact(FEATURES).collect();
        let labels: Vec<usize> = train.labels.iter().map(|&label| usize::from(label)).collect();
        let distance = Distance::fit(&features, &labels, CLASSES)?;
        let inputs = picture::STATISTICS.map(str::to_owned).to_vec();
        let classifier = Classifier { classes: CLASSES, labels: false, distance: true, inputs };
        let mut corrupted = Vec::new();
        for strength in STRENGTHS {
            for name in CORRUPTIONS {
                let folder = folder.join(format!("stream-{strength}")).join(name);
                let set = Set::read(&folder, &classifier, &distance)?;
                corrupted.push((name, strength, set));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            runs,
            reference: Set::read(&folder.join("reference"), &classifier, &distance)?,
            stream: Set::read(&folder.join("stream"), &classifier, &distance)?,
            classifier,
            distance,
            corrupted,
        })
    }

    fn monitor(&self, rows: &[&Vec<f64>], class: NoDrift) -> Result<Monitor, Failure> {
        let rows: Vec<&[f64]> = rows.iter().map(|row| row.as_slice()).collect();
        let reference = Reference::new(&self.classifier.streams(), &rows, RISK)?;
        Ok(Monitor::new(reference, class, "once in 5 years".parse::<Promise>()?)?)
    }

    /// Held-out digits in random orders: half are the reference, half the stream, each only once.
    fn quiet(&self) -> Result<(), Failure> {
        let mut random = Rng::with_seed(1);
        let mut all: Vec<&Vec<f64>> = self.reference.rows.iter().chain(&self.stream.rows).collect();
        let runs = (self.runs / 5).max(20);
        let (mut alarms, mut largest, mut windows) = (0, 0.0_f64, 0);
        for _ in 0..runs {
            random.shuffle(&mut all);
            let (reference, stream) = all.split_at(self.reference.rows.len());
            let monitor = self.monitor(reference, NoDrift::default())?;
            let mut state = monitor.start();
            for window in stream.chunks(WINDOW) {
                let verdict = monitor.observe(&mut state, window, HOUR)?;
                largest = largest.max(verdict.evidence.total);
                alarms += usize::from(verdict.alarm);
                windows += 1;
            }
        }
        println!(
            "Without drift: {alarms} alarms in {windows} windows of real digits ({runs} random splits), largest capital {largest:.1e}.\n"
        );
        Ok(())
    }

    /// The images after which there was an alarm, for each run, up to `most` images; `draw` gives an image.
    fn delays<'a>(
        &self,
        monitor: &Monitor,
        elapsed: Duration,
        most: usize,
        runs: usize,
        random: &mut Rng,
        mut draw: impl FnMut(&mut Rng) -> &'a Vec<f64>,
    ) -> Result<Vec<(usize, String)>, Failure> {
        // twenty quiet beginnings of ten windows each
        let mut starts: Vec<State> = Vec::new();
        for _ in 0..20 {
            let mut state = monitor.start();
            for _ in 0..10 {
                let window: Vec<&Vec<f64>> =
                    (0..WINDOW).map(|_| &self.stream.rows[random.usize(0..self.stream.rows.len())]).collect();
                monitor.observe(&mut state, &window, elapsed)?;
            }
            starts.push(state);
        }
        let mut delays = Vec::new();
        for run in 0..runs {
            let mut state = starts[run % starts.len()].clone();
            let mut delay = (usize::MAX, String::new());
            for window in 1..=most / WINDOW {
                let rows: Vec<&Vec<f64>> = (0..WINDOW).map(|_| draw(random)).collect();
                let verdict = monitor.observe(&mut state, &rows, elapsed)?;
                if verdict.alarm {
                    delay = (window * WINDOW, verdict.streams[0].stream.clone());
                    break;
                }
            }
            delays.push(delay);
        }
        delays.sort();
        Ok(delays)
    }

    fn corruptions(&self) -> Result<(), Failure> {
        let reference: Vec<&Vec<f64>> = self.reference.rows.iter().collect();
        let monitor = self.monitor(&reference, NoDrift::default())?;
        println!(
            "Windows of {WINDOW} images, one an hour, once in 5 years; reference of {} images, {} kB as JSON; {} runs.\n",
            reference.len(),
            serde_json::to_string(monitor.reference())?.len() / 1000,
            self.runs
        );
        println!(
            "| corruption | strength | accuracy | all: within 200 | median images | first stream | a tenth: within 2,000 | median \
             | independent, all: within 200 | a tenth: within 2,000 | median |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        let independent = self.monitor(&reference, INDEPENDENT)?;
        for (name, strength, set) in &self.corrupted {
            let mut random = Rng::with_seed(2);
            let rows = &set.rows;
            let whole = |monitor: &Monitor, random: &mut Rng| {
                self.delays(monitor, HOUR, 1000, self.runs, random, |random| &rows[random.usize(0..rows.len())])
            };
            let part = |monitor: &Monitor, random: &mut Rng| {
                self.delays(monitor, HOUR, 4000, self.runs.div_ceil(3), random, |random| {
                    let from = if random.f64() < 0.1 { rows } else { &self.stream.rows };
                    &from[random.usize(0..from.len())]
                })
            };
            let (all, tenth) = (whole(&monitor, &mut random)?, part(&monitor, &mut random)?);
            let (sooner, tenth_sooner) = (whole(&independent, &mut random)?, part(&independent, &mut random)?);
            println!(
                "| {name} | {strength} | {:.3} | {} | {} | {} | {} | {} | {} | {} | {} |",
                set.accuracy(),
                share(&all, 200),
                middle(&all),
                all[all.len() / 2].1,
                share(&tenth, 2000),
                middle(&tenth),
                share(&sooner, 200),
                share(&tenth_sooner, 2000),
                middle(&tenth_sooner)
            );
        }
        println!();
        Ok(())
    }

    fn halved(&self) -> Result<(), Failure> {
        println!(
            "| a class halved: windows of {WINDOW} images | within 1,000 | within 2,000 | within 4,000 | median images |"
        );
        println!("|---|---|---|---|---|");
        let reference: Vec<&Vec<f64>> = self.reference.rows.iter().collect();
        let monitor = self.monitor(&reference, NoDrift::default())?;
        let independent = self.monitor(&reference, INDEPENDENT)?;
        let ways = [
            ("one an hour", HOUR, &monitor),
            ("one an hour, independent", HOUR, &independent),
            ("one a day, independent", 24 * HOUR, &independent),
        ];
        for (rate, elapsed, monitor) in ways {
            let mut delays = Vec::new();
            let mut random = Rng::with_seed(3);
            for class in 0..CLASSES {
                let labels = &self.stream.labels;
                let runs = self.runs.div_ceil(40);
                delays.extend(self.delays(monitor, elapsed, 6000, runs, &mut random, |random| {
                    loop {
                        let index = random.usize(0..labels.len());
                        if usize::from(labels[index]) != class || random.bool() {
                            return &self.stream.rows[index];
                        }
                    }
                })?);
            }
            delays.sort();
            println!(
                "| {rate} | {} | {} | {} | {} |",
                share(&delays, 1000),
                share(&delays, 2000),
                share(&delays, 4000),
                middle(&delays)
            );
            let oracle = oracle(elapsed, self.runs, &mut random);
            println!(
                "| {rate}, a CUSUM that knows both shares | {} | {} | {} | {} |",
                share(&oracle, 1000),
                share(&oracle, 2000),
                share(&oracle, 4000),
                middle(&oracle)
            );
        }
        println!();
        Ok(())
    }

    fn accuracy(&self) -> Result<(), Failure> {
        let mut spoiled = Vec::new();
        for strength in STRENGTHS {
            for name in CORRUPTIONS {
                let folder = self.folder.join(format!("reference-{strength}")).join(name);
                spoiled.push((name, Set::read(&folder, &self.classifier, &self.distance)?));
            }
        }
        // columns of the scores, and which corrupted copies of the reference are used
        let ways: [(&str, &[usize], Copies); 4] = [
            ("confidence", &[0], Copies::None),
            ("and distance", &[0, 1], Copies::None),
            ("confidence, copies", &[0], Copies::Others),
            ("and distance, copies", &[0, 1], Copies::Others),
        ];
        print!("| corruption | strength | accuracy |");
        ways.iter().for_each(|(name, ..)| print!(" {name} |"));
        println!(" outlook | its error |\n|---|---|---|{}", "---|".repeat(ways.len() + 2));
        let mut errors = vec![Vec::new(); ways.len() + 1];
        let clean = std::iter::once(("none", "0", &self.stream));
        let all = self.corrupted.iter().map(|(name, strength, set)| (*name, *strength, set)).chain(clean);
        for (name, strength, set) in all {
            print!("| {name} | {strength} | {:.3} |", set.accuracy());
            for ((_, columns, copies), errors) in ways.iter().zip(&mut errors) {
                let pick = |set: &Set| -> Vec<Vec<f64>> {
                    set.scores.iter().map(|row| columns.iter().map(|&column| row[column]).collect()).collect()
                };
                let (mut scores, mut right) = (pick(&self.reference), self.reference.right.clone());
                let mut weights = vec![1.0; right.len()];
                if *copies != Copies::None {
                    // all together weigh as much as the clean ones
                    for (_, set) in spoiled.iter().filter(|(other, _)| *other != name) {
                        let part = pick(set).into_iter().zip(&set.right);
                        for (row, &is_right) in part {
                            scores.push(row);
                            right.push(is_right);
                        }
                    }
                    let weight = self.reference.right.len() as f64 / (right.len() - weights.len()) as f64;
                    weights.resize(right.len(), weight);
                }
                let estimate = Calibration::fit(&scores, &right, &weights)?.estimate(&pick(set))?;
                errors.push((strength, estimate.accuracy - set.accuracy()));
                print!(" {:.3} |", estimate.accuracy);
            }
            let others = spoiled.iter().filter(|(other, _)| *other != name);
            let examples: Vec<Example<'_>> =
                others.map(|(kind, set)| Example { kind, scores: &set.scores, right: &set.right }).collect();
            let outlook = Outlook::fit(&self.reference.scores, &self.reference.right, &examples)?;
            let estimate = outlook.estimate(&set.scores)?;
            errors[ways.len()].push((strength, estimate.accuracy - set.accuracy()));
            println!(" {:.3} | {:.3} |", estimate.accuracy, estimate.error);
        }
        for strength in ["1", "0.5", "0"] {
            print!("| **mean of the absolute errors** | {strength} | |");
            for errors in &errors {
                let these: Vec<f64> =
                    errors.iter().filter(|(s, _)| *s == strength).map(|(_, error)| error.abs()).collect();
                print!(" {:.3} |", these.iter().sum::<f64>() / these.len() as f64);
            }
            print!("\n| **mean of the errors** | {strength} | |");
            for errors in &errors {
                let these: Vec<f64> = errors.iter().filter(|(s, _)| *s == strength).map(|(_, error)| *error).collect();
                print!(" {:+.3} |", these.iter().sum::<f64>() / these.len() as f64);
            }
            println!();
        }
        println!();
        Ok(())
    }
}

/// Images until a CUSUM alarms that knows that a share of 0.1 becomes 0.05, and has all of the promise for this one change.
fn oracle(elapsed: Duration, runs: usize, random: &mut Rng) -> Vec<(usize, String)> {
    let period: Promise = "once in 5 years".parse().expect("a promise");
    let stake = period.stake(elapsed);
    let mut delays: Vec<_> = (0..runs)
        .map(|_| {
            let mut capital: f64 = 0.0;
            for window in 1..=6000 / WINDOW {
                capital = capital.max(stake);
                for _ in 0..WINDOW {
                    capital *= if random.f64() < 0.05 { 0.5 } else { 0.95 / 0.9 };
                }
                if capital >= 1.0 {
                    return (window * WINDOW, String::new());
                }
            }
            (usize::MAX, String::new())
        })
        .collect();
    delays.sort();
    delays
}

/// The delay after a change of one event's share, beside the CUSUM that knows both.
fn delay(runs: usize) -> Result<(), Failure> {
    println!(
        "| share of an event, before and after | reference | no drift is | median images | 95 % within | CUSUM that knows both: median | 95 % within |"
    );
    println!("|---|---|---|---|---|---|---|");
    let classes = [("the default", NoDrift::default()), ("independent", INDEPENDENT)];
    let stake = 1.0 / 43_830.0;
    for (before, after) in [(0.1, 0.15), (0.1, 0.2), (0.1, 0.4), (0.02, 0.06), (0.5, 0.6)] {
        for (trials, (name, class)) in
            [2_500_usize, 100_000].into_iter().flat_map(|trials| classes.map(|class| (trials, class)))
        {
            let mut random = Rng::with_seed(4);
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            for _ in 0..runs {
                let hits = (before * trials as f64) as usize;
                let event = Event { bound: upper_bound(hits, trials, RISK), weight: 1.0 };
                let detector = Detector::new(&[event], class, Form::default())?;
                let (mut state, mut capital, mut found) = (detector.start(), 0.0_f64, (None, None));
                let mut window = 0;
                while found.0.is_none() || found.1.is_none() {
                    window += 1;
                    let hits = (0..WINDOW).filter(|_| random.f64() < after).count() as u32;
                    let count = Count { seen: WINDOW as u32, hits };
                    let alarm = detector.update(&mut state, &[count], stake)?.alarm();
                    let (up, down) = (f64::ln(after / before), f64::ln((1.0 - after) / (1.0 - before)));
                    capital = capital.max(stake) * (f64::from(hits) * up + f64::from(count.seen - hits) * down).exp();
                    found.0 = found.0.or(alarm.then_some(window * WINDOW));
                    found.1 = found.1.or((capital >= 1.0).then_some(window * WINDOW));
                    if window > 20_000 {
                        break;
                    }
                }
                ours.push((found.0.unwrap_or(usize::MAX), String::new()));
                theirs.push((found.1.unwrap_or(usize::MAX), String::new()));
            }
            ours.sort();
            theirs.sort();
            let late = |delays: &[(usize, String)]| images(delays[delays.len() * 95 / 100].0);
            println!(
                "| {before} to {after} | {trials} | {name} | {} | {} | {} | {} |",
                middle(&ours),
                late(&ours),
                middle(&theirs),
                late(&theirs)
            );
        }
    }
    println!();
    Ok(())
}

/// How many of the runs had an alarm within so many images.
fn share(delays: &[(usize, String)], within: usize) -> String {
    let count = delays.iter().filter(|(delay, _)| *delay <= within).count();
    format!("{:.1} %", 100.0 * count as f64 / delays.len() as f64)
}

fn middle(delays: &[(usize, String)]) -> String {
    images(delays[delays.len() / 2].0)
}

fn images(delay: usize) -> String {
    if delay == usize::MAX { "never".to_owned() } else { delay.to_string() }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: study FOLDER [RUNS]")?;
    let runs = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let study = Study::read(Path::new(&folder), runs)?;
    study.accuracy()?;
    if runs == 0 {
        return Ok(()); // the estimate alone
    }
    study.corruptions()?;
    study.halved()?;
    delay(runs.min(300))?;
    study.quiet()
}

#[expect(clippy::print_stderr, reason = "a program for people")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
