//! im2col: windows unfolded into rows, for every convolution without a Winograd algorithm.

use crate::spec::{Problem, reach};
use std::ops::Range;

/// Taps that read neighboring pixels of one source row.
#[derive(Clone, Copy, Debug)]
struct Run {
    dy: isize,
    dx: isize,
    taps: usize,
}

/// A grid of windows over an image `[H, W, C]`.
#[derive(Clone, Debug)]
pub(super) struct Im2col {
    pub samples: usize,
    /// Number of windows in each direction.
    pub grid: [usize; 2],
    source: [usize; 2],
    channels: usize,
    /// Distance between two pixels.
    pitch: usize,
    stride: [usize; 2],
    runs: Vec<Run>,
    /// Taps of the kernel in the rows' order.
    pub taps: Vec<usize>,
}

impl Im2col {
    /// Returns the windows of a convolution over x.
    pub fn forward(p: &Problem) -> Self {
        let [kh, kw] = p.kernel;
        let at = |axis: usize, k: usize| (k * p.spec.dilation[axis]) as isize - p.spec.padding.before()[axis] as isize;
        let taps = (0..kh * kw).map(|tap| (tap, [at(0, tap / kw), at(1, tap % kw)]));
        Self::new(p.samples, p.output, p.input, [p.in_channels, p.pitch()[0]], p.spec.stride, taps)
    }

    /// Returns the windows over y that contribute to the pixels of x of one parity (of `stride` parities on each axis); `None` if there are
    /// no pixels.
    pub fn backward(p: &Problem, parity: [usize; 2]) -> Option<Self> {
        let lines = |axis: usize| {
            let stride = p.spec.stride[axis] as isize;
            let start = parity[axis] + p.spec.padding.before()[axis];
            // Pixel i meets tap k at output (i + padding − k·dilation) / stride, if that is whole. Taps in descending order read outputs
            // in ascending order.
            let taps = (0..p.kernel[axis]).rev().filter_map(move |k| {
                let at = start as isize - (k * p.spec.dilation[axis]) as isize;
                (at.rem_euclid(stride) == 0).then(|| (k, at.div_euclid(stride)))
            });
            taps.collect::<Vec<_>>()
        };
        let grid = [0, 1].map(|i| p.input[i].saturating_sub(parity[i]).div_ceil(p.spec.stride[i]));
        if grid.contains(&0) {
            return None;
        }
        let across = lines(1);
        let tap = |(ky, dy): (usize, isize), (kx, dx): (usize, isize)| (ky * p.kernel[1] + kx, [dy, dx]);
        let taps = lines(0).into_iter().flat_map(|down| across.iter().map(move |across| tap(down, *across)));
        Some(Self::new(p.samples, grid, p.output, [p.out_channels, p.pitch()[1]], [1, 1], taps))
    }

    fn new(
        samples: usize,
        grid: [usize; 2],
        source: [usize; 2],
        [channels, pitch]: [usize; 2],
        stride: [usize; 2],
        offsets: impl Iterator<Item = (usize, [isize; 2])>,
    ) -> Self {
        let mut runs = Vec::<Run>::new();
        let mut taps = vec![];
        for (tap, [dy, dx]) in offsets {
            taps.push(tap);
            match runs.last_mut() {
                // The channels of one group are not adjacent to those of the next pixel.
                Some(run) if pitch == channels && run.dy == dy && run.dx + run.taps as isize == dx => run.taps += 1,
                _ => runs.push(Run { dy, dx, taps: 1 }),
            }
        }
        Self { samples, grid, source, channels, pitch, stride, runs, taps }
    }

    /// Returns the number of values in a row: taps × channels.
    pub fn width(&self) -> usize {
        self.taps.len() * self.channels
    }

    /// Returns whether the windows are the image's own pixels in order.
    pub fn is_plain(&self) -> bool {
        let own = matches!(self.runs[..], [Run { dy: 0, dx: 0, taps: 1 }]);
        own && self.stride == [1, 1] && self.grid == self.source && self.pitch == self.channels
    }

    /// Returns the number of windows of all samples.
    pub fn rows(&self) -> usize {
        self.samples * self.grid[0] * self.grid[1]
    }

    /// Returns the number of values from the first to the last that the windows can read.
    pub fn source_len(&self) -> usize {
        reach(self.samples * self.source[0] * self.source[1], self.channels, self.pitch)
    }

    /// Returns sample, row and column of a window.
    pub fn place(&self, row: usize) -> [usize; 3] {
        let [down, across] = self.grid;
        [row / (down * across), row / across % down, row % across]
    }

    /// Writes the numbers `range` of window `row` over x `[N, H, W, C]`, with zeros outside the image.
    ///
    /// # Safety
    /// x holds all samples, and `to` has room for the range.
    #[inline(always)]
    pub unsafe fn unfold(&self, x: &[f32], row: usize, range: Range<usize>, to: *mut f32) {
        let [n, gy, gx] = self.place(row);
        let [h, w] = self.source;
        let c = self.channels;
        let mut start = 0;
        for run in &self.runs {
            let end = start + run.taps * c;
            let from = start.max(range.start);
            let until = end.min(range.end);
            if from < until {
                let y = (gy * self.stride[0]) as isize + run.dy;
                // Positions along the source row, in numbers, relative to its first.
                let pitch = self.pitch as isize;
                let first = ((gx * self.stride[1]) as isize + run.dx) * pitch + (from - start) as isize;
                let len = until - from;
                let line = w as isize * pitch;
                let inside = y >= 0 && y < h as isize;
                let before = (-first).clamp(0, len as isize) as usize;
                let end = if inside { (line - first).clamp(before as isize, len as isize) as usize } else { before };
                // SAFETY: reads stay inside the source row, writes inside the range.
                unsafe {
                    let to = to.add(from - range.start);
                    if before > 0 {
                        std::ptr::write_bytes(to, 0, before);
                    }
                    if before < end {
                        let at = (n * h + y as usize) as isize * line + first + before as isize;
                        std::ptr::copy_nonoverlapping(x.as_ptr().offset(at), to.add(before), end - before);
                    }
                    if end < len {
                        std::ptr::write_bytes(to.add(end), 0, len - end);
                    }
                }
            }
            start = end;
        }
    }
}
