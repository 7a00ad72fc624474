//! Resizing, anti-aliased: to the byte what Pillow's `Image.resize` does.
//!
//! Every output pixel is a weighted mean of the input's around it, first along the rows, then down the columns. Weights are
//! fixed-point numbers of 22 bits, and what lies between the two passes is rounded to bytes, as in Pillow. (Pillow 13 takes
//! the passes in the other order where the height shrinks much more than the width.)

use super::pixels::Pixels;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
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

impl Taps {
    fn end(&self) -> usize {
        self.start + self.weights.len()
    }
}

/// The most weights of columns that are in memory at once, but for those of a single column: wide images take several passes.
const MOST_WEIGHTS: usize = 1 << 20;

/// Outputs with more weights than these pass the rounding error of each weight on to the next: most weights are so small there
/// that rounding alone would decide about the sum.
const MANY_WEIGHTS: usize = 1 << 16;

/// `image` at `size` = `[H, W]`, which must not have a side of 0.
#[must_use]
pub(super) fn resize(image: &Pixels, size: [usize; 2], filter: Filter) -> Pixels {
    resize_part(image, size, filter, [0, 0], size)
}

/// The window of size `part` at `corner` = `[top, left]` of `image` at `size`: the same bytes, without making the rest. Memory and
/// time go with the image and the window, whatever `size` is.
pub(super) fn resize_part(
    image: &Pixels,
    size: [usize; 2],
    filter: Filter,
    corner: [usize; 2],
    part: [usize; 2],
) -> Pixels {
    if !matches!(image.channels, 1 | 3 | 4) {
        return by_channel(image, |plane| resize_part(plane, size, filter, corner, part));
    }
    let [rows, columns] = [0, 1].map(|i| Axis { from: image.size[i], to: size[i], filter });
    let mut resized =
        Pixels { size: part, channels: image.channels, bytes: vec![0; part[0] * part[1] * image.channels] };
    let mut done = 0;
    while done < part[1] {
        let mut weights = 0;
        let fits = |taps: &Taps| {
            weights += taps.weights.len();
            weights <= MOST_WEIGHTS || weights == taps.weights.len()
        };
        let columns: Vec<Taps> =
            (done..part[1]).map(|column| columns.taps(corner[1] + column)).take_while(fits).collect();
        let rows = (corner[0]..corner[0] + part[0]).map(|row| rows.taps(row));
        let count = columns.len();
        let passes = Passes { image, columns, rows, left: done, resized: &mut resized };
        pulp::Arch::new().dispatch(passes);
        done += count;
    }
    resized
}

/// Resizes each channel as a gray image.
fn by_channel(image: &Pixels, resize: impl Fn(&Pixels) -> Pixels) -> Pixels {
    let channels = image.channels;
    let plane = |channel| Pixels {
        size: image.size,
        channels: 1,
        bytes: image.bytes.iter().skip(channel).step_by(channels).copied().collect(),
    };
    let planes: Vec<Pixels> = (0..channels).map(|channel| resize(&plane(channel))).collect();
    let size = planes.first().map_or([0; 2], |plane| plane.size);
    let bytes = (0..size[0] * size[1]).flat_map(|at| planes.iter().map(move |plane| plane.bytes[at])).collect();
    Pixels { size, channels, bytes }
}

/// One direction of an image: `from` inputs become `to` outputs.
#[derive(Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
    filter: Filter,
}

impl Axis {
    /// The taps of one output.
    fn taps(self, output: usize) -> Taps {
        let Self { from, to, filter } = self;
        if from == to {
            return Taps { start: output, weights: vec![1 << BITS] };
        }
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let reach = filter.support() * stretch;
        let centre = (output as f64 + 0.5) * scale;
        let start = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weigh = |input: usize| filter.weight((input as f64 - centre + 0.5) / stretch);
        let weights: Vec<f64> = (start..end).map(weigh).collect();
        let sum: f64 = weights.iter().sum();
        let mut error = 0.0;
        let fixed = |weight: &f64| {
            let exact = weight / sum * f64::from(1 << BITS) + error;
            let rounded = exact.round();
            if end - start > MANY_WEIGHTS {
                error = exact - rounded;
            }
            rounded as i32
        };
        Taps { start, weights: weights.iter().map(fixed).collect() }
    }
}

