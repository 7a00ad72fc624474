//! Sliced Wasserstein distance of patches: how far the texture of generated images is from that of real ones, at each scale of a Laplacian
//! pyramid (Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, section 5).
//!
//! Level i of the pyramid is Gᵢ − up(Gᵢ₊₁), where G₀ is the image and Gᵢ₊₁ = down(Gᵢ) has half of its size; the last level, the smallest of at
//! least 16×16, is Gᵢ itself. Random 7×7 patches are taken from each level, and each channel is normalized over all patches of a set. The figure is
//! the mean over the levels of 10³ times the mean W₁ along 512 random lines. The paper takes 128 patches from each of 16,384 images; here
//! it is 8 from each of as many images as there are, so figures cannot be compared with the paper's.

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Measured, Metric, Needs, swd};
use crate::error::{Error, Result};
use crate::features::Features;
use candle_core::Tensor;
use gan_base::Rng;
use rayon::prelude::*;

/// Side of a patch.
const SIDE: usize = 7;
/// Number of patches from each image and level.
const PER_IMAGE: usize = 8;
/// Minimum side of a level below the first.
const SMALLEST: usize = 16;
/// Number of lines.
const LINES: usize = 512;
/// Binomial filter of the pyramid.
const TAPS: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Patches of images, for each level of their pyramids.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patches {
    /// `[C, H, W]` of the images; `None` before the first.
    shape: Option<[usize; 3]>,
    /// Patches `[N·8, C·7·7]` of each level, from the largest to the smallest.
    levels: Vec<Features>,
    /// Whether images had different sizes, whose patches cannot be compared.
    are_mixed: bool,
    images: usize,
}

impl Patches {
    /// Adds patches of `picked` ones of the images `[N, C, H, W]`. The positions depend only on the number of images so far.
    pub(crate) fn push(&mut self, images: &Tensor, picked: &[usize]) -> Result<()> {
        let (_, c, h, w) = images.dims4()?;
        let shape = [c, h, w];
        self.are_mixed |= self.shape.is_some_and(|other| other != shape);
        if self.are_mixed || h.min(w) < SIDE {
            return Ok(());
        }
        if self.shape.replace(shape).is_none() {
            self.levels = sizes([h, w]).iter().map(|_| Features::empty(c * SIDE * SIDE)).collect();
        }
        let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
        let of_image = |(i, image): (usize, &usize)| {
            let planes = &values[image * c * h * w..][..c * h * w];
            let mut rng = Rng::numbered(0, "patches", (self.images + i) as u64);
            pyramid(planes, [h, w]).iter().map(|level| level.patches(c, &mut rng)).collect::<Vec<_>>()
        };
        let found: Vec<Vec<Vec<f32>>> = picked.par_iter().enumerate().map(of_image).collect();
        self.images += picked.len();
        for (i, level) in self.levels.iter_mut().enumerate() {
            let values: Vec<f32> = found.iter().flat_map(|levels| &levels[i]).copied().collect();
            level.append(&Features::new(values, c * SIDE * SIDE)?)?;
        }
        Ok(())
    }

    fn check(&self, what: &str) -> Result<()> {
        let problem = match () {
            () if self.are_mixed => "they have different sizes: resize them to one (data.size)".to_string(),
            () if self.levels.is_empty() => {
                format!("there are none of at least {SIDE}×{SIDE} pixels to take patches from")
            }
            () => return Ok(()),
        };
        Err(Error::values(format!("{what} images"), problem))
    }
}

/// Planes of one level, `[C, H, W]`.
struct Level {
    planes: Vec<f32>,
    size: [usize; 2],
}

impl Level {
    /// Returns random patches `[8, C·7·7]`, one after the other.
    fn patches(&self, channels: usize, rng: &mut Rng) -> Vec<f32> {
        let [h, w] = self.size;
        let mut values = Vec::with_capacity(PER_IMAGE * channels * SIDE * SIDE);
        for _ in 0..PER_IMAGE {
            let top = rng.below(h - SIDE + 1);
            let left = rng.below(w - SIDE + 1);
            for plane in self.planes.chunks_exact(h * w) {
                (top..top + SIDE).for_each(|y| values.extend_from_slice(&plane[y * w + left..][..SIDE]));
            }
        }
        values
    }
}

/// Returns the sizes of the levels of an image of this size.
fn sizes(image: [usize; 2]) -> Vec<[usize; 2]> {
    let half = |size: &[usize; 2]| Some(size.map(|side| side.div_ceil(2))).filter(|[h, w]| (*h).min(*w) >= SMALLEST);
    std::iter::successors(Some(image), half).collect()
}

/// Returns the levels of an image `[C, H, W]`.
fn pyramid(planes: &[f32], size: [usize; 2]) -> Vec<Level> {
    let mut current = planes.to_vec();
    let mut levels = vec![];
    for pair in sizes(size).windows(2) {
        let smaller = down(&current, pair[0]);
        current.iter_mut().zip(up(&smaller, pair[1], pair[0])).for_each(|(x, y)| *x -= y);
        levels.push(Level { planes: std::mem::replace(&mut current, smaller), size: pair[0] });
    }
    let size = sizes(size).pop().unwrap_or(size);
    levels.push(Level { planes: current, size });
    levels
}

