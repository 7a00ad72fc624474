//! An endless sequence of batches, made ahead of time by threads.

use crate::collator::{Batch, Collator};
use crate::ordered::OrderedThreads;
use crate::{Dataset, Error, LastBatch, Order, Position, ProcessShard, Sampler, Sampling};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The most threads that a loader starts.
const MOST_WORKERS: usize = 256;

/// Yields the batches of a data set in the sampler's order, epoch after epoch.
///
/// The batches are the same for every number of threads. The position counts the batches that were returned, not those made
/// ahead. Each thread holds up to three batches in memory.
pub struct Loader {
    collator: Collator,
    workers: usize,
    /// Started by the first batch; stopped by a seek or an error.
    running: Option<OrderedThreads<Batch>>,
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
        let mut threads = match self.running.take() {
            Some(threads) => threads,
            None => {
                let mut collator = self.collator.clone();
                let make = move |number, stop: &AtomicBool| collator.collate(number, stop);
                OrderedThreads::start(self.workers, self.next..u64::MAX, make)?
            }
        };
        let batch = threads.take(self.next)?; // an error drops the threads, and the next call starts afresh
        self.running = Some(threads);
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

    /// Makes the whole batch 0 again; the loader stays where it is. The errors are those of reading the images.
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

#[cfg(test)]
mod tests;