/// Both passes over an image for some neighbouring columns of the result, from column `left` on. `rows` are the taps of the
/// result's rows in their order.
struct Passes<'a, R> {
    image: &'a Pixels,
    columns: Vec<Taps>,
    rows: R,
    left: usize,
    resized: &'a mut Pixels,
}

/// Compiled once for each set of vector instructions: everything that is inlined here.
impl<R: Iterator<Item = Taps>> pulp::WithSimd for Passes<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        match self.image.channels {
            1 => self.run::<1, 1>(),
            4 => self.run::<4, 4>(),
            _ => self.run::<3, 4>(),
        }
    }
}

/// A row of the result that is being summed up.
struct Open {
    taps: Taps,
    sums: Vec<i32>,
}

impl<R: Iterator<Item = Taps>> Passes<'_, R> {
    /// Takes each row of the image once, resizes it and adds it to the rows of the result that need it: those are few, however high
    /// the image is.
    #[inline(always)]
    fn run<const C: usize, const L: usize>(self) {
        let mut waiting = self.rows.peekable();
        let mut open: VecDeque<Open> = VecDeque::new();
        let mut spare: Vec<Vec<i32>> = Vec::new();
        let length = self.columns.len() * C;
        let mut across = vec![0; length + L - C];
        let stride = self.image.size[1] * C;
        // Where the columns' inputs begin and end: nothing else of a row is looked at.
        let [start, end] =
            [self.columns.first().map_or(0, |taps| taps.start), self.columns.last().map_or(0, Taps::end)];
        let mut padded = vec![0; (end - start) * C + L - C];
        let mut results = self.resized.bytes.chunks_exact_mut(self.resized.size[1] * C);
        let first = waiting.peek().map_or(0, |taps| taps.start);
        for (number, row) in self.image.bytes.chunks_exact(stride).enumerate().skip(first) {
            while let Some(taps) = waiting.next_if(|taps| taps.start <= number) {
                let mut sums = spare.pop().unwrap_or_else(|| vec![0; length]);
                sums.fill(HALF);
                open.push_back(Open { taps, sums });
            }
            if open.is_empty() && waiting.peek().is_none() {
                return;
            }
            padded[..(end - start) * C].copy_from_slice(&row[start * C..end * C]);
            resize_row::<C, L>(&padded, start, &self.columns, &mut across);
            for Open { taps, sums } in &mut open {
                let weight = taps.weights[number - taps.start];
                sums.iter_mut().zip(&across).for_each(|(sum, &byte)| *sum += i32::from(byte) * weight);
            }
            // Rows end in the order in which they begin.
            while let Some(Open { sums, .. }) = open.pop_front_if(|row| row.taps.end() == number + 1) {
                let Some(result) = results.next() else { return };
                let to = &mut result[self.left * C..][..length];
                to.iter_mut().zip(&sums).for_each(|(to, &sum)| *to = byte(sum));
                spare.push(sums);
            }
        }
    }
}

/// Resizes one row, whose inputs from number `start` on are `padded`. A pixel's `C` channels are summed in `L` lanes: four lanes fit
/// a vector register, three do not. The fourth reads the next pixel's first byte, and what it makes is overwritten by the next
/// pixel.
#[inline(always)]
fn resize_row<const C: usize, const L: usize>(padded: &[u8], start: usize, columns: &[Taps], across: &mut [u8]) {
    for (taps, to) in columns.iter().zip((0..).step_by(C)) {
        let mut sums = [HALF; L];
        let inputs = padded[(taps.start - start) * C..].windows(L).step_by(C);
        for (pixel, &weight) in inputs.zip(&taps.weights) {
            (0..L).for_each(|lane| sums[lane] += i32::from(pixel[lane]) * weight);
        }
        across[to..to + L].copy_from_slice(&sums.map(byte));
    }
}

/// A sum as a byte: kernels with negative parts overshoot.
#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}
