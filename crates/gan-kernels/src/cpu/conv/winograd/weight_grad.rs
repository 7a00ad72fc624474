//! The gradient of the weights: sums over tiles of transformed inputs times transformed gradients, with one product per filter point.

use super::plan::{Phase, Slide};
use super::slide::{pixels, transformed};
use super::transform::{MOST, Tile, gradient2, load_points, store_words, taps_gradient2};
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{APART, BY_COLUMNS, Format, Next, Onto, PANEL, Product, multiply};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::marker::PhantomData;

/// Number of tiles whose transforms are held at once. Sums run over chunks in order, so that no thread count changes a bit.
const CHUNK: usize = 256;
/// Channels of x times channels of dy from which weights are large.
const LARGE: usize = 1 << 16;
/// Number of tiles of the gradient per task.
const TILES: usize = 32;
/// Number of input channels per task.
const ROWS: usize = 64;

/// Computes the gradient of taps-major weights `[tap][C][O]` from x `[N, H, W, C]` and dy `[N, H', W', O]`, over the tiles `slide` of the
/// forward pass.
pub(super) fn run<P: Format, W: Tile>(level: Level, slide: &Slide, x: &[f32], dy: &[f32], onto: Onto, dw: &mut [f32]) {
    let [k, n] = slide.channels;
    slide.assert_lengths(x, dy);
    assert!(dw.len() >= slide.weights(), "gradients for all phases");
    let points = W::ALL;
    let columns = n.next_multiple_of(PANEL);
    let count = slide.count();
    // Sums of large weights over several chunks would take more memory than the transforms of all tiles.
    let chunk = if k * n >= LARGE && count <= 2 * CHUNK { 2 * CHUNK } else { CHUNK };
    let chunk = chunk.min(count.next_multiple_of(P::PAIR));
    let phases: Vec<Phase> = slide.phases().collect();
    let groups = k.div_ceil(ROWS);
    let zeros = Buffer::zeros(k.next_multiple_of(LANES));
    let mut transformed = Buffer::any(points * (chunk.div_ceil(P::PAIR) * columns + APART));
    let one_task = points * (ROWS * columns + APART);
    let one_chunk = chunk >= count;
    let mut sums = Buffer::any(if one_chunk { 0 } else { phases.len() * groups * one_task });
    let b = Shared::new(&mut transformed);
    let c = Shared::new(&mut sums);
    let dw = Shared::new(dw);
    for first in (0..count).step_by(chunk) {
        let part = Part { slide, first, count: chunk.min(count - first), columns };
        each(part.count.div_ceil(TILES), |task| {
            let tiles = task * TILES..((task + 1) * TILES).min(part.count);
            let job = Gradients::<P, W> { part, dy, tiles, to: b, kind: PhantomData };
            // SAFETY: dy has the length that the grid requires, as checked above; B has room for the tiles of a chunk, and tasks write
            // different ones.
            unsafe { level.run(job) }
        });
        each(phases.len() * groups, |task| {
            let rows = task % groups * ROWS;
            let job = Rows::<P, W> {
                part,
                x,
                phase: &phases[task / groups],
                zeros: &zeros,
                b,
                c: (!one_chunk).then(|| c.ahead(task * one_task)),
                channels: rows..k.min(rows + ROWS),
                dw: (first + chunk >= count).then_some((dw, onto)),
                kind: PhantomData,
            };
            // SAFETY: x, dw and the sums have the lengths that the grid requires, as checked above; tasks write different rows.
            unsafe { level.run(job) }
        });
    }
}

/// A chunk of tiles.
#[derive(Clone, Copy)]
struct Part<'a> {
    slide: &'a Slide,
    first: usize,
    count: usize,
    columns: usize,
}

/// Transforms tiles of dy into B, `[point][panel][tile words][32]`.
struct Gradients<'a, P, W> {
    part: Part<'a>,
    dy: &'a [f32],
    tiles: std::ops::Range<usize>,
    to: Shared,
    kind: PhantomData<(P, W)>,
}

impl<P: Format, W: Tile> Gradients<'_, P, W> {
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, tile: usize, channel: usize) -> [[S; MOST]; MOST] {
        let slide = self.part.slide;
        let [h, w] = slide.target;
        let n_channels = slide.channels[1];
        // SAFETY: pixels are checked against the image, channels against their number.
        unsafe {
            let mut d = [[S::zero(); 4]; 4];
            if tile < self.part.count && channel < n_channels {
                let [n, ty, tx] = slide.place(self.part.first + tile);
                let lanes = LANES.min(n_channels - channel);
                let [y0, x0] = slide.first([ty, tx]);
                for (i, d) in d.iter_mut().enumerate().take(W::OUTPUTS[0].min(h - y0)) {
                    for (j, d) in d.iter_mut().enumerate().take(W::OUTPUTS[1].min(w - x0)) {
                        let pixel = (n * h + y0 + i) * w + x0 + j;
                        *d = S::load_upto(self.dy.as_ptr().add(pixel * slide.pitch[1] + channel), lanes);
                    }
                }
            }
            gradient2::<S, W>(&d)
        }
    }
}

