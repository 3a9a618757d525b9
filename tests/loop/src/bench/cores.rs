//! Cores of their own for what is measured and for what measures it.

use anyhow::Result;

/// Two cores that this process may use; `None` if there is only one, or the system does not say.
#[cfg(target_os = "linux")]
pub fn two() -> Result<Option<[usize; 2]>> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    Ok(cores.next().zip(cores.next()).map(|(one, other)| [one, other]))
}

/// Keeps this thread, and what it starts from now on, on one core.
#[cfg(target_os = "linux")]
pub fn stay_on(core: usize) -> Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// Two cores that this process may use; `None` if there is only one, or the system does not say.
#[cfg(not(target_os = "linux"))]
pub fn two() -> Result<Option<[usize; 2]>> {
    Ok(None)
}

/// Keeps this thread, and what it starts from now on, on one core.
#[cfg(not(target_os = "linux"))]
pub fn stay_on(_: usize) -> Result<()> {
    anyhow::bail!("this system ties no thread to a core")
}
