//! Batches one after the other, endlessly, made ahead of time by threads.

use crate::collator::{Batch, Collator, Flip};
use crate::workers::Workers;
use crate::{Dataset, Error, LastBatch, Order, Position, ProcessShard, Sampler, Sampling};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The most threads that a loader starts.
pub const MOST_WORKERS: usize = 256;

/// Gives the batches of a data set in the sampler's order, epoch after epoch.
///
/// The batches are the same for every number of threads. The position counts the batches handed out, never those
/// made ahead. Up to three batches a thread are in memory.
pub struct Loader {
    collator: Collator,
    workers: usize,
    /// Started by the first batch; stopped by a seek or an error.
    running: Option<Workers>,
    next: u64,
}

impl Loader {
    /// A loader that starts at batch 0 with `workers` threads; with 0 the calling thread makes each batch itself.
    ///
    /// # Errors
    /// [`Error::Setting`] where the sampler was made for another number of images, or for more than
    /// [`MOST_WORKERS`] threads.
    pub fn new(dataset: Arc<dyn Dataset>, sampler: Sampler, workers: usize) -> Result<Self, Error> {
        let (len, wanted) = (sampler.sampling().len, dataset.len());
        if len != wanted {
            return Err(setting("number of images to sample from", len, format!("{wanted}, as the data set has")));
        }
        if workers > MOST_WORKERS {
            return Err(setting("number of loader threads", workers, format!("0 to {MOST_WORKERS}")));
        }
        Ok(Self {
            collator: Collator { dataset, sampler, flip: Flip::Never, shard: ProcessShard::WHOLE },
            workers,
            running: None,
            next: 0,
        })
    }

    /// A loader that goes through all samples in a new random order each epoch, in batches of `batch`, which one thread makes ahead
    /// of time.
    ///
    /// # Errors
    /// [`Error::Setting`] where `batch` is 0 or larger than the data set.
    pub fn shuffled(dataset: Arc<dyn Dataset>, batch: usize, seed: u64) -> Result<Self, Error> {
        let len = dataset.len();
        let sampling = Sampling { len, batch, seed, order: Order::Shuffled, last: LastBatch::Keep };
        Self::new(dataset, Sampler::new(sampling)?, 1)
    }

    /// The same loader, mirroring images or not.
    #[must_use]
    pub fn with_flip(mut self, flip: Flip) -> Self {
        self.collator.flip = flip;
        self.running = None;
        self
    }

    /// The same loader, reading one part of each batch: the others are other processes'.
    #[must_use]
    pub fn with_shard(mut self, shard: ProcessShard) -> Self {
        self.collator.shard = shard;
        self.running = None;
        self
    }

    /// The next batch: `[N, C, H, W]`, waiting for it where it is not ready.
    ///
    /// # Errors
    /// Whatever reading an image brings, and [`Error::Worker`] where a thread could not start or panicked. The
    /// position then stays: asking again makes the same batch again. (With 0 threads a data set's panic is the
    /// caller's.)
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

    /// How many batches were handed out, for a checkpoint.
    pub fn position(&self) -> Position {
        Position { batch: self.next, sampling: *self.collator.sampler.sampling() }
    }

    /// Goes to `position`, forward or back: the next batch is the one that came next when it was taken.
    ///
    /// # Errors
    /// [`Error::Resume`] where the position was taken on other data or in another order; the loader then stays where
    /// it is.
    pub fn seek(&mut self, position: &Position) -> Result<(), Error> {
        self.collator.sampler.check(position)?;
        self.running = None;
        self.next = position.batch;
        Ok(())
    }

    /// Batch 0, made anew, all of it; the loader stays where it is.
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

    /// How many batches make an epoch: at least 1.
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

fn setting(key: &'static str, found: usize, expected: String) -> Error {
    Error::Setting { key, found: found.to_string(), expected, advice: "choose another number".into() }
}

#[cfg(test)]
mod tests;
