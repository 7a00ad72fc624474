//! Which images make batch number b: a function of the seed and b, so that a checkpoint only stores b.

use crate::Error;
use gan_base::Rng;
use serde::{Deserialize, Serialize};

/// The order in which images are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Each epoch goes through all images once, in a new random order.
    Shuffled,
    /// Each epoch goes through all images once, in a new order that is random within windows of this many images and
    /// between blocks of 1,024: for sets so large that a full permutation takes much memory and random access much time.
    Windowed(usize),
    /// Each image of each batch is drawn from all images, independently. Every batch is full; an epoch is only a count of batches.
    WithReplacement,
    /// Each epoch goes through all images once, in the data set's order.
    Sequential,
}

/// What happens to the images left over if the batch size does not divide the number of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastBatch {
    /// They make a smaller batch at the epoch's end, the default of PyTorch's `DataLoader`.
    #[default]
    Keep,
    /// They are left out of that epoch.
    Drop,
}

/// How to go through a data set: what [`Sampler::new`] checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampling {
    /// Number of images.
    pub len: usize,
    /// Images per batch: 1 to `len`.
    pub batch: usize,
    /// Fixes the random orders and draws.
    pub seed: u64,
    /// The order of the images.
    pub order: Order,
    /// What happens to the last, smaller batch.
    pub last: LastBatch,
}

/// How far a run has come, as a checkpoint saves it, with the sampling that it refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Number of batches consumed, which is also the number of the next one.
    pub batch: u64,
    /// The sampling that they are counted in.
    pub sampling: Sampling,
}

/// Computes the images of batch number b, counted from 0 over all epochs.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    /// The epoch that was requested last, and its order.
    shuffled: Option<(u64, Vec<usize>)>,
    /// The same for a windowed order.
    windowed: Option<WindowedShuffle>,
}

impl Sampler {
    /// A sampler for a checked `sampling`.
    ///
    /// # Errors
    /// [`Error::Setting`] if the batch size is 0 or larger than the number of images, or a window is empty.
    pub fn new(sampling: Sampling) -> Result<Self, Error> {
        if sampling.order == Order::Windowed(0) {
            let advice = "65536 serves most; larger ones mix better and take more memory";
            return Err(Error::setting("data.window", 0, "at least 1 image", advice));
        }
        if (1..=sampling.len).contains(&sampling.batch) {
            return Ok(Self { sampling, shuffled: None, windowed: None });
        }
        let expected = format!("1 to {}, the number of images", sampling.len);
        Err(Error::setting("train.batch", sampling.batch, expected, "choose another batch size, or more data"))
    }

    /// How this sampler goes through the data.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// Number of batches in an epoch, at least 1.
    pub fn batches_per_epoch(&self) -> u64 {
        let Sampling { len, batch, last, .. } = self.sampling;
        match last {
            LastBatch::Keep => len.div_ceil(batch) as u64,
            LastBatch::Drop => (len / batch) as u64,
        }
    }

    /// The epoch that batch `number` belongs to, counted from 0.
    pub fn epoch_of(&self, number: u64) -> u64 {
        number / self.batches_per_epoch()
    }

    /// The images of batch `number`. Fast while `number` stays in one epoch, whose order is cached.
    pub fn indices(&mut self, number: u64) -> Vec<usize> {
        let Sampling { len, batch, seed, order, .. } = self.sampling;
        let start = (number % self.batches_per_epoch()) as usize * batch;
        let range = start..(start + batch).min(len);
        let epoch = self.epoch_of(number);
        match order {
            Order::Sequential => range.collect(),
            Order::Shuffled => {
                let cached = self.shuffled.take().filter(|(cached, _)| *cached == epoch);
                let cached = cached.unwrap_or_else(|| {
                    let mut order: Vec<usize> = (0..len).collect();
                    Rng::numbered(seed, "data order", epoch).shuffle(&mut order);
                    (epoch, order)
                });
                self.shuffled.insert(cached).1[range].to_vec()
            }
            Order::Windowed(window) => {
                let cached = self.windowed.take().filter(|windows| windows.epoch == epoch);
                let windows = cached.unwrap_or_else(|| WindowedShuffle::new(len, window, seed, epoch));
                let windows = self.windowed.insert(windows);
                range.map(|place| windows.at(place)).collect()
            }
            Order::WithReplacement => {
                let mut rng = Rng::numbered(seed, "data draw", number);
                (0..batch).map(|_| rng.below(len)).collect()
            }
        }
    }

