//! Images beside real ones: a training batch, real and generated sheets, nearest neighbors.

use super::sheet;
use crate::error::Result;
use candle_core::Tensor;
use gan_report::{Picture, strip};
use gan_train::Trainer;

/// Images per side of a sheet.
const SIDE: usize = 8;
/// Number of samples whose neighbors are searched, and number of neighbors of each.
const SAMPLES: usize = 10;
const NEAREST: usize = 5;
/// Maximum number of real images that are searched, because more take too long to decode.
const SEARCHED: usize = 20_000;

/// Draws the images of the run's first batch, at most 64.
pub(super) fn batch(trainer: &Trainer) -> Result<Picture> {
    let images = trainer.first_batch()?;
    let n = images.dim(0)?.min(SIDE * SIDE);
    sheet(&images.narrow(0, 0, n)?, None, SIDE, SIDE)
}

/// Draws 64 real images on the left, without repetition if there are enough, and 64 generated ones on the right.
pub(super) fn beside(trainer: &Trainer) -> Result<Picture> {
    let real = sheet(&trainer.different_reals(SIDE * SIDE)?, None, SIDE, SIDE)?;
    let made = sheet(&trainer.progress_samples(SIDE * SIDE)?, None, SIDE, SIDE)?;
    Ok(strip(&[real, made])?)
}

/// Draws a row for each of ten samples: the sample, a gap, and the nearest real images by the sum of squared differences of pixels. A
/// generator that memorizes shows the same image twice.
pub(super) fn neighbours(trainer: &Trainer) -> Result<Picture> {
    let made = trainer.progress_samples(SAMPLES)?;
    let data = trainer.dataset();
    let size = data.pixels();
    let samples: Vec<f32> = made.flatten_all()?.to_vec1()?;
    let mut nearest: Vec<Vec<(f32, usize)>> = vec![Vec::new(); SAMPLES];
    let mut image = vec![0.0; size];
    let every = data.len().div_ceil(SEARCHED).max(1);
    for index in (0..data.len()).step_by(every) {
        data.write(index, &mut image)?;
        for (sample, found) in samples.chunks_exact(size).zip(&mut nearest) {
            keep(found, (distance(sample, &image), index));
        }
    }
    let mut rows = Vec::with_capacity(SAMPLES * (NEAREST + 1) * size);
    for (sample, found) in samples.chunks_exact(size).zip(&nearest) {
        rows.extend_from_slice(sample);
        for place in 0..NEAREST {
            // If there are fewer real images than places, the rest are blank.
            match found.get(place) {
                Some((_, index)) => data.write(*index, &mut image)?,
                None => image.fill(-1.0),
            }
            rows.extend_from_slice(&image);
        }
    }
    let shape = [&[SAMPLES * (NEAREST + 1)], &data.shape()[..]].concat();
    sheet(&Tensor::from_vec(rows, shape, &candle_core::Device::Cpu)?, None, SAMPLES, NEAREST + 1)
}

/// Returns the sum of squared differences.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Keeps the [`NEAREST`] smallest values in order, and the earlier of equals.
fn keep(found: &mut Vec<(f32, usize)>, new: (f32, usize)) {
    let at = found.partition_point(|old| old.0 <= new.0);
    if at < NEAREST {
        found.insert(at, new);
        found.truncate(NEAREST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_neighbors_are_sorted() {
        let mut found = Vec::new();
        for (index, distance) in [5.0, 3.0, 9.0, 3.0, 1.0, 7.0, 0.5].into_iter().enumerate() {
            keep(&mut found, (distance, index));
        }
        assert_eq!(found, [(0.5, 6), (1.0, 4), (3.0, 1), (3.0, 3), (5.0, 0)]);
        assert_eq!(distance(&[1.0, 2.0], &[0.0, 4.0]), 5.0);
    }
}
