//! Batches do not depend on the number of threads, and threads end with their loader.

use super::*;
use crate::{LastBatch, Order, Sampling, SyntheticSamples};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LEN: usize = 23;

fn sampling(order: Order, last: LastBatch) -> Sampling {
    Sampling { len: LEN, batch: 5, seed: 11, order, last }
}

fn loader_of(dataset: Arc<dyn Dataset>, order: Order, last: LastBatch, workers: usize) -> Loader {
    Loader::new(dataset, Sampler::new(sampling(order, last)).unwrap(), workers).unwrap()
}

fn made() -> Arc<dyn Dataset> {
    Arc::new(SyntheticSamples::new(1, LEN, [2, 3, 4]).unwrap().with_classes(3))
}

fn loader(order: Order, workers: usize) -> Loader {
    loader_of(made(), order, LastBatch::Keep, workers)
}

/// The contents of a batch, in a form that can be compared.
type Content = (u64, u64, Vec<usize>, Vec<u32>, Vec<f32>);

fn content(batch: &Batch) -> Content {
    let labels = batch.labels.as_ref().map_or_else(Vec::new, |labels| labels.to_vec1().unwrap());
    let images = batch.images.flatten_all().unwrap().to_vec1().unwrap();
    (batch.number, batch.epoch, batch.indices.clone(), labels, images)
}

fn take(loader: &mut Loader, count: usize) -> Vec<Content> {
    loader.by_ref().take(count).map(|batch| content(&batch.unwrap())).collect()
}

#[test]
fn a_batch_has_the_samples_of_its_indices() {
    let mut loader = loader(Order::Shuffled, 2);
    for number in 0..12 {
        let batch = loader.next_batch().unwrap();
        let size = if number % 5 == 4 { 3 } else { 5 };
        assert_eq!(batch.images.dims(), [size, 2, 3, 4]);
        assert_eq!((batch.number, batch.epoch, batch.indices.len()), (number, number / 5, size));
        assert_eq!(batch.labels.as_ref().unwrap().dims(), [size]);
        let (.., indices, labels, images) = content(&batch);
        for ((&index, label), image) in indices.iter().zip(labels).zip(images.chunks(24)) {
            let mut wanted = [0.0; 24];
            made().write(index, &mut wanted).unwrap();
            assert_eq!((label, image), ((index % 3) as u32, &wanted[..]));
        }
    }
}

#[test]
fn batches_are_the_same_for_every_number_of_threads() {
    for order in [Order::Shuffled, Order::WithReplacement, Order::Sequential] {
        for last in [LastBatch::Keep, LastBatch::Drop] {
            let with = |workers| take(&mut loader_of(made(), order, last, workers), 37);
            let wanted = with(0);
            for workers in [1, 3, 4] {
                assert_eq!(with(workers), wanted);
            }
        }
    }
}

#[test]
fn the_position_counts_consumed_batches_and_seek_returns_to_it() {
    for workers in [0, 1, 4] {
        let mut loader = loader(Order::Shuffled, workers);
        take(&mut loader, 7);
        let middle = loader.position();
        assert_eq!(middle.batch, 7);
        let wanted = take(&mut loader, 9);
        loader.seek(&middle).unwrap();
        assert_eq!(take(&mut loader, 9), wanted);
        let mut fresh = self::loader(Order::Shuffled, 3);
        fresh.seek(&middle).unwrap();
        assert_eq!(take(&mut fresh, 9), wanted);
        assert_eq!(fresh.position().batch, 16);
    }
}

#[test]
fn a_position_of_other_data_is_refused_and_changes_nothing() {
    let mut loader = loader(Order::Shuffled, 1);
    take(&mut loader, 2);
    let mut position = loader.position();
    position.sampling.len = 99;
    let message = loader.seek(&position).unwrap_err().to_string();
    assert!(message.contains("number of images: found 23, expected 99"), "{message}");
    assert_eq!(take(&mut loader, 1)[0].0, 2);
}

#[test]
fn a_data_set_without_classes_gives_no_labels() {
    let data = Arc::new(SyntheticSamples::new(1, LEN, [1, 2, 2]).unwrap());
    let batch = loader_of(data, Order::Shuffled, LastBatch::Keep, 1).next_batch().unwrap();
    assert!(batch.labels.is_none());
}

#[test]
fn a_sampler_for_other_data_and_absurd_thread_counts_are_refused() {
    let sampler = || Sampler::new(sampling(Order::Shuffled, LastBatch::Keep)).unwrap();
    let message = |dataset, workers| Loader::new(dataset, sampler(), workers).err().unwrap().to_string();
    let other = Arc::new(SyntheticSamples::new(1, 24, [1, 2, 2]).unwrap());
    assert!(message(other, 0).contains("found 23, expected 24"));
    assert!(message(made(), 1000).contains("found 1000, expected 0 to 256"));
}