/// Returns planes of half the size: filtered, then every second pixel.
fn down(planes: &[f32], [h, w]: [usize; 2]) -> Vec<f32> {
    let filtered = filtered(planes, [h, w]);
    let rows = filtered.chunks_exact(h * w).flat_map(|plane| plane.chunks_exact(w).step_by(2));
    rows.flat_map(|row| row.iter().step_by(2)).copied().collect()
}

/// Returns planes of the size `to`, about twice as large: pixels with zeros between them, filtered.
fn up(planes: &[f32], [h, w]: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    let mut spread = vec![0.0; planes.len() / (h * w) * to[0] * to[1]];
    for (from, plane) in planes.chunks_exact(h * w).zip(spread.chunks_exact_mut(to[0] * to[1])) {
        for (row, into) in from.chunks_exact(w).zip(plane.chunks_exact_mut(to[1]).step_by(2)) {
            // A pixel in four is not zero.
            row.iter().zip(into.iter_mut().step_by(2)).for_each(|(x, y)| *y = 4.0 * x);
        }
    }
    filtered(&spread, to)
}

/// Filters planes along both directions; the image is mirrored at its edges.
fn filtered(planes: &[f32], [h, w]: [usize; 2]) -> Vec<f32> {
    let mirrored = |at: isize, side: usize| {
        let last = side as isize - 1;
        (last - (last - at.abs()).abs()).clamp(0, last) as usize
    };
    let weighted = |at: usize, side: usize, pixel: &dyn Fn(usize) -> f32| {
        (0..5).map(|tap| TAPS[tap] * pixel(mirrored((at + tap) as isize - 2, side))).sum::<f32>()
    };
    let mut across = vec![0.0; planes.len()];
    for (from, to) in planes.chunks_exact(w).zip(across.chunks_exact_mut(w)) {
        to.iter_mut().enumerate().for_each(|(x, y)| *y = weighted(x, w, &|x| from[x]));
    }
    let mut both = vec![0.0; planes.len()];
    for (from, to) in across.chunks_exact(h * w).zip(both.chunks_exact_mut(h * w)) {
        to.iter_mut().enumerate().for_each(|(i, value)| *value = weighted(i / w, h, &|y| from[y * w + i % w]));
    }
    both
}

/// Returns patches whose channels have mean 0 and variance 1 over all of them; a constant channel becomes 0.
fn normalized(patches: &Features) -> Result<Features> {
    let area = SIDE * SIDE;
    let channels = patches.dim() / area;
    let statistics: Vec<[f64; 2]> = (0..channels)
        .map(|c| {
            let values = || patches.rows().flat_map(|row| &row[c * area..][..area]).map(|x| f64::from(*x));
            let count = (patches.len() * area) as f64;
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            [mean, variance.sqrt().max(f64::from(f32::MIN_POSITIVE))]
        })
        .collect();
    let scaled = patches.values().iter().enumerate().map(|(i, x)| {
        let [mean, deviation] = statistics[i / area % channels];
        ((f64::from(*x) - mean) / deviation) as f32
    });
    Features::new(scaled.collect(), patches.dim())
}

/// Returns `count` of the samples, spread evenly over all of them.
fn spread(features: &Features, count: usize) -> Features {
    let n = features.len();
    features.pick(&(0..count.min(n)).map(|i| i * n / count.min(n)).collect::<Vec<_>>())
}

/// Returns the distance at each level, from the largest to the smallest.
fn distances(real: &Patches, generated: &Patches, rng: &mut Rng) -> Result<Vec<f64>> {
    real.check("real")?;
    generated.check("generated")?;
    if real.shape != generated.shape {
        return Err(Error::values(
            "images",
            "real and generated ones have different sizes: resize them to one (data.size)",
        ));
    }
    let at = |(real, generated): (&Features, &Features)| {
        let n = real.len().min(generated.len());
        let [real, generated] = [normalized(&spread(real, n))?, normalized(&spread(generated, n))?];
        Ok(1000.0 * swd::first_order(&real, &generated, LINES, rng)?)
    };
    real.levels.iter().zip(&generated.levels).map(at).collect()
}

/// The distance of patches, as the mean over the levels.
pub(super) static SWD_PATCHES: Metric = Metric {
    needs: Needs::Images,
    in_evaluation: &[DataKind::Images],
    ..Metric::new(
        "swd_patches",
        "Sliced Wasserstein distance of patches, ×10³",
        Better::Lower,
        "Karras et al. 2018, arXiv:1710.10196",
        measure,
    )
};

fn measure(inputs: &Inputs<'_>) -> Result<Measured> {
    let key = SWD_PATCHES.key;
    let real = inputs.real_patches.ok_or_else(|| lacks(key, "images"))?;
    let generated = inputs.patches.ok_or_else(|| lacks(key, "images"))?;
    let levels = distances(real, generated, &mut inputs.rng("patches"))?;
    Ok((levels.iter().sum::<f64>() / levels.len() as f64).into())
}

#[cfg(test)]
mod tests;
