//! How one batch is made from a data set, or the part of it that one process reads.

use crate::{Dataset, Error, Sampler};
use candle_core::{Device, Tensor};
use gan_base::Rng;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images for one step, on the CPU. If several processes share a batch, this is one process's part.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[N, C, H, W]` (or `[N, D]` for points), float32 in [−1, 1].
    pub images: Tensor,
    /// `[N]`, u32: the images' classes. `None` if the data set has none.
    pub labels: Option<Tensor>,
    /// `[N]`: the images' numbers in the data set.
    pub indices: Vec<usize>,
    /// The epoch that the batch belongs to, counted from 0.
    pub epoch: u64,
    /// The batch's number, counted from 0 over all epochs.
    pub number: u64,
    /// Number of images on all processes.
    pub whole: usize,
}

/// Makes any batch by its number. Every thread has its own; all make the same batches.
#[derive(Clone)]
pub(crate) struct Collator {
    pub(crate) dataset: Arc<dyn Dataset>,
    pub(crate) sampler: Sampler,
    /// Whether images are mirrored at random.
    pub(crate) flip: bool,
    pub(crate) shard: ProcessShard,
}

impl Collator {
    /// Makes batch `number`. Returns an error, which nobody should see, once `stop` is set.
    pub(crate) fn collate(&mut self, number: u64, stop: &AtomicBool) -> Result<Batch, Error> {
        let all = self.sampler.indices(number);
        let range = self.shard.range(all.len());
        let indices = all[range.clone()].to_vec();
        Ok(Batch {
            images: self.images(number, range.start, &indices, stop)?,
            labels: self.labels(&indices)?,
            epoch: self.sampler.epoch_of(number),
            number,
            indices,
            whole: all.len(),
        })
    }

    /// `[N, C, H, W]` or `[N, D]`; the first of them stands at `place` in the whole batch.
    fn images(&self, number: u64, place: usize, indices: &[usize], stop: &AtomicBool) -> Result<Tensor, Error> {
        let shape = self.dataset.shape();
        let size = self.dataset.pixels();
        let mut values = vec![0.0; indices.len() * size];
        for (&index, image) in indices.iter().zip(values.chunks_exact_mut(size)) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::worker(number, "it was told to stop"));
            }
            self.dataset.write(index, image)?;
        }
        if self.flip {
            self.flip(number, place, &shape, &mut values);
        }
        Ok(Tensor::from_vec(values, [&[indices.len()], &shape[..]].concat(), &Device::Cpu)?)
    }

    /// Mirrors some of the images `[N, C, H, W]` in `values`.
    fn flip(&self, number: u64, place: usize, shape: &[usize], values: &mut [f32]) {
        let &[channels, height, width] = shape else { return };
        let mut rng = Rng::numbered(self.sampler.sampling().seed, "data flip", number);
        (0..place).for_each(|_| _ = rng.below(2));
        for image in values.chunks_exact_mut(channels * height * width) {
            if rng.below(2) == 1 {
                image.chunks_exact_mut(width).for_each(<[f32]>::reverse);
            }
        }
    }

    /// `[N]`
    fn labels(&self, indices: &[usize]) -> Result<Option<Tensor>, Error> {
        let labels: Option<Vec<u32>> = indices.iter().map(|&index| self.dataset.label(index)).collect();
        Ok(labels.map(|labels| Tensor::new(labels, &Device::Cpu)).transpose()?)
    }
}

/// The part of each batch that one process of a group reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessShard {
    /// The process, counted from 0.
    pub rank: usize,
    /// Processes in the group, at least 1.
    pub ranks: usize,
}

impl ProcessShard {
    /// The whole batch, for a single process.
    pub const WHOLE: Self = Self { rank: 0, ranks: 1 };

    /// Its samples among `whole`: the parts follow each other, and their sizes differ by at most one.
    pub fn range(self, whole: usize) -> Range<usize> {
        self.rank * whole / self.ranks..(self.rank + 1) * whole / self.ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_each_other_and_are_even() {
        for (whole, ranks) in [(128, 3), (7, 4), (3, 5), (10, 1)] {
            let all: Vec<Range<usize>> = (0..ranks).map(|rank| ProcessShard { rank, ranks }.range(whole)).collect();
            assert!(all.iter().cloned().flatten().eq(0..whole));
            let sizes: Vec<usize> = all.iter().map(Range::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
    }
}
