//! Ranks as threads of one process, for tests, and for one process that uses several devices.
//!
//! Each rank takes the sums itself in the order of the ranks, so that all have the same bits.

use crate::{Communicator, Error};
use std::fmt;
use std::ops::AddAssign;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Contribution of a rank to a meeting.
#[derive(Clone, Debug)]
enum Brought {
    Numbers(Vec<f32>),
    Wide(Vec<f64>),
    Bytes(Vec<u8>),
}

impl Brought {
    fn said(&self) -> String {
        match self {
            Self::Numbers(values) => format!("{} numbers", values.len()),
            Self::Wide(values) => format!("{} numbers in double precision", values.len()),
            // Ranks may contribute different numbers of bytes.
            Self::Bytes(_) => "bytes".into(),
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        if let Self::Bytes(bytes) = self { Some(bytes.clone()) } else { None }
    }
}

/// Meeting point of the ranks.
#[derive(Default)]
struct Meeting {
    /// Number of completed meetings.
    held: u64,
    brought: Vec<Option<Brought>>,
    /// Contributions to the last meeting.
    together: Arc<Vec<Brought>>,
    /// Rank that is gone.
    gone: Option<usize>,
}

#[derive(Default)]
struct Place {
    meeting: Mutex<Meeting>,
    changed: Condvar,
}

/// Rank that is a thread.
pub struct Threads {
    rank: usize,
    size: usize,
    place: Arc<Place>,
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
    let ranks = Threads::team(size);
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
    pub fn team(size: usize) -> Vec<Self> {
        let place = Arc::new(Place::default());
        place.lock().brought = vec![None; size];
        (0..size).map(|rank| Self { rank, size, place: Arc::clone(&place) }).collect()
    }

    /// Waits for all ranks, and returns their contributions.
    fn meet(&self, mine: Brought) -> Result<Arc<Vec<Brought>>, Error> {
        let mut meeting = self.place.lock();
        let held = meeting.held;
        meeting.brought[self.rank] = Some(mine);
        if meeting.brought.iter().all(Option::is_some) {
            let together = meeting.brought.iter_mut().filter_map(Option::take).collect();
            (meeting.together, meeting.held) = (Arc::new(together), held + 1);
            self.place.changed.notify_all();
        }
        while meeting.held == held {
            if let Some(rank) = meeting.gone {
                return Err(Error::Lost { rank, size: self.size });
            }
            meeting = self.place.changed.wait(meeting).unwrap_or_else(|e| e.into_inner());
        }
        let together = Arc::clone(&meeting.together);
        drop(meeting);
        let expected = together[0].said();
        match together.iter().position(|brought| brought.said() != expected) {
            Some(rank) => Err(Error::Differ { rank, found: together[rank].said(), expected }),
            None => Ok(together),
        }
    }
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Meeting> {
        self.meeting.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.place.lock().gone.get_or_insert(self.rank);
        self.place.changed.notify_all();
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
        let together = self.meet(Brought::Numbers(values.to_vec()))?;
        add(
            values,
            together.iter().filter_map(|brought| if let Brought::Numbers(v) = brought { Some(v) } else { None }),
        );
        Ok(())
    }

    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error> {
        let together = self.meet(Brought::Wide(values.to_vec()))?;
        add(values, together.iter().filter_map(|brought| if let Brought::Wide(v) = brought { Some(v) } else { None }));
        Ok(())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let together = self.meet(Brought::Bytes(bytes.to_vec()))?;
        let wanted = if self.rank == 0 { self.size } else { 0 };
        Ok(together.iter().take(wanted).filter_map(Brought::bytes).collect())
    }

    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mine: &[u8] = if self.rank == 0 { bytes } else { &[] };
        let together = self.meet(Brought::Bytes(mine.to_vec()))?;
        Ok(together[0].bytes().unwrap_or_default())
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
    fn ranks_that_do_not_do_the_same_are_told() {
        let found = run(2, |team| {
            let mut values = vec![0.0; 2 + team.rank()];
            Ok::<_, Error>(team.sum(&mut values).unwrap_err().to_string())
        });
        assert!(found.unwrap()[0].contains("rank 1 came with 3 numbers, rank 0 with 2 numbers"));
    }
}
