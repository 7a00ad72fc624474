//! Which tiles of which grids a Winograd convolution works on.
//!
//! A 4×4 stride-2 convolution is the sum of four 2×2 stride-1 convolutions, one over each parity of the input's rows and
//! columns. Its transpose is four independent 2×2 convolutions, one for each parity of the result: nothing is scattered. A 3×3
//! stride-1 convolution and its transpose are one grid each. All are described here in the same way.

use super::super::problem::Problem;

/// A convolution over one grid of source pixels with a small dense filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// The source pixel under the filter's first tap for the grid's first output.
    pub offset: [isize; 2],
    /// Which of the kernel's taps stands at place (a, b) of the filter.
    pub taps: [[usize; 3]; 3],
}

/// A grid of the target, and what is summed into it.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// Its first pixel.
    pub offset: [usize; 2],
    pub phases: Vec<Phase>,
}

/// A whole pass from a source to a target.
#[derive(Clone, Debug)]
pub(super) struct Slide {
    pub samples: usize,
    pub source: [usize; 2],
    pub target: [usize; 2],
    /// Channels of source and target.
    pub channels: [usize; 2],
    /// Distance between a grid's pixels in the source and in the target.
    pub source_stride: usize,
    pub target_stride: usize,
    /// Tiles down and across, enough for the largest grid.
    pub tiles: [usize; 2],
    pub outputs: Vec<Output>,
}

impl Slide {
    /// How many tiles there are in all samples.
    pub fn count(&self) -> usize {
        self.samples * self.tiles[0] * self.tiles[1]
    }

    /// Sample, row and column of a tile.
    #[inline(always)]
    pub fn place(&self, tile: usize) -> [usize; 3] {
        let [down, across] = self.tiles;
        [tile / (down * across), tile / across % down, tile % across]
    }

    /// Every phase, in the order of the packed weights.
    pub fn phases(&self) -> impl Iterator<Item = Phase> {
        self.outputs.iter().flat_map(|o| o.phases.iter().copied())
    }
}

/// Taps of a filter along one axis: which kernel rows, and the first source row relative to the output's.
#[derive(Clone, Copy)]
struct Line {
    offset: isize,
    taps: [usize; 3],
    start: usize,
}

fn phase(down: Line, across: Line, kernel_width: usize) -> Phase {
    let tap = |a: usize, b: usize| down.taps[a] * kernel_width + across.taps[b];
    Phase { offset: [down.offset, across.offset], taps: std::array::from_fn(|a| std::array::from_fn(|b| tap(a, b))) }
}

fn pairs(lines: [&[Line]; 2]) -> impl Iterator<Item = (Line, Line)> {
    lines[0].iter().flat_map(move |d| lines[1].iter().map(move |a| (*d, *a)))
}

/// y from x, with tiles of `m` outputs.
pub(super) fn forward(p: &Problem, m: usize) -> Slide {
    let lines = |axis: usize| -> Vec<Line> {
        let before = p.spec.padding.before()[axis] as isize;
        match p.spec.stride[axis] {
            // Kernel row 2a + parity reads input row 2·(o + a) + parity − padding.
            2 => (0..2).map(|q| Line { offset: q as isize - before, taps: [q, q + 2, 0], start: 0 }).collect(),
            _ => vec![Line { offset: -before, taps: [0, 1, 2], start: 0 }],
        }
    };
    let (down, across) = (lines(0), lines(1));
    let phases = pairs([&down, &across]).map(|(d, a)| phase(d, a, p.kernel[1])).collect();
    Slide {
        samples: p.samples,
        source: p.input,
        target: p.output,
        channels: [p.in_channels, p.out_channels],
        source_stride: p.spec.stride[0],
        target_stride: 1,
        tiles: p.output.map(|n| n.div_ceil(m)),
        outputs: vec![Output { offset: [0, 0], phases }],
    }
}