    /// Checks that `position` was counted in this sampling.
    ///
    /// # Errors
    /// [`Error::Resume`], naming the first thing that differs.
    pub fn check(&self, position: &Position) -> Result<(), Error> {
        let now = &self.sampling;
        let then = &position.sampling;
        same("number of images", now.len, then.len)?;
        same("batch size", now.batch, then.batch)?;
        same("seed", now.seed, then.seed)?;
        same("order of the data", now.order, then.order)?;
        same("last batch of an epoch", now.last, then.last)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Resume(format!(
        "resume: {what}: found {found:?}, expected {expected:?} as in the checkpoint; set it as it was, or start a new run"
    )))
}

/// Images that are read together in a windowed order.
const BLOCK: usize = 1024;

/// A random order of one epoch that needs little memory and reads images nearly in sequence.
///
/// Blocks of [`BLOCK`] images are put in a random order, the images in that order are cut into windows, and each window is shuffled again.
/// Memory grows with the number of blocks and the window's size, time with the number of images requested.
#[derive(Clone, Debug)]
struct WindowedShuffle {
    len: usize,
    window: usize,
    seed: u64,
    epoch: u64,
    /// The complete blocks in their order. The images left over stay last.
    blocks: Vec<usize>,
    /// The window that was requested last.
    open: Option<(usize, Vec<usize>)>,
}

impl WindowedShuffle {
    /// The order of `len` images, shuffled within windows of `window`, at least 1.
    fn new(len: usize, window: usize, seed: u64, epoch: u64) -> Self {
        let mut blocks: Vec<usize> = (0..len / BLOCK).collect();
        Rng::numbered(seed, "data order", epoch).shuffle(&mut blocks);
        Self { len, window, seed, epoch, blocks, open: None }
    }

    /// The image at `place` of the epoch. Fast while places stay in one window.
    fn at(&mut self, place: usize) -> usize {
        let number = place / self.window;
        let open = self.open.take().filter(|(open, _)| *open == number);
        let open = open.unwrap_or_else(|| (number, self.shuffled(number)));
        self.open.insert(open).1[place % self.window]
    }

    fn shuffled(&self, number: usize) -> Vec<usize> {
        let start = number * self.window;
        let image = |place: usize| self.blocks.get(place / BLOCK).map_or(place, |block| block * BLOCK + place % BLOCK);
        let mut images: Vec<usize> = (start..(start + self.window).min(self.len)).map(image).collect();
        let windows = self.len.div_ceil(self.window) as u64;
        Rng::numbered(self.seed, "data window", self.epoch * windows + number as u64).shuffle(&mut images);
        images
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LastBatch::{Drop, Keep};
    use Order::{Sequential, Shuffled, Windowed, WithReplacement};

    fn sampling(order: Order, last: LastBatch) -> Sampling {
        Sampling { len: 10, batch: 4, seed: 3, order, last }
    }

    fn sampler(order: Order, last: LastBatch) -> Sampler {
        Sampler::new(sampling(order, last)).unwrap()
    }

    fn batches(sampler: &mut Sampler, numbers: std::ops::Range<u64>) -> Vec<Vec<usize>> {
        numbers.map(|number| sampler.indices(number)).collect()
    }

    #[test]
    fn sequential_batches_start_over_each_epoch() {
        let mut keep = sampler(Sequential, Keep);
        assert_eq!(batches(&mut keep, 0..3), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
        assert_eq!(batches(&mut keep, 0..3), batches(&mut keep, 3..6));
        let mut drop = sampler(Sequential, Drop);
        assert_eq!(batches(&mut drop, 1..3), [[4, 5, 6, 7], [0, 1, 2, 3]]);
        assert_eq!([keep.batches_per_epoch(), drop.batches_per_epoch()], [3, 2]);
        assert_eq!([keep.epoch_of(2), keep.epoch_of(3), drop.epoch_of(2), drop.epoch_of(3)], [0, 1, 1, 1]);
    }

    #[test]
    fn every_shuffled_epoch_has_each_image_once_in_a_new_order() {
        let mut sampler = Sampler::new(Sampling { len: 1000, batch: 7, ..sampling(Shuffled, Keep) }).unwrap();
        let n = sampler.batches_per_epoch();
        let epochs: Vec<Vec<usize>> = (0..4).map(|e| batches(&mut sampler, e * n..(e + 1) * n).concat()).collect();
        for (e, epoch) in epochs.iter().enumerate() {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..1000));
            assert!(epochs[..e].iter().all(|earlier| earlier != epoch));
        }
    }

