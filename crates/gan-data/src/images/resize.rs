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
    resize_part(image, size, filter, [0, 0], size)
}

/// The window of size `part` at `corner` = `[top, left]` of `image` at `size`: the same bytes, without making the rest.
pub(super) fn resize_part(
    image: &Pixels,
    size: [usize; 2],
    filter: Filter,
    corner: [usize; 2],
    part: [usize; 2],
) -> Pixels {
    let [rows, columns] = [0, 1].map(|i| {
        let mut taps = taps(image.size[i], size[i], filter);
        taps.drain(..corner[i]);
        taps.truncate(part[i]);
        taps
    });
    // Only the input's rows that some output row needs are resized.
    let first = rows.first().map_or(0, |tap| tap.start);
    let end = rows.last().map_or(0, |tap| tap.start + tap.weights.len());
    let channels = image.channels;
    let length = image.size[1] * channels;
    let passes = Passes { bytes: &image.bytes[first * length..end * length], length, channels, first, rows, columns };
    Pixels { size: part, channels, bytes: pulp::Arch::new().dispatch(passes) }
}

/// Both passes over some of an image's rows, `length` bytes each, from row number `first` on.
struct Passes<'a> {
    bytes: &'a [u8],
    length: usize,
    channels: usize,
    first: usize,
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

/// Compiled once for each set of vector instructions: everything that is inlined here.
impl pulp::WithSimd for Passes<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Vec<u8> {
        let across = match self.channels {
            1 => across::<1, 1>(self.bytes, self.length, &self.columns),
            _ => across::<3, 4>(self.bytes, self.length, &self.columns),
        };
        down(&across, self.columns.len() * self.channels, self.first, &self.rows)
    }
}

/// The taps of each of `to` outputs over `from` inputs.
fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    if from == to {
        return (0..to).map(|start| Taps { start, weights: vec![1 << BITS] }).collect();
    }
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

/// Every row of `length` bytes resized. A pixel's `C` channels are summed in `L` lanes: four lanes fit a vector register, three
/// do not. The fourth reads the next pixel's first byte, and what it makes is overwritten by the next pixel.
#[inline(always)]
fn across<const C: usize, const L: usize>(image: &[u8], length: usize, taps: &[Taps]) -> Vec<u8> {
    let rows = image.len() / length;
    let mut bytes = vec![0; rows * taps.len() * C + L - C];
    let mut padded = vec![0; length + L - C];
    for (row, to) in image.chunks_exact(length).zip((0..).step_by(taps.len() * C)) {
        padded[..length].copy_from_slice(row);
        for (tap, to) in taps.iter().zip((to..).step_by(C)) {
            let mut sums = [HALF; L];
            let inputs = padded[tap.start * C..].windows(L).step_by(C);
            for (pixel, &weight) in inputs.zip(&tap.weights) {
                (0..L).for_each(|lane| sums[lane] += i32::from(pixel[lane]) * weight);
            }
            bytes[to..to + L].copy_from_slice(&sums.map(byte));
        }
    }
    bytes.truncate(rows * taps.len() * C);
    bytes
}

/// Every column resized, a row of `length` bytes at a time. The image begins with row number `first`.
#[inline(always)]
fn down(image: &[u8], length: usize, first: usize, taps: &[Taps]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(taps.len() * length);
    let mut sums = vec![0; length];
    for tap in taps {
        sums.fill(HALF);
        for (row, &weight) in image[(tap.start - first) * length..].chunks_exact(length).zip(&tap.weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += i32::from(byte) * weight);
        }
        bytes.extend(sums.iter().map(|&sum| byte(sum)));
    }
    bytes
}

/// A sum as a byte: kernels with negative parts overshoot.
#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}