/// x's gradient from y's, which is also the transposed convolution.
pub(super) fn input_grad(p: &Problem, m: usize) -> Slide {
    let stride = p.spec.stride[0];
    let lines = |axis: usize| -> Vec<Line> {
        let before = p.spec.padding.before()[axis];
        match stride {
            // Input row i meets kernel row q + 2a with q the parity of i + padding, at output row (i + padding − q)/2 − a.
            2 => (0..2)
                .map(|q| {
                    let start = (q + before) % 2;
                    let offset = ((start + before - q) / 2) as isize - 1;
                    Line { offset, taps: [q + 2, q, 0], start }
                })
                .collect(),
            _ => vec![Line { offset: before as isize - 2, taps: [2, 1, 0], start: 0 }],
        }
    };
    let (down, across) = (lines(0), lines(1));
    let outputs = pairs([&down, &across])
        .map(|(d, a)| Output { offset: [d.start, a.start], phases: vec![phase(d, a, p.kernel[1])] })
        .collect();
    Slide {
        samples: p.samples,
        source: p.output,
        target: p.input,
        channels: [p.out_channels, p.in_channels],
        source_stride: 1,
        target_stride: stride,
        tiles: p.input.map(|n| n.div_ceil(stride).div_ceil(m)),
        outputs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::{ConvSpec, Padding};

    /// Every pair (input pixel, tap) that a convolution sums must appear exactly once, in both directions.
    #[test]
    fn phases_meet_every_pixel_and_tap_once() {
        for (kernel, stride) in [(4usize, 2usize), (3, 1)] {
            for (top, left, h, w) in [(1, 1, 8, 8), (0, 2, 7, 9), (3, 1, 6, 5), (2, 0, 5, 11)] {
                let padding = Padding { top, bottom: 1, left, right: 2 };
                let spec = ConvSpec { stride: [stride; 2], padding, ..ConvSpec::default() };
                let output = spec.output_size([h, w], [kernel; 2]).unwrap();
                let p = Problem {
                    spec,
                    samples: 1,
                    in_channels: 1,
                    out_channels: 1,
                    input: [h, w],
                    output,
                    kernel: [kernel; 2],
                };
                let mut expected = vec![];
                for o in 0..output[0] * output[1] {
                    for tap in 0..kernel * kernel {
                        let at = |axis: usize, o: usize, k: usize| (o * stride + k).checked_sub(padding.before()[axis]);
                        let (y, x) = (at(0, o / output[1], tap / kernel), at(1, o % output[1], tap % kernel));
                        if let (Some(y), Some(x)) = (y, x)
                            && y < h
                            && x < w
                        {
                            expected.push((o, tap, y * w + x));
                        }
                    }
                }
                expected.sort_unstable();
                let taps = if stride == 2 { 2 } else { 3 };
                assert_eq!(met(&forward(&p, 4), taps, false), expected);
                assert_eq!(met(&input_grad(&p, 4), taps, true), expected);
            }
        }
    }

    /// (output pixel, tap, input pixel) of all products, whichever of the two is the pass's source.
    fn met(slide: &Slide, taps: usize, swapped: bool) -> Vec<(usize, usize, usize)> {
        let mut all = vec![];
        for output in &slide.outputs {
            for i in 0..slide.tiles[0] * 4 * slide.tiles[1] * 4 {
                let (gy, gx) = (i / (slide.tiles[1] * 4), i % (slide.tiles[1] * 4));
                let to = [gy, gx].map(|g| g * slide.target_stride);
                let to = [to[0] + output.offset[0], to[1] + output.offset[1]];
                if to[0] >= slide.target[0] || to[1] >= slide.target[1] {
                    continue;
                }
                for phase in &output.phases {
                    for ab in 0..taps * taps {
                        let (a, b) = (ab / taps, ab % taps);
                        let y = ((gy + a) * slide.source_stride) as isize + phase.offset[0];
                        let x = ((gx + b) * slide.source_stride) as isize + phase.offset[1];
                        if y < 0 || x < 0 || y >= slide.source[0] as isize || x >= slide.source[1] as isize {
                            continue;
                        }
                        let from = y as usize * slide.source[1] + x as usize;
                        let to = to[0] * slide.target[1] + to[1];
                        let (o, i) = if swapped { (from, to) } else { (to, from) };
                        all.push((o, phase.taps[a][b], i));
                    }
                }
            }
        }
        all.sort_unstable();
        all
    }
}