    #[test]
    fn every_windowed_epoch_has_each_image_once_and_reads_almost_sequentially() {
        // Five whole blocks and a part of one; windows that do not end where blocks do.
        let sampling = Sampling { len: 5500, batch: 100, ..sampling(Windowed(1500), Keep) };
        let mut sampler = Sampler::new(sampling).unwrap();
        let epochs: Vec<Vec<Vec<usize>>> = (0..3).map(|e| batches(&mut sampler, e * 55..(e + 1) * 55)).collect();
        for (e, epoch) in epochs.iter().enumerate() {
            let mut sorted = epoch.concat();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..5500));
            assert!(epochs[..e].iter().all(|earlier| earlier != epoch));
        }
        // A window of 1,500 places touches three blocks at most, and mixes them.
        let blocks = |batch: &[usize]| batch.iter().map(|i| i / 1024).collect::<std::collections::BTreeSet<_>>().len();
        assert!(epochs.concat().iter().all(|batch| (1..=3).contains(&blocks(batch))));
        assert!(epochs[0][0].windows(2).filter(|pair| pair[1] == pair[0] + 1).count() < 5);
    }

    #[test]
    fn a_window_of_nothing_is_refused() {
        let message = Sampler::new(sampling(Windowed(0), Keep)).unwrap_err().to_string();
        assert!(message.contains("data.window: found 0, expected at least 1 image"), "{message}");
    }

    #[test]
    fn dropping_leaves_each_image_at_most_once() {
        let mut all = batches(&mut sampler(Shuffled, Drop), 0..2).concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn batches_are_the_same_in_any_order_of_asking() {
        for order in [Shuffled, WithReplacement, Sequential, Windowed(3)] {
            let forward = batches(&mut sampler(order, Keep), 0..20);
            let mut other = sampler(order, Keep);
            let backward: Vec<_> = (0..20).rev().map(|number| other.indices(number)).collect();
            assert!(forward.iter().eq(backward.iter().rev()));
        }
    }

    /// Checkpoints rely on these: a new version of `rand` must not change them unnoticed.
    #[test]
    fn orders_stay_as_they_were() {
        assert_eq!(batches(&mut sampler(Shuffled, Keep), 2..4), [vec![3, 4], vec![0, 2, 7, 5]]);
        assert_eq!(batches(&mut sampler(WithReplacement, Keep), 2..4), [[1, 6, 3, 0], [5, 3, 5, 1]]);
    }

    #[test]
    fn seeds_give_different_orders() {
        for order in [Shuffled, WithReplacement, Windowed(6)] {
            let mut other = Sampler::new(Sampling { seed: 4, ..sampling(order, Keep) }).unwrap();
            assert_ne!(batches(&mut sampler(order, Keep), 0..3), batches(&mut other, 0..3));
        }
    }

    #[test]
    fn draws_with_replacement_are_full_and_repeat_images() {
        let mut sampler = sampler(WithReplacement, Keep);
        let drawn = batches(&mut sampler, 0..300);
        assert!(drawn.iter().all(|batch| batch.len() == 4));
        let mut counts = [0; 10];
        drawn.iter().flatten().for_each(|&index| counts[index] += 1);
        assert!(counts.iter().all(|&count| (80..=160).contains(&count)), "{counts:?}");
        let repeats = |batch: &Vec<usize>| (1..4).any(|i| batch[..i].contains(&batch[i]));
        assert!(drawn.iter().any(repeats));
        assert_eq!(sampler.batches_per_epoch(), 3);
    }

    #[test]
    fn impossible_batch_sizes_are_refused() {
        for (batch, len) in [(0, 10), (11, 10), (1, 0)] {
            let message = Sampler::new(Sampling { batch, len, ..sampling(Shuffled, Keep) }).unwrap_err().to_string();
            assert!(message.contains(&format!("train.batch: found {batch}, expected 1 to {len}")), "{message}");
        }
    }

    #[test]
    fn positions_of_other_data_are_refused() {
        let now = sampler(Shuffled, Keep);
        let same = *now.sampling();
        now.check(&Position { batch: 5, sampling: same }).unwrap();
        let others = [
            (Sampling { len: 11, ..same }, "number of images: found 10, expected 11"),
            (Sampling { batch: 5, ..same }, "batch size: found 4, expected 5"),
            (Sampling { seed: 9, ..same }, "seed: found 3, expected 9"),
            (Sampling { order: Sequential, ..same }, "order of the data: found Shuffled, expected Sequential"),
            (Sampling { last: Drop, ..same }, "last batch of an epoch: found Keep, expected Drop"),
        ];
        for (sampling, part) in others {
            let message = now.check(&Position { batch: 5, sampling }).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_position_survives_serialisation() {
        let position = Position { batch: u64::MAX, sampling: sampling(WithReplacement, Keep) };
        let text = serde_json::to_string(&position).unwrap();
        assert!(text.contains(r#""order":"with-replacement""#), "{text}");
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
    }
}
