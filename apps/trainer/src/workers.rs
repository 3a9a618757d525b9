//! The workers of one job, and the operations that they do together.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use slipway_c10d::{Exchange, Group, Op, Parameters, Store, StoreConfig};
use slipway_job::{Environment, rendezvous};
use tch::{Kind, Tensor};

use crate::failure::{Failure, Result};

/// How long one collective operation may take before a hanging worker ends the job. A worker that dies ends it at once.
pub(crate) const COLLECTIVE_TIMEOUT: Duration = Duration::from_secs(300);
/// The least time for connecting to the store, however long finding rank 0 took.
const MIN_STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Says how gradients travel, instead of the fastest way that is possible.
const EXCHANGE: &str = "SLIPWAY_EXCHANGE";

/// This worker's view of all workers of a job; a single worker has no group.
#[derive(Debug)]
pub(crate) struct Workers {
    pub(crate) rank: usize,
    pub(crate) world_size: usize,
    pub(crate) group: Option<Group>,
    /// Where rank 0 listens for as long as it lives; `None` for a single worker.
    pub(crate) rank_0: Option<SocketAddr>,
}

impl Workers {
    /// Waits until all workers have met.
    pub(crate) fn meet(environment: &Environment) -> Result<Self> {
        let membership = &environment.membership;
        let (rank, world_size) = (membership.rank, membership.world_size);
        if world_size == 1 {
            return Ok(Self { rank, world_size, group: None, rank_0: None });
        }
        let exchange = exchange()?;
        let begun = Instant::now();
        let meeting = rendezvous::find(membership, environment.rendezvous_timeout)?;
        let store = Store::tcp(StoreConfig {
            host: meeting.master.ip().to_string(),
            port: membership.master_port,
            serve: rank == 0,
            world_size,
            wait_for_workers: true,
            timeout: environment.rendezvous_timeout.saturating_sub(begun.elapsed()).max(MIN_STORE_TIMEOUT),
        })?;
        let group = Group::meet(store, rank, meeting.own, COLLECTIVE_TIMEOUT, exchange)?;
        tracing::info!(event = "connected", exchange = %group.exchange());
        Ok(Self { rank, world_size, group: Some(group), rank_0: Some(meeting.master) })
    }

    /// Whether this worker is rank 0, which alone logs and registers.
    pub(crate) fn leads(&self) -> bool {
        self.rank == 0
    }

    /// Gives all workers the parameters that rank 0 has.
    pub(crate) fn start_alike(&self, parameters: &mut Parameters) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        Ok(parameters.share(group)?)
    }

    /// Averages the gradients of all workers, and their losses, whose mean is the result. A worker from which nothing comes for as long as the limit
    /// hangs.
    pub(crate) fn average(&self, parameters: &mut Parameters, loss: f64, limit: Duration) -> Result<f64> {
        let Some(group) = &self.group else { return Ok(loss) };
        // libtorch's own loss is a float
        Ok(f64::from(parameters.average(group, loss as f32, limit)?))
    }

    /// The bytes that rank 0 has.
    pub(crate) fn share(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Some(group) = &self.group else { return Ok(bytes) };
        Ok(group.share(bytes)?)
    }

    /// The number that rank 0 has. It is exact up to 2^53.
    pub(crate) fn of_rank_0(&self, number: i64) -> Result<i64> {
        let number = if self.leads() { number as f64 } else { 0.0 };
        Ok(self.sum(&[number])?[0] as i64)
    }

    /// Sums the numbers of all workers, element by element.
    pub(crate) fn sum(&self, numbers: &[f64]) -> Result<Vec<f64>> {
        let Some(group) = &self.group else { return Ok(numbers.to_vec()) };
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let mut tensor = Tensor::f_from_slice(numbers)?.f_to_kind(Kind::Double)?;
        group.all_reduce(&mut tensor, Op::Sum)?;
        Ok(Vec::<f64>::try_from(&tensor)?)
    }

    /// This worker's contiguous part of `count` items.
    pub(crate) fn part(&self, count: usize) -> std::ops::Range<usize> {
        self.rank * count / self.world_size..(self.rank + 1) * count / self.world_size
    }
}

fn exchange() -> Result<Option<Exchange>> {
    let Some(word) = std::env::var_os(EXCHANGE) else { return Ok(None) };
    let exchange = word.to_string_lossy().parse();
    exchange.map(Some).map_err(|error: slipway_c10d::Error| Failure::Input(format!("{EXCHANGE}: {error}")))
}
