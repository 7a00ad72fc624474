//! One batch, and how it is made from a data set.

use crate::{Dataset, Error, ProcessShard, Sampler};
use candle_core::{Device, Tensor};
use gan_base::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images for one step, on the CPU; where several processes read a batch together, this one's part.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[N, C, H, W]` (or `[N, D]` for points), float32 in [−1, 1].
    pub images: Tensor,
    /// `[N]`, u32: the images' classes. `None` where the data set has none.
    pub labels: Option<Tensor>,
    /// `[N]`: which images of the data set these are.
    pub indices: Vec<usize>,
    /// The epoch that the batch belongs to, counted from 0.
    pub epoch: u64,
    /// The batch's number, counted from 0 over all epochs.
    pub number: u64,
    /// How many images it has on all processes.
    pub whole: usize,
}

/// Whether images are mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// None is.
    #[default]
    Never,
    /// Each image of a batch is, left to right, with probability ½. Whether it is depends on the seed, the batch's number
    /// and the image's place in the batch alone. Points are left as they are.
    Random,
}

/// Makes any batch by its number. Every thread has its own, and all give the same.
#[derive(Clone)]
pub(crate) struct Collator {
    pub(crate) dataset: Arc<dyn Dataset>,
    pub(crate) sampler: Sampler,
    pub(crate) flip: Flip,
    pub(crate) shard: ProcessShard,
}

impl Collator {
    /// Batch `number`. Gives up between two images once `stop` is set; its error is then not meant to be seen.
    pub(crate) fn collate(&mut self, number: u64, stop: &AtomicBool) -> Result<Batch, Error> {
        let all = self.sampler.indices(number);
        let (whole, range) = (all.len(), self.shard.range(all.len()));
        let indices = all[range.clone()].to_vec();
        Ok(Batch {
            images: self.images(number, range.start, &indices, stop)?,
            labels: self.labels(&indices)?,
            epoch: self.sampler.epoch_of(number),
            number,
            indices,
            whole,
        })
    }

    /// `[N, C, H, W]` or `[N, D]`; the first of them stands at `place` in the whole batch.
    fn images(&self, number: u64, place: usize, indices: &[usize], stop: &AtomicBool) -> Result<Tensor, Error> {
        let (shape, size) = (self.dataset.shape(), self.dataset.pixels());
        let mut values = vec![0.0; indices.len() * size];
        for (&index, image) in indices.iter().zip(values.chunks_exact_mut(size)) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Worker { batch: number, message: "it was told to stop".into() });
            }
            self.dataset.write(index, image)?;
        }
        if self.flip == Flip::Random {
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
