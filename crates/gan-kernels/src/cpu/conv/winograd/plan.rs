//! Grids and tiles of a Winograd convolution.
//!
//! A 4×4 stride-2 convolution is the sum of four 2×2 stride-1 convolutions, one over each parity of the input's rows and columns. Its
//! transpose consists of four independent 2×2 convolutions, one for each parity of the result, without scattering. A 3×3 stride-1
//! convolution and its transpose are one grid each. This module describes all of them in the same way.

use crate::spec::{Problem, reach};

/// A convolution over one grid of source pixels with a small dense filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// Source pixel under the filter's first tap for the grid's first output.
    pub offset: [isize; 2],
    /// Tap of the kernel at place (a, b) of the filter.
    pub taps: [[usize; 3]; 3],
}

/// A grid of the target, and what is summed into it.
#[derive(Clone, Debug)]
pub(super) struct Output {
    /// First pixel of the grid.
    pub offset: [usize; 2],
    pub phases: Vec<Phase>,
}

/// A whole pass from a source to a target.
#[derive(Clone, Debug, Default)]
pub(super) struct Slide {
    pub samples: usize,
    pub source: [usize; 2],
    pub target: [usize; 2],
    /// Channels of source and target.
    pub channels: [usize; 2],
    /// Distance between two pixels of source and target.
    pub pitch: [usize; 2],
    /// Distance between a grid's pixels in the source and in the target.
    pub source_stride: usize,
    pub target_stride: usize,
    /// Pixels of the largest grid, down and across.
    pub grid: [usize; 2],
    /// Pixel of the grid under the first tile's first output.
    pub origin: [usize; 2],
    /// Number of outputs of a tile.
    pub step: [usize; 2],
    /// Number of tiles down and across.
    pub tiles: [usize; 2],
    pub outputs: Vec<Output>,
}

impl Slide {
    /// Returns the number of tiles in all samples.
    pub fn count(&self) -> usize {
        self.samples * self.tiles[0] * self.tiles[1]
    }

    /// Panics if the images of the two sides have other lengths than the pass requires.
    #[track_caller]
    pub fn assert_lengths(&self, source: &[f32], target: &[f32]) {
        let len = |[h, w]: [usize; 2], i: usize| reach(self.samples * h * w, self.channels[i], self.pitch[i]);
        assert!(source.len() >= len(self.source, 0), "the images that tiles are read from");
        assert!(target.len() >= len(self.target, 1), "the images that tiles are written to");
    }

    /// Returns the number of taps-major weights that its phases read.
    pub fn weights(&self) -> usize {
        let taps = self.phases().flat_map(|phase| phase.taps.into_iter().flatten()).max().map_or(0, |tap| tap + 1);
        taps * self.channels[0] * self.channels[1]
    }

    /// Returns sample, row and column of a tile.
    #[inline(always)]
    pub fn place(&self, tile: usize) -> [usize; 3] {
        let [down, across] = self.tiles;
        [tile / (down * across), tile / across % down, tile % across]
    }

    /// Returns the same pass over the part of the grid in `parts`, down and across: its start, outputs of a tile, tiles.
    pub fn part(&self, [down, across]: [Span; 2]) -> Self {
        let both = |f: fn(Span) -> usize| [f(down), f(across)];
        Self { origin: both(|s| s.start), step: both(|s| s.step), tiles: both(|s| s.tiles), ..self.clone() }
    }

    /// Returns the grid's pixel under the first output of a tile.
    #[inline(always)]
    pub fn first(&self, [ty, tx]: [usize; 2]) -> [usize; 2] {
        [self.origin[0] + ty * self.step[0], self.origin[1] + tx * self.step[1]]
    }

    /// Returns every phase, in the order of the packed weights.
    pub fn phases(&self) -> impl Iterator<Item = Phase> {
        self.outputs.iter().flat_map(|o| o.phases.iter().copied())
    }
}

/// Tiles in a row along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    /// Number of outputs of a tile.
    pub step: usize,
    pub tiles: usize,
}

/// Divides `n` pixels into tiles of `step`, the last one perhaps partly outside.
pub(super) fn whole(n: usize, step: usize) -> Span {
    Span { start: 0, step, tiles: n.div_ceil(step) }
}

/// Divides `n` pixels into tiles of four and tiles of three, none of them partly outside; all in fours if that is impossible (1, 2, 5).
pub(super) fn fours_and_threes(n: usize) -> [Span; 2] {
    let threes = (4 - n % 4) % 4;
    if 3 * threes > n {
        return [whole(n, 4), Span { start: n, step: 3, tiles: 0 }];
    }
    let fours = (n - 3 * threes) / 4;
    [Span { start: 0, step: 4, tiles: fours }, Span { start: 4 * fours, step: 3, tiles: threes }]
}

