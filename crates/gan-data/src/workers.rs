//! Threads that make batches ahead of time.
//!
//! Of n threads, thread i makes the batches b with b mod n = i and hands them over in its own bounded channel. The
//! order of the batches is thereby fixed by arithmetic; which thread is faster does not matter.

use crate::Error;
use crate::collator::{Batch, Collator};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

/// How many finished batches wait in each thread's channel at most; one more may be in the making.
const AHEAD: usize = 2;

/// The running threads. Dropping them stops and joins them.
pub(crate) struct Workers {
    threads: Vec<Worker>,
    stop: Arc<AtomicBool>,
}

struct Worker {
    batches: Receiver<Result<Batch, Error>>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts `count` threads that make batch `start` and all that follow.
    pub(crate) fn start(collator: &Collator, count: usize, start: u64) -> Result<Self, Error> {
        let mut workers = Self { threads: Vec::with_capacity(count), stop: Arc::default() };
        for number in 0..count {
            let first = first_batch(number as u64, count as u64, start);
            let worker = Worker::spawn(collator.clone(), first, count, Arc::clone(&workers.stop));
            workers.threads.push(worker?);
        }
        Ok(workers)
    }

    /// Batch `number`, waiting until it is made. Must be called with every number from `start` on, in order, and no
    /// more after an error.
    pub(crate) fn take(&mut self, number: u64) -> Result<Batch, Error> {
        let at = (number % self.threads.len() as u64) as usize;
        self.threads[at].batches.recv().unwrap_or_else(|_| {
            let message = self.threads.swap_remove(at).thread.join().map_or_else(panic_message, |()| "it ended".into());
            Err(Error::Worker { batch: number, message })
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // All channels close before the first join: a thread that waits for room in one goes on and ends.
        let threads: Vec<JoinHandle<()>> = self.threads.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A thread that panicked has nothing more to say here.
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn spawn(collator: Collator, first: u64, count: usize, stop: Arc<AtomicBool>) -> Result<Self, Error> {
        let (sender, batches) = sync_channel(AHEAD);
        let numbers = (first..).step_by(count);
        let thread = Builder::new()
            .name("gan-data".into())
            .spawn(move || work(collator, numbers, &stop, &sender))
            .map_err(|cause| Error::Worker { batch: first, message: format!("it could not start ({cause})") })?;
        Ok(Self { batches, thread })
    }
}

/// Makes batches until the first error or until nobody wants them any more.
fn work(
    mut collator: Collator,
    numbers: impl Iterator<Item = u64>,
    stop: &AtomicBool,
    sender: &SyncSender<Result<Batch, Error>>,
) {
    for number in numbers {
        let made = collator.collate(number, stop);
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            return;
        }
    }
}

/// The first batch from `start` on that thread `worker` of `count` makes.
fn first_batch(worker: u64, count: u64, start: u64) -> u64 {
    start.saturating_add((worker + count - start % count) % count)
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_from_the_start_on_has_one_thread() {
        for (count, start) in [(1, 0), (3, 0), (4, 7), (5, 10), (7, 1_000_003)] {
            let mut first: Vec<u64> = (0..count).map(|worker| first_batch(worker, count, start)).collect();
            assert!(first.iter().zip(0..).all(|(b, worker)| b % count == worker));
            first.sort_unstable();
            assert!(first.into_iter().eq(start..start + count));
        }
    }
}