/// Synthetic images with errors or panics in `write`.
struct Odd {
    images: SyntheticSamples,
    reads: AtomicUsize,
    read: fn(index: usize) -> Result<(), Error>,
}

impl Odd {
    fn new(read: fn(usize) -> Result<(), Error>) -> Arc<Self> {
        let images = SyntheticSamples::new(1, LEN, [1, 2, 2]).unwrap();
        Arc::new(Self { images, reads: AtomicUsize::new(0), read })
    }
}

impl Dataset for Odd {
    fn len(&self) -> usize {
        self.images.len()
    }
    fn shape(&self) -> Vec<usize> {
        self.images.shape()
    }
    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        (self.read)(index)?;
        self.images.write(index, out)
    }
    fn label(&self, _: usize) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
}

/// Asserts that batches 0 and 1 are returned, and that batch 2, which contains image 12, fails twice with `part` in the message.
#[track_caller]
fn fails_at_batch_2(read: fn(usize) -> Result<(), Error>, workers: usize, part: &str) {
    let mut loader = loader_of(Odd::new(read), Order::Sequential, LastBatch::Keep, workers);
    for _ in 0..2 {
        loader.next_batch().unwrap();
    }
    for _ in 0..2 {
        let message = loader.next_batch().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
        assert_eq!(loader.position().batch, 2);
    }
}

#[test]
fn errors_reach_the_caller_at_their_batch() {
    let read = |index| match index {
        12 => Err(Error::Request(format!("image {index}: torn: found 1, expected 2"))),
        _ => Ok(()),
    };
    for workers in [0, 1, 4] {
        fails_at_batch_2(read, workers, "image 12: torn: found 1, expected 2");
    }
}

#[test]
fn panics_in_threads_reach_the_caller_as_errors() {
    let read = |index| {
        assert!(index != 12, "image {index} exploded");
        Ok(())
    };
    for workers in [1, 4] {
        fails_at_batch_2(read, workers, "batch 2: the loader's thread failed: it panicked: image 12 exploded");
    }
}

#[test]
fn prefetching_stays_within_its_bound() {
    let data = Odd::new(|_| Ok(()));
    let mut loader = loader_of(data.clone(), Order::WithReplacement, LastBatch::Keep, 2);
    loader.next_batch().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let most = 5 * (1 + 2 * 3); // the consumed batch; for each of two threads, two finished ones and one in progress
    assert!(data.reads.load(Ordering::Relaxed) <= most);
}

#[test]
fn dropping_joins_all_threads_quickly() {
    let slow = |_| {
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    };
    let data = Odd::new(slow);
    let mut loader = loader_of(data.clone(), Order::Shuffled, LastBatch::Keep, 4);
    loader.next_batch().unwrap();
    assert!(Arc::strong_count(&data) > 2);
    let start = Instant::now();
    drop(loader);
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed()); // a batch takes 500 ms
    assert_eq!(Arc::strong_count(&data), 1);
}

/// Returns the image with each row reversed.
fn mirrored(image: &[f32], width: usize) -> Vec<f32> {
    image.chunks(width).flat_map(|row| row.iter().rev().copied()).collect()
}

#[test]
fn flips_mirror_whole_images_with_probability_one_half() {
    let mut flips = loader(Order::Shuffled, 0).with_flip(true);
    let (plain, flipped) = (take(&mut loader(Order::Shuffled, 0), 60), take(&mut flips, 60));
    let mut turned = 0;
    for (plain, flipped) in plain.iter().zip(&flipped) {
        assert_eq!((&plain.2, &plain.3), (&flipped.2, &flipped.3));
        for (plain, flipped) in plain.4.chunks(24).zip(flipped.4.chunks(24)) {
            turned += usize::from(plain != flipped);
            assert!(plain == flipped || mirrored(plain, 4) == flipped);
        }
    }
    assert!((100..=180).contains(&turned), "{turned} of 276"); // 60 batches in 12 epochs of 23 images
}

#[test]
fn flips_are_the_same_for_every_number_of_threads_and_after_a_seek() {
    let flips = |workers| loader(Order::WithReplacement, workers).with_flip(true);
    let alone = take(&mut flips(0), 12);
    assert_eq!(alone, take(&mut flips(3), 12));
    let mut resumed = flips(2);
    let position = Position { batch: 7, ..resumed.position() };
    resumed.seek(&position).unwrap();
    assert_eq!(alone[7..], take(&mut resumed, 5));
    let other = Sampler::new(Sampling { seed: 12, ..sampling(Order::Sequential, LastBatch::Keep) }).unwrap();
    let mut other = Loader::new(made(), other, 0).unwrap().with_flip(true);
    let same = take(&mut loader(Order::Sequential, 0).with_flip(true), 5);
    assert_ne!(same, take(&mut other, 5));
}
