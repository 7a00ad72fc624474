//! Ranks as threads of one process, for tests, and for one process that uses several devices.
//!
//! Each rank takes the sums itself in the order of the ranks, so that all have the same bits.

use crate::{Communicator, Error};
use std::fmt;
use std::ops::AddAssign;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What a rank contributes to a call.
#[derive(Clone, Debug)]
enum Contribution {
    Numbers(Vec<f32>),
    Wide(Vec<f64>),
    Bytes(Vec<u8>),
}

impl Contribution {
    fn describe(&self) -> String {
        match self {
            Self::Numbers(values) => format!("{} numbers", values.len()),
            Self::Wide(values) => format!("{} numbers in double precision", values.len()),
            // Ranks may contribute different numbers of bytes.
            Self::Bytes(_) => "bytes".into(),
        }
    }

    fn bytes(&self) -> Option<&Vec<u8>> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// The call that the ranks wait in for each other.
#[derive(Default)]
struct Call {
    /// Number of completed calls.
    completed: u64,
    contributions: Vec<Option<Contribution>>,
    /// Contributions to the last completed call.
    last: Arc<Vec<Contribution>>,
    /// Rank that is gone.
    gone: Option<usize>,
}

#[derive(Default)]
struct Shared {
    call: Mutex<Call>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Rank that is a thread.
struct Threads {
    rank: usize,
    size: usize,
    shared: Arc<Shared>,
}

/// Runs `work` as each of `size` ranks, each in its own thread, and returns the results. If `work` computes in parallel, each rank needs
/// its own pool (`rayon::ThreadPool::install`), because ranks that wait for each other would block a shared one.
///
/// # Errors
/// The error of the first rank, in their order, that has one.
///
/// # Panics
/// If a rank panics.
pub fn run<R: Send, E: From<Error> + Send>(
    size: usize,
    work: impl Fn(Arc<dyn Communicator>) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let ranks = Threads::group(size);
    let ended: Vec<Result<R, E>> = std::thread::scope(|scope| {
        let start = |rank: Threads| {
            let work = &work;
            scope.spawn(move || work(Arc::new(rank)))
        };
        let threads: Vec<_> = ranks.into_iter().map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
            .collect()
    });
    ended.into_iter().collect()
}

impl Threads {
    /// Returns all ranks of a process group of `size`.
    fn group(size: usize) -> Vec<Self> {
        let shared = Arc::new(Shared::default());
        shared.lock().contributions = vec![None; size];
        (0..size).map(|rank| Self { rank, size, shared: Arc::clone(&shared) }).collect()
    }

    /// Waits for all ranks, and returns their contributions.
    fn meet(&self, mine: Contribution) -> Result<Arc<Vec<Contribution>>, Error> {
        let mut call = self.shared.lock();
        let completed = call.completed;
        call.contributions[self.rank] = Some(mine);
        if call.contributions.iter().all(Option::is_some) {
            call.last = Arc::new(call.contributions.iter_mut().filter_map(Option::take).collect());
            call.completed += 1;
            self.shared.changed.notify_all();
        }
        while call.completed == completed {
            if let Some(rank) = call.gone {
                return Err(Error::Lost { rank, size: self.size });
            }
            call = self.shared.changed.wait(call).unwrap_or_else(|e| e.into_inner());
        }
        let all = Arc::clone(&call.last);
        drop(call);
        let expected = all[0].describe();
        match all.iter().position(|contribution| contribution.describe() != expected) {
            Some(rank) => Err(Error::Differ { rank, found: all[rank].describe(), expected }),
            None => Ok(all),
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.lock().gone.get_or_insert(self.rank);
        self.shared.changed.notify_all();
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), Error> {
        let all = self.meet(Contribution::Numbers(values.to_vec()))?;
        add(values, all.iter().filter_map(|one| if let Contribution::Numbers(v) = one { Some(v) } else { None }));
        Ok(())
    }

    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error> {
        let all = self.meet(Contribution::Wide(values.to_vec()))?;
        add(values, all.iter().filter_map(|one| if let Contribution::Wide(v) = one { Some(v) } else { None }));
        Ok(())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let all = self.meet(Contribution::Bytes(bytes.to_vec()))?;
        let wanted = if self.rank == 0 { self.size } else { 0 };
        Ok(all.iter().take(wanted).filter_map(Contribution::bytes).cloned().collect())
    }

    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mine = if self.rank == 0 { bytes.to_vec() } else { vec![] };
        let all = self.meet(Contribution::Bytes(mine))?;
        Ok(all[0].bytes().cloned().unwrap_or_default())
    }
}

/// Replaces `values` by the sums of all ranks.
fn add<'a, T: Copy + Default + AddAssign + 'a>(values: &mut [T], all: impl Iterator<Item = &'a Vec<T>>) {
    values.fill(T::default());
    all.for_each(|theirs| values.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += *value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sums_in_a_row_are_right_on_every_rank() {
        let sums = run(4, |team| {
            (0..500)
                .map(|round| {
                    let mut values = [(team.rank() * round) as f64, 1.0];
                    team.sum_wide(&mut values)?;
                    Ok::<_, Error>(values)
                })
                .collect::<Result<Vec<_>, _>>()
        });
        for rank in sums.unwrap() {
            assert!(rank.iter().enumerate().all(|(round, values)| *values == [(6 * round) as f64, 4.0]));
        }
    }

    #[test]
    fn bytes_come_in_the_order_of_the_ranks_and_from_the_first() {
        let found = run(3, |team| {
            let mine = vec![team.rank() as u8; team.rank() + 1];
            Ok::<_, Error>((team.gather(&mine)?, team.broadcast(&mine)?))
        });
        let all = vec![vec![0], vec![1, 1], vec![2, 2, 2]];
        let found = found.unwrap();
        assert!(found.iter().all(|(_, first)| *first == [0]));
        assert!(found[0].0 == all && found[1..].iter().all(|(gathered, _)| gathered.is_empty()));
    }

    #[test]
    fn a_rank_that_ends_is_named_to_the_others() {
        let found = run(3, |team| {
            if team.rank() == 1 {
                return Ok::<_, Error>(None);
            }
            Ok(Some(team.sum(&mut [0.0]).unwrap_err()))
        });
        let lost = Error::Lost { rank: 1, size: 3 };
        assert_eq!(found.unwrap(), [Some(lost.clone()), None, Some(lost)]);
    }

    #[test]
    fn ranks_in_different_operations_get_an_error() {
        let found = run(2, |team| {
            let mut values = vec![0.0; 2 + team.rank()];
            Ok::<_, Error>(team.sum(&mut values).unwrap_err().to_string())
        });
        assert!(found.unwrap()[0].contains("rank 1 came with 3 numbers, rank 0 with 2 numbers"));
    }
}
