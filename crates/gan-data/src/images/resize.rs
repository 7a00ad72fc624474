//! Resizing, anti-aliased: to the byte what Pillow's `Image.resize` does.
//!
//! Every output pixel is a weighted mean of the input's around it, first along the rows, then down the columns. Weights are
//! fixed-point numbers of 22 bits, and what lies between the two passes is rounded to bytes, as in Pillow. (Pillow 13 takes
//! the passes in the other order where the height shrinks much more than the width.)

use super::pixels::Pixels;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The kernel that weighs the neighbours of a pixel; making an image smaller, it is widened by the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// A triangle: torchvision's default.
    #[default]
    Bilinear,
    /// Keys' cubic with a = −1/2 (Keys 1981, "Cubic convolution interpolation for digital image processing"): sharper.
    Bicubic,
    /// Lanczos' with three lobes: the sharpest.
    Lanczos,
}

impl Filter {
    /// The kernel is 0 beyond this distance.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The kernel's value at distance `x`.
    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            _ if x >= self.support() => 0.0,
            Self::Bilinear => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos => sinc(x) * sinc(x / 3.0),
        }
    }
}

/// sin(πx) / πx
fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Bits behind the point of a weight: the sum of 255 times each stays below 2³¹, overshoot included.
const BITS: u32 = 22;

/// One half, so that cutting off the bits behind the point rounds.
const HALF: i32 = 1 << (BITS - 1);

/// Which inputs make an output: those from `start` on, each with its weight.
struct Taps {
    start: usize,
    weights: Vec<i32>,
}

/// `image` at `size` = `[H, W]`, which must not have a side of 0.
#[must_use]
pub fn resize(image: &Pixels, size: [usize; 2], filter: Filter) -> Pixels {
    let [height, width] = size;
    let mut done = image.clone();
    if width != image.size[1] {
        let taps = taps(image.size[1], width, filter);
        done.bytes = if image.channels == 1 { across::<1>(image, &taps) } else { across::<3>(image, &taps) };
        done.size[1] = width;
    }
    if height != image.size[0] {
        done.bytes = down(&done, &taps(image.size[0], height, filter));
        done.size[0] = height;
    }
    done
}

/// The taps of each of `to` outputs over `from` inputs.
fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let reach = filter.support() * stretch;
    let one = |output: usize| {
        let centre = (output as f64 + 0.5) * scale;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weigh = |input: usize| filter.weight((input as f64 - centre + 0.5) / stretch);
        let sum: f64 = (start..end).map(weigh).sum();
        let fixed = |weight: f64| (weight / sum * f64::from(1 << BITS)).round() as i32;
        Taps { start, weights: (start..end).map(|input| fixed(weigh(input))).collect() }
    };
    (0..to).map(one).collect()
}

/// Every row resized.
fn across<const C: usize>(image: &Pixels, taps: &[Taps]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(image.size[0] * taps.len() * C);
    for row in image.bytes.chunks_exact(image.size[1] * C) {
        for tap in taps {
            let mut sums = [HALF; C];
            for (pixel, &weight) in row[tap.start * C..].chunks_exact(C).zip(&tap.weights) {
                (0..C).for_each(|channel| sums[channel] += i32::from(pixel[channel]) * weight);
            }
            bytes.extend(sums.map(byte));
        }
    }
    bytes
}

/// Every column resized, a row at a time.
fn down(image: &Pixels, taps: &[Taps]) -> Vec<u8> {
    let length = image.size[1] * image.channels;
    let mut bytes = Vec::with_capacity(taps.len() * length);
    let mut sums = vec![0; length];
    for tap in taps {
        sums.fill(HALF);
        for (row, &weight) in image.bytes[tap.start * length..].chunks_exact(length).zip(&tap.weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += i32::from(byte) * weight);
        }
        bytes.extend(sums.iter().map(|&sum| byte(sum)));
    }
    bytes
}

/// A sum as a byte: kernels with negative parts overshoot.
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}
