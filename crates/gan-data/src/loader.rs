//! An endless sequence of batches, made ahead of time by threads.

use crate::collator::{Batch, Collator};
use crate::{Dataset, Error, LastBatch, Order, Position, ProcessShard, Sampler, Sampling};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// The most threads that a loader starts.
const MOST_WORKERS: usize = 256;

/// Number of finished batches that wait in each thread's channel at most; the thread may be making one more.
const AHEAD: usize = 2;

/// Yields the batches of a data set in the sampler's order, epoch after epoch.
///
/// The batches are the same for every number of threads. The position counts the batches that were returned, not those made
/// ahead. Each thread holds up to three batches in memory.
pub struct Loader {
    collator: Collator,
    workers: usize,
    /// Started by the first batch; stopped by a seek or an error.
    running: Option<Workers>,
    next: u64,
}

impl Loader {
    /// A loader that starts at batch 0 with `workers` threads, at most 256; with 0 the calling thread makes each batch itself.
    ///
    /// # Errors
    /// [`Error::Setting`] if the sampler was made for another number of images, or there are too many threads.
    pub fn new(dataset: Arc<dyn Dataset>, sampler: Sampler, workers: usize) -> Result<Self, Error> {
        let setting = |key, found, expected| Error::setting(key, found, expected, "choose another number");
        let len = sampler.sampling().len;
        if len != dataset.len() {
            let expected = format!("{}, as the data set has", dataset.len());
            return Err(setting("number of images to sample from", len, expected));
        }
        if workers > MOST_WORKERS {
            return Err(setting("number of loader threads", workers, format!("0 to {MOST_WORKERS}")));
        }
        let collator = Collator { dataset, sampler, flip: false, shard: ProcessShard::WHOLE };
        Ok(Self { collator, workers, running: None, next: 0 })
    }

    /// A loader that goes through all samples in a new random order each epoch, in batches of `batch`, which one thread makes ahead
    /// of time.
    ///
    /// # Errors
    /// [`Error::Setting`] if `batch` is 0 or larger than the data set.
    pub fn shuffled(dataset: Arc<dyn Dataset>, batch: usize, seed: u64) -> Result<Self, Error> {
        let len = dataset.len();
        let sampling = Sampling { len, batch, seed, order: Order::Shuffled, last: LastBatch::Keep };
        Self::new(dataset, Sampler::new(sampling)?, 1)
    }

    /// The same loader; with `flip`, each image is mirrored with probability ½, which depends only on the seed, the batch's number and
    /// the image's place in the batch. Points are never mirrored.
    #[must_use]
    pub fn with_flip(mut self, flip: bool) -> Self {
        self.collator.flip = flip;
        self.running = None;
        self
    }

    /// The same loader, reading only one process's part of each batch.
    #[must_use]
    pub fn with_shard(mut self, shard: ProcessShard) -> Self {
        self.collator.shard = shard;
        self.running = None;
        self
    }

    /// Returns the next batch, waiting until it is ready.
    ///
    /// # Errors
    /// Whatever reading an image brings, and [`Error::Worker`] if a thread could not start or panicked. The
    /// position then stays: the next call makes the same batch again. (With 0 threads, a data set's panic reaches the caller.)
    pub fn next_batch(&mut self) -> Result<Batch, Error> {
        let batch = match self.workers {
            0 => self.collator.collate(self.next, &AtomicBool::new(false))?,
            _ => self.prefetched()?,
        };
        self.next = self.next.saturating_add(1);
        Ok(batch)
    }

    fn prefetched(&mut self) -> Result<Batch, Error> {
        let mut workers = match self.running.take() {
            Some(workers) => workers,
            None => Workers::start(&self.collator, self.workers, self.next)?,
        };
        let batch = workers.take(self.next)?; // an error drops the threads, and the next call starts afresh
        self.running = Some(workers);
        Ok(batch)
    }

    /// The number of batches returned so far, for a checkpoint.
    pub fn position(&self) -> Position {
        Position { batch: self.next, sampling: *self.collator.sampler.sampling() }
    }

    /// Goes to `position`, forward or back.
    ///
    /// # Errors
    /// [`Error::Resume`] if the position belongs to other data or another order; the loader then stays where it is.
    pub fn seek(&mut self, position: &Position) -> Result<(), Error> {
        self.collator.sampler.check(position)?;
        self.running = None;
        self.next = position.batch;
        Ok(())
    }

    /// Makes the whole batch 0 again; the loader stays where it is.
    ///
    /// # Errors
    /// Whatever reading the images brings.
    pub fn first_batch(&self) -> Result<Batch, Error> {
        Collator { shard: ProcessShard::WHOLE, ..self.collator.clone() }.collate(0, &AtomicBool::new(false))
    }

    /// The data set.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.collator.dataset
    }

    /// Number of batches in an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> u64 {
        self.collator.sampler.batches_per_epoch()
    }
}

/// Endless: never `None`.
impl Iterator for Loader {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_batch())
    }
}

/// Threads that make batches ahead of time. Dropping them stops and joins them.
///
/// Of n threads, thread i makes every n-th batch from number `start` + i on and sends them through its own bounded channel, so the batches'
/// order does not depend on which thread is faster.
struct Workers {
    start: u64,
    threads: Vec<Worker>,
    stop: Arc<AtomicBool>,
}

struct Worker {
    batches: Receiver<Result<Batch, Error>>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts `count` threads that make batch `start` and all that follow.
    fn start(collator: &Collator, count: usize, start: u64) -> Result<Self, Error> {
        let mut workers = Self { start, threads: Vec::with_capacity(count), stop: Arc::default() };
        for first in (0..count as u64).map(|thread| start.saturating_add(thread)) {
            let mut collator = collator.clone();
            let stop = Arc::clone(&workers.stop);
            let (sender, batches) = sync_channel(AHEAD);
            // Makes batches until the first error or until nobody wants them any more.
            let work = move || {
                for number in (first..).step_by(count) {
                    let batch = collator.collate(number, &stop);
                    let failed = batch.is_err();
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            };
            let thread = Builder::new().name("gan-data".into()).spawn(work);
            let thread = thread.map_err(|cause| Error::worker(first, format!("it could not start ({cause})")))?;
            workers.threads.push(Worker { batches, thread });
        }
        Ok(workers)
    }

    /// Returns batch `number`, waiting until it is made. Must be called with every number from `start` on, in order, and not
    /// again after an error.
    fn take(&mut self, number: u64) -> Result<Batch, Error> {
        let at = ((number - self.start) % self.threads.len() as u64) as usize;
        self.threads[at].batches.recv().unwrap_or_else(|_| {
            let message = self.threads.swap_remove(at).thread.join().map_or_else(panic_message, |()| "it ended".into());
            Err(Error::worker(number, message))
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // All channels close before the first join: a thread that waits for room in one goes on and ends.
        let threads: Vec<JoinHandle<()>> = self.threads.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // The panic of a thread was reported by `take`.
            let _ = thread.join();
        }
    }
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a message"))
}

#[cfg(test)]
mod tests;
