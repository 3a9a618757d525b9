//! The same work on many things, by all processors.

use std::panic::resume_unwind;

/// Fewer things than this are not worth a thread.
const FEW: usize = 256;

/// What `work` makes of each thing, in their order.
pub(crate) fn in_parallel<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let share = things.len().div_ceil(processors).max(FEW);
    if things.len() <= share {
        return things.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            things.chunks(share).map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Vec<R>>())).collect();
        // a panic here is one of this program: it goes on in the caller
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_stays() {
        for length in [0, 1, FEW, FEW + 1, 10 * FEW + 7] {
            let things: Vec<usize> = (0..length).collect();
            assert_eq!(in_parallel(&things, |thing| thing * 2), things.iter().map(|one| one * 2).collect::<Vec<_>>());
        }
    }
}
