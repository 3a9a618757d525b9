//! Counts false alarms: `false_alarms [YEARS] [STREAMS,…] [DISPERSION]` simulates years of hourly windows without drift, each with a reference of its
//! own, and prints a table: how many had an alarm, when once in 100 years was promised. Uses all cores.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use slipway_drift::{Count, Detector, Event, Form, NoDrift, upper_bound};

mod streams;

use streams::{Dependence, Simulation};

/// Hours of a year, and observations of a window.
const HOURS: u32 = 8766;
const WINDOW: u32 = 50;
const REFERENCE: usize = 2000;
const RISK: f64 = 0.001;

/// A year: the largest total, or the window of the alarm.
fn year(streams: usize, dependence: Dependence, class: NoDrift, seed: u64) -> (f64, bool) {
    let mut simulation = Simulation::new(streams, WINDOW, dependence, seed);
    let events: Vec<Event> = simulation
        .reference(REFERENCE)
        .into_iter()
        .flat_map(|hits| [hits, REFERENCE - hits])
        .map(|hits| Event { bound: upper_bound(hits, REFERENCE, RISK / (2 * streams) as f64), weight: 1.0 })
        .collect();
    let detector = Detector::new(&events, class, Form::ShiryaevRoberts).expect("events within range");
    let mut state = detector.start();
    let stake = 1.0 / (100.0 * f64::from(HOURS));
    let mut counts = vec![Count::default(); events.len()];
    let mut largest: f64 = 0.0;
    for _ in 0..HOURS {
        for (pair, &hits) in counts.as_chunks_mut::<2>().0.iter_mut().zip(simulation.window()) {
            *pair = [Count { seen: WINDOW, hits }, Count { seen: WINDOW, hits: WINDOW - hits }];
        }
        let evidence = detector.update(&mut state, &counts, stake).expect("counts of these events");
        largest = largest.max(evidence.total);
        if evidence.alarm() {
            return (largest, true);
        }
    }
    (largest, false)
}

#[expect(clippy::print_stderr, reason = "a program for people")]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let years = arguments.next().map_or(Ok(1000), |text| text.parse::<u32>());
    let streams = arguments.next().unwrap_or_else(|| "1,10,100,1000".to_owned());
    let (Ok(years), Ok(streams)) = (years, streams.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>())
    else {
        eprintln!("usage: false_alarms [YEARS] [STREAMS,…] [DISPERSION]");
        return ExitCode::FAILURE;
    };
    let dispersion = arguments.next().map_or(2.0, |text| text.parse().unwrap_or(f64::NAN));
    let class = NoDrift { dispersion, ..NoDrift::default() };
    println!("| streams | dependence | correlation | years | with an alarm | largest capital (alarm: 1) | seconds |");
    println!("|---|---|---|---|---|---|---|");
    for streams in streams {
        for dependence in Dependence::ALL {
            let started = Instant::now();
            let (next, alarms) = (AtomicU32::new(0), AtomicU32::new(0));
            let work = || {
                let mut largest: f64 = 0.0;
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= years {
                        return largest;
                    }
                    let (capital, alarm) = year(streams, dependence, class, u64::from(index) * 7919 + streams as u64);
                    largest = largest.max(capital);
                    alarms.fetch_add(u32::from(alarm), Ordering::Relaxed);
                }
            };
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let largest = std::thread::scope(|scope| {
                let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
                all.into_iter().map(|thread| thread.join().expect("a thread that does not panic")).fold(0.0, f64::max)
            });
            println!(
                "| {streams} | {} | {:.2} | {years} | {} | {largest:.2e} | {:.0} |",
                dependence.name(),
                Simulation::new(1, WINDOW, dependence, 1).correlation(20_000),
                alarms.into_inner(),
                started.elapsed().as_secs_f64()
            );
        }
    }
    ExitCode::SUCCESS
}
