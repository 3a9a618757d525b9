//! The exchange of gradients between threads and between processes, each way against the others.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use slipway_c10d::{Error, Exchange, Group, Store, StoreConfig};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Long enough for any exchange, short enough to see that a worker sleeps on.
const SOON: Duration = Duration::from_secs(30);
const OWN_WAYS: [Exchange; 2] = [Exchange::Memory, Exchange::Tcp];

fn store(rank: usize, world_size: usize, port: u16) -> Result<Store, Error> {
    Store::tcp(StoreConfig {
        host: "127.0.0.1".to_owned(),
        port,
        serve: rank == 0,
        world_size,
        wait_for_workers: false,
        timeout: SOON,
    })
}

/// Runs one thread for each worker, and returns what they return, by rank.
fn workers<T: Send + 'static>(world_size: usize, work: impl Fn(usize, Store) -> T + Clone + Send + 'static) -> Vec<T> {
    let (tell, hear) = mpsc::channel();
    let first = work.clone();
    let mut threads = vec![thread::spawn(move || {
        let store = store(0, world_size, 0).unwrap();
        tell.send(store.port()).unwrap();
        first(0, store)
    })];
    let port = hear.recv().unwrap();
    threads.extend((1..world_size).map(|rank| {
        let work = work.clone();
        thread::spawn(move || work(rank, store(rank, world_size, port).unwrap()))
    }));
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn meet(rank: usize, store: Store, way: Exchange) -> Group {
    let group = Group::meet(store, rank, LOOPBACK, SOON, Some(way)).unwrap();
    assert_eq!(group.exchange(), way);
    group
}

/// Numbers of a worker that differ in size by far, so that the order of adding shows in the last bits.
fn numbers(rank: usize, count: usize) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed((rank * 1_000_003 + count) as u64);
    (0..count).map(|_| (random.f32() - 0.5) * 10f32.powi(random.i32(-6..6))).collect()
}