impl<P: Format, W: Tile> Job for Gradients<'_, P, W> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let words = self.part.count.div_ceil(P::PAIR);
        for tile in self.tiles.clone().step_by(P::PAIR) {
            for channel in (0..self.part.columns).step_by(LANES) {
                // SAFETY: B has a part for every point, in it a panel for every 32 channels and a row for every word.
                unsafe {
                    let first = self.tile::<S>(tile, channel);
                    let second = if P::PAIR == 2 { self.tile::<S>(tile + 1, channel) } else { first };
                    let row = (channel / PANEL) * words + tile / P::PAIR;
                    let to = self.to.get().add(row * PANEL + channel % PANEL);
                    store_words::<S, P, W>(&first, &second, to, words * self.part.columns + APART);
                }
            }
        }
    }
}

/// Transforms some channels of x under one phase into A by columns, multiplies, and with the last chunk writes their part of dw.
struct Rows<'a, P, W> {
    part: Part<'a>,
    x: &'a [f32],
    phase: &'a Phase,
    zeros: &'a [f32],
    b: Shared,
    /// Sums that continue from chunk to chunk; `None` if there is one chunk.
    c: Option<Shared>,
    channels: std::ops::Range<usize>,
    dw: Option<(Shared, Onto)>,
    kind: PhantomData<(P, W)>,
}

impl<P: Format, W: Tile> Rows<'_, P, W> {
    /// Writes A by columns, `[point][tile words][ROWS]`.
    #[inline(always)]
    unsafe fn inputs<S: Simd>(&self, a: *mut f32, words: usize) {
        let Part { slide, first, count, .. } = self.part;
        let outside: [[*const f32; MOST]; MOST] = [[self.zeros.as_ptr(); MOST]; MOST];
        for tile in (0..count).step_by(P::PAIR) {
            // SAFETY: tiles beyond the last one are zeros; channels lie inside a pixel's.
            unsafe {
                let one = pixels::<W>(slide, self.phase, self.x, self.zeros, first + tile);
                let two = if P::PAIR == 1 {
                    one
                } else if tile + 1 < count {
                    pixels::<W>(slide, self.phase, self.x, self.zeros, first + tile + 1)
                } else {
                    outside
                };
                for channel in self.channels.clone().step_by(LANES) {
                    let lanes = LANES.min(self.channels.end - channel);
                    let d1 = transformed::<S, W>(&one, channel, lanes);
                    let d2 = if P::PAIR == 2 { transformed::<S, W>(&two, channel, lanes) } else { d1 };
                    let to = a.add(tile / P::PAIR * ROWS + channel - self.channels.start);
                    store_words::<S, P, W>(&d1, &d2, to, words * ROWS + APART);
                }
            }
        }
    }

    /// Transforms the sums back, into or onto dw.
    #[inline(always)]
    unsafe fn taps<S: Simd>(&self, c: *const f32, dw: Shared, onto: Onto) {
        let [k, n] = self.part.slide.channels;
        let columns = self.part.columns;
        for channel in self.channels.clone() {
            for column in (0..n).step_by(LANES) {
                // SAFETY: sums have ROWS rows of `columns` for every point; (tap, channel) is a row of dw.
                unsafe {
                    let row = c.add((channel - self.channels.start) * columns + column);
                    let g = taps_gradient2::<S, W>(&load_points::<S, W>(row, ROWS * columns + APART));
                    let lanes = LANES.min(n - column);
                    for a in 0..W::TAPS {
                        for b in 0..W::TAPS {
                            let to = dw.get().add((self.phase.taps[a][b] * k + channel) * n + column);
                            let old = if onto == Onto::Sum { S::load_upto(to, lanes) } else { S::zero() };
                            (old + g[a][b]).store_upto(to, lanes);
                        }
                    }
                }
            }
        }
    }
}

impl<P: Format, W: Tile> Job for Rows<'_, P, W> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let points = W::ALL;
        let columns = self.part.columns;
        let words = self.part.count.div_ceil(P::PAIR);
        let mut a = Buffer::any(points * (words * ROWS + APART));
        let mut own = Buffer::any(if self.c.is_none() { points * (ROWS * columns + APART) } else { 0 });
        let c = self.c.map_or(own.as_mut_ptr(), Shared::get);
        // SAFETY: a, b and the sums have a part of the named size for every point.
        unsafe {
            self.inputs::<S>(a.as_mut_ptr(), words);
            for point in 0..points {
                multiply::<S, P, BY_COLUMNS>(Product {
                    m: self.channels.len(),
                    n: self.part.slide.channels[1].next_multiple_of(LANES),
                    k: words,
                    a: a.as_ptr().add(point * (words * ROWS + APART)),
                    a_step: ROWS,
                    b: self.b.get().add(point * (words * columns + APART)),
                    b_step: words * PANEL,
                    b_row: PANEL,
                    c: c.add(point * (ROWS * columns + APART)),
                    c_step: columns,
                    onto: if self.part.first == 0 { Onto::Fresh } else { Onto::Sum },
                    next: Next::NOTHING,
                });
            }
            if let Some((dw, onto)) = self.dw {
                self.taps::<S>(c, dw, onto);
            }
        }
    }
}