/// A filter along one axis of a grid.
#[derive(Clone, Copy)]
struct Line {
    /// First source row relative to the output's.
    offset: isize,
    /// Kernel row of each tap.
    taps: [usize; 3],
    /// First row of the grid.
    start: usize,
}

/// Returns the phases of every pair of lines, each with the first pixel of its grid.
fn pairs(p: &Problem, lines: impl Fn(usize) -> Vec<Line>) -> Vec<([usize; 2], Phase)> {
    let across = lines(1);
    let pair = |d: Line, a: Line| {
        let taps = d.taps.map(|down| a.taps.map(|across| down * p.kernel[1] + across));
        ([d.start, a.start], Phase { offset: [d.offset, a.offset], taps })
    };
    lines(0).into_iter().flat_map(|d| across.iter().map(move |a| pair(d, *a)).collect::<Vec<_>>()).collect()
}

/// Returns the pass from x to y, without tiles.
pub(super) fn forward(p: &Problem) -> Slide {
    let phases = pairs(p, |axis| {
        let before = p.spec.padding.before()[axis] as isize;
        match p.spec.stride[axis] {
            // Kernel row 2a + parity reads input row 2·(o + a) + parity − padding.
            2 => (0..2).map(|q| Line { offset: q as isize - before, taps: [q, q + 2, 0], start: 0 }).collect(),
            _ => vec![Line { offset: -before, taps: [0, 1, 2], start: 0 }],
        }
    });
    Slide {
        samples: p.samples,
        source: p.input,
        target: p.output,
        channels: [p.in_channels, p.out_channels],
        pitch: p.pitch(),
        source_stride: p.spec.stride[0],
        target_stride: 1,
        grid: p.output,
        outputs: vec![Output { offset: [0, 0], phases: phases.into_iter().map(|(_, phase)| phase).collect() }],
        ..Slide::default()
    }
}

/// Returns the pass from y's gradient to x's, which is also the transposed convolution, without tiles.
pub(super) fn input_grad(p: &Problem) -> Slide {
    let stride = p.spec.stride[0];
    let phases = pairs(p, |axis| {
        let before = p.spec.padding.before()[axis];
        // Input row i meets kernel row q + 2a with q the parity of i + padding, at output row (i + padding − q)/2 − a.
        let line = |q: usize| {
            let start = (q + before) % 2;
            Line { offset: ((start + before - q) / 2) as isize - 1, taps: [q + 2, q, 0], start }
        };
        match stride {
            2 => vec![line(0), line(1)],
            _ => vec![Line { offset: before as isize - 2, taps: [2, 1, 0], start: 0 }],
        }
    });
    Slide {
        samples: p.samples,
        source: p.output,
        target: p.input,
        channels: [p.out_channels, p.in_channels],
        pitch: [p.pitch()[1], p.pitch()[0]],
        source_stride: 1,
        target_stride: stride,
        grid: p.input.map(|n| n.div_ceil(stride)),
        outputs: phases.into_iter().map(|(offset, phase)| Output { offset, phases: vec![phase] }).collect(),
        ..Slide::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ConvSpec, Padding};

    /// Checks that every pair (input pixel, tap) of a convolution appears exactly once, in both directions.
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
                    groups: 1,
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
                        if let Some(y) = at(0, o / output[1], tap / kernel)
                            && let Some(x) = at(1, o % output[1], tap % kernel)
                            && y < h
                            && x < w
                        {
                            expected.push((o, tap, y * w + x));
                        }
                    }
                }
                expected.sort_unstable();
                let taps = if stride == 2 { 2 } else { 3 };
                assert_eq!(met(&forward(&p), taps, false), expected);
                assert_eq!(met(&input_grad(&p), taps, true), expected);
            }
        }
    }

    /// Returns (output pixel, tap, input pixel) of all products, whichever of the two is the pass's source.
    fn met(slide: &Slide, taps: usize, swapped: bool) -> Vec<(usize, usize, usize)> {
        let mut all = vec![];
        for output in &slide.outputs {
            for i in 0..slide.grid[0] * slide.grid[1] {
                let gy = i / slide.grid[1];
                let gx = i % slide.grid[1];
                let to = [gy, gx].map(|g| g * slide.target_stride);
                let to = [to[0] + output.offset[0], to[1] + output.offset[1]];
                if to[0] >= slide.target[0] || to[1] >= slide.target[1] {
                    continue;
                }
                for phase in &output.phases {
                    for ab in 0..taps * taps {
                        let a = ab / taps;
                        let b = ab % taps;
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

    #[test]
    fn tiles_of_four_and_three_cover_a_side_once() {
        for n in 0..60 {
            let [fours, threes] = fours_and_threes(n);
            let covered = 4 * fours.tiles + 3 * threes.tiles;
            assert!(if [1, 2, 5].contains(&n) { covered > n } else { covered == n }, "{n}");
            assert!(threes.tiles == 0 || threes.start == 4 * fours.tiles);
        }
    }
}