/// The mean of all workers' numbers, added in the order of the ranks.
fn expected(world_size: usize, numbers: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
    let mut sums = numbers(0);
    for rank in 1..world_size {
        sums.iter_mut().zip(numbers(rank)).for_each(|(sum, number)| *sum += number);
    }
    let share = 1.0 / world_size as f32;
    sums.iter().map(|sum| sum * share).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn every_way_gives_the_mean_and_ours_give_it_in_the_order_of_the_ranks() {
    let mut random = fastrand::Rng::with_seed(11);
    for world_size in 2..=8 {
        // fewer numbers than workers, the cnn's, more than one turn of the memory, and any
        let counts = [0, 1, world_size - 1, 206_922, 600_001, random.usize(1..100_000), random.usize(1..100_000)];
        for way in [Exchange::Memory, Exchange::Tcp, Exchange::Gloo] {
            let found = workers(world_size, move |rank, store| {
                let group = meet(rank, store, way);
                counts.map(|count| {
                    let mut numbers = numbers(rank, count);
                    group.mean(&mut numbers).unwrap();
                    numbers
                })
            });
            for (at, count) in counts.into_iter().enumerate() {
                let expected = expected(world_size, |rank| numbers(rank, count));
                for (rank, found) in found.iter().enumerate() {
                    let found = &found[at];
                    // gloo adds in an order of its own; the largest numbers are below a million
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 0.5;
                    let is_right = match way {
                        Exchange::Gloo => found.len() == count && found.iter().zip(&expected).all(near),
                        Exchange::Memory | Exchange::Tcp => bits(found) == bits(&expected),
                    };
                    assert!(is_right, "{count} numbers through {way} on worker {rank} of {world_size}");
                }
            }
        }
    }
}

#[test]
fn two_workers_get_the_bits_that_gloo_gives() {
    let means = [Exchange::Memory, Exchange::Tcp, Exchange::Gloo].map(|way| {
        workers(2, move |rank, store| {
            let mut numbers = numbers(rank, 206_922);
            meet(rank, store, way).mean(&mut numbers).unwrap();
            bits(&numbers)
        })
    });
    assert!(means.iter().flatten().all(|found| *found == means[0][0]));
}

#[test]
fn what_is_no_number_passes_through() {
    for way in OWN_WAYS {
        let found = workers(3, move |rank, store| {
            let mut numbers =
                [[f32::INFINITY, f32::NAN, f32::INFINITY, -0.0], [1.0, 1.0, f32::NEG_INFINITY, -0.0], [2.0; 4]][rank];
            numbers[3] = -0.0;
            meet(rank, store, way).mean(&mut numbers).unwrap();
            numbers
        });
        for [infinite, none, opposite, zero] in found {
            assert!(infinite == f32::INFINITY && none.is_nan() && opposite.is_nan(), "{way}");
            assert_eq!(zero.to_bits(), (-0f32).to_bits(), "{way}");
        }
    }
}

/// A worker sleeps after some microseconds; the others come before, while and after it falls asleep.
#[test]
fn whoever_sleeps_is_woken() {
    for way in OWN_WAYS {
        workers(3, move |rank, store| {
            let group = meet(rank, store, way);
            let mut random = fastrand::Rng::with_seed(rank as u64);
            for turn in 0..400 {
                thread::sleep(Duration::from_micros(random.u64(0..500)));
                let mut numbers = [turn as f32; 3];
                group.mean(&mut numbers).unwrap();
                assert_eq!(numbers, [turn as f32; 3], "{way}");
            }
        });
    }
}

/// Why the mean failed.
fn failure(group: &Group, numbers: &mut [f32]) -> String {
    match group.mean(numbers) {
        Err(error @ Error::Collective { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_ends_ends_all_others_and_one_that_has_finished_does_not() {
    for way in OWN_WAYS {
        for world_size in [2, 5] {
            workers(world_size, move |rank, store| {
                let group = meet(rank, store, way);
                let mut numbers = vec![1.0; 300_000];
                group.mean(&mut numbers).unwrap();
                if rank == 1 {
                    return;
                }
                let error = failure(&group, &mut numbers);
                assert!(error.contains("another worker has ended"), "{error}");
                assert!(error.contains("has closed its connection"), "{error}");
                assert_eq!(failure(&group, &mut numbers), error, "it stays so");
            });
        }
    }
}

#[test]
fn a_worker_that_hangs_is_named_after_the_time_limit() {
    for way in OWN_WAYS {
        let failed = Arc::new(Barrier::new(3));
        workers(3, move |rank, store| {
            let group = Group::meet(store, rank, LOOPBACK, Duration::from_millis(300), Some(way)).unwrap();
            if rank != 2 {
                let error = failure(&group, &mut vec![1.0; 300_000]);
                assert!(error.contains("nothing has come from worker 2 for 0.3 s"), "{error}");
            }
            failed.wait();
        });
    }
}

#[test]
fn an_exchange_can_have_a_time_limit_of_its_own() {
    for way in OWN_WAYS {
        let failed = Arc::new(Barrier::new(2));
        workers(2, move |rank, store| {
            let group = meet(rank, store, way);
            if rank == 0 {
                let late = group.mean_within(&mut [1.0; 10], Duration::from_millis(300));
                let error = late.unwrap_err().to_string();
                assert!(error.contains("nothing has come from worker 1 for 0.3 s"), "{error}");
            }
            failed.wait();
        });
    }
}

#[test]
fn workers_that_exchange_different_numbers_are_told_so() {
    for way in OWN_WAYS {
        let failed = Arc::new(Barrier::new(2));
        workers(2, move |rank, store| {
            let group = meet(rank, store, way);
            let error = failure(&group, &mut vec![1.0; 10 + rank]);
            failed.wait();
            assert!(error.contains("10 numbers") || error.contains("this one 1"), "{error}");
        });
    }
}

#[test]
fn workers_with_different_settings_do_not_begin() {
    let errors = workers(2, |rank, store| {
        let wish = [Some(Exchange::Tcp), None][rank];
        Group::meet(store, rank, LOOPBACK, SOON, wish).unwrap_err().to_string()
    });
    // worker 1 says the same, unless the store of worker 0 has ended before
    assert!(errors[0].contains("tcp on worker 0") && errors[0].contains("none on worker 1"), "{errors:?}");
}

#[test]
fn workers_of_one_machine_choose_memory() {
    let chosen = workers(2, |rank, store| Group::meet(store, rank, LOOPBACK, SOON, None).unwrap().exchange());
    let fastest = if cfg!(target_os = "linux") { Exchange::Memory } else { Exchange::Tcp };
    assert_eq!(chosen, [fastest; 2]);
}

#[test]
fn addresses_may_be_of_version_6() {
    let means = workers(3, |rank, store| {
        let group = Group::meet(store, rank, IpAddr::V6(Ipv6Addr::LOCALHOST), SOON, Some(Exchange::Tcp)).unwrap();
        let mut numbers = vec![rank as f32; 10];
        group.mean(&mut numbers).unwrap();
        numbers
    });
    assert!(means.iter().flatten().all(|mean| *mean == 1.0));
}

#[cfg(target_os = "linux")]
mod killed {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, ChildStdout, Command, Stdio};

    use super::*;

    /// What a worker's process is told, as `rank world_size port way`.
    const TOLD: &str = "C10D_TEST_WORKER";

    /// A process that is ended with the test.
    struct Process(Child);

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn start(rank: usize, world_size: usize, port: u16, way: Exchange) -> (Process, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "killed::worker"])
            .env(TOLD, format!("{rank} {world_size} {port} {way}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (Process(child), output)
    }

    /// Reads until a line that says this, and returns the rest of it.
    fn hear(output: &mut BufReader<ChildStdout>, what: &str) -> String {
        let said =
            output.lines().map(Result::unwrap).find_map(|line| line.split_once(what).map(|(_, rest)| rest.to_owned()));
        said.unwrap_or_else(|| panic!("no {what:?} was said"))
    }

    #[test]
    #[ignore = "one worker, which another test starts as a process of its own"]
    fn worker() {
        let told = std::env::var(TOLD).unwrap();
        let [rank, world_size, port, way] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
        let (rank, world_size) = (rank.parse().unwrap(), world_size.parse().unwrap());
        let store = store(rank, world_size, port.parse().unwrap()).unwrap();
        println!("\nport {}", store.port());
        let group = meet(rank, store, way.parse().unwrap());
        println!("\nmet");
        let mut turn = 0;
        loop {
            turn += 1;
            let mut numbers = numbers(rank, fastrand::Rng::with_seed(turn).usize(1..400_000));
            if let Err(error) = group.mean(&mut numbers) {
                println!("\nfailed {error}");
                // as a program that ends for this reason, without the destructors of libtorch's globals
                slipway_c10d::exit_at_once(0);
            }
        }
    }

    #[test]
    fn whoever_is_killed_at_any_moment_ends_all_others() {
        let mut random = fastrand::Rng::new();
        for (way, world_size) in [
            (Exchange::Memory, 2),
            (Exchange::Tcp, 2),
            (Exchange::Memory, 3),
            (Exchange::Tcp, 4),
            (Exchange::Memory, 8),
            (Exchange::Tcp, 8),
        ] {
            let mut all = vec![start(0, world_size, 0, way)];
            let port = hear(&mut all[0].1, "port ").parse().unwrap();
            all.extend((1..world_size).map(|rank| start(rank, world_size, port, way)));
            all.iter_mut().for_each(|(_, output)| drop(hear(output, "met")));
            let (seed, victim, moment) = (random.get_seed(), random.usize(0..world_size), random.u64(0..150_000));
            println!("{way}: worker {victim} of {world_size} is killed after {moment} µs (seed {seed})");
            thread::sleep(Duration::from_micros(moment));
            let (mut killed, mut rest) = all.remove(victim);
            assert!(killed.0.try_wait().unwrap().is_none(), "it has ended before it was killed");
            drop(killed);
            let mut said = String::new();
            rest.read_to_string(&mut said).unwrap();
            assert!(!said.contains("failed"), "{said}");
            for (process, output) in &mut all {
                // the test's own time limit is the runner's: without an error, this waits for ever
                let reason = hear(output, "failed ");
                assert!(reason.contains("another worker has ended"), "{reason}");
                assert!(process.0.wait().unwrap().success());
            }
        }
    }
}

#[test]
fn everybody_gets_the_bytes_of_rank_0_however_many() {
    for world_size in [2, 3] {
        let found = workers(world_size, |rank, store| {
            let group = meet(rank, store, Exchange::Memory);
            [0, 1, 100_003].map(|count: usize| {
                let own = if rank == 0 { count } else { 7 * rank };
                group.share((0..own).map(|at| (at * 31 + rank) as u8).collect()).unwrap()
            })
        });
        for shared in &found {
            assert_eq!(shared, &found[0]);
            assert_eq!(shared.each_ref().map(Vec::len), [0, 1, 100_003]);
            assert!(shared[2].iter().enumerate().all(|(at, byte)| *byte == (at * 31) as u8));
        }
    }
}
