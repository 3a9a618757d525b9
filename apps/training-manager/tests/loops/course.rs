//! The course of two trainings, for tests in which managers are killed meanwhile.

use slipway_mlflow::Run;

use crate::clock::until;
use crate::world::{DATA, World};

/// At which kill what happens.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) created: usize,
    pub(crate) running: usize,
    pub(crate) finished: [usize; 2],
    /// Every so many kills, at this remainder, somebody commits to main.
    pub(crate) commits: (usize, usize),
}

/// Two trainings of a pull request that is merged.
pub(crate) struct Course {
    times: Times,
    number: u64,
    jobs: Vec<String>,
    runs: Vec<Run>,
}

impl Course {
    pub(crate) async fn new(world: &World, times: Times) -> Self {
        let (number, jobs) = world.merge("local").await;
        Self { times, number, jobs, runs: Vec::new() }
    }

    /// What happens before this kill.
    pub(crate) async fn go_on(&mut self, world: &World, kill: usize) {
        let Self { times, jobs, runs, .. } = self;
        let (every, rest) = times.commits;
        if kill == times.created {
            jobs.iter().for_each(|job| world.create(job));
        } else if kill == times.running {
            for job in jobs {
                runs.push(world.run(job).await);
            }
        } else if kill == times.finished[0] {
            world.finish(&jobs[0], &runs[0], 0.97, DATA).await;
        } else if kill == times.finished[1] {
            world.finish(&jobs[1], &runs[1], 0.96, DATA).await;
        } else if kill % every == rest {
            // so that a promotion that was forgotten would get another branch
            world.push("experiments/README.md", Some(&format!("{kill}\n")));
        }
    }

    /// Waits until the promotion is open and everything is reported.
    pub(crate) async fn ends(&self, world: &World) {
        until("the promotion", async || !world.promotions().await.is_empty()).await;
        let promotion = world.promotions().await[0].number;
        let report = world.reported(self.number, &format!("promotion `#{promotion}`")).await;
        assert!(report.contains("2 trials finished"), "{report}");
    }
}
