//! A pass over tiles: transforms inputs into packed rows, computes one product per filter point, and transforms the
//! products back.

use super::plan::{Output, Phase, Slide};
use super::transform::{MOST, Tile, input2, load_points, output2};
use super::weights::{packed_len, point_words};
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{APART, BLOCK, BY_BLOCKS, Format, Next, Onto, PANEL, Product, multiply};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::marker::PhantomData;

/// Returns the approximate number of tiles per task. Their transformed inputs and products should stay in the cache, which favors few
/// tiles; each task reads all weights, which favors many if the weights are large.
fn tiles([k, n]: [usize; 2]) -> usize {
    (k * n / 512).clamp(36, 128)
}

/// Computes the part of target `[N, H', W', C]` that the tiles cover, from source `[N, H, W, K]` and weights of
/// [`super::weights::pack`].
pub(super) fn run<P: Format, W: Tile>(level: Level, slide: &Slide, x: &[f32], u: &[f32], y: &mut [f32]) {
    let count = slide.count();
    slide.assert_lengths(x, y);
    assert_eq!(u.len(), packed_len::<P, W>(slide), "weights packed for these phases");
    let tasks = count.div_ceil(tiles(slide.channels)).next_multiple_of(4);
    let size = count.div_ceil(tasks);
    let zeros = Buffer::zeros(slide.channels[0].next_multiple_of(LANES));
    let y = Shared::new(y);
    each(count.div_ceil(size.max(1)), |task| {
        let first = task * size;
        let job =
            Tiles::<P, W> { slide, x, u, y, zeros: &zeros, first, count: size.min(count - first), kind: PhantomData };
        // SAFETY: x, u and y have the lengths that the grid requires, as checked above; tasks write different tiles of y.
        unsafe { level.run(job) }
    });
}

struct Tiles<'a, P, W> {
    slide: &'a Slide,
    x: &'a [f32],
    u: &'a [f32],
    y: Shared,
    zeros: &'a [f32],
    first: usize,
    count: usize,
    kind: PhantomData<(P, W)>,
}

/// The source pixels under a tile; those outside the image point to zeros.
pub(super) type Pixels = [[*const f32; MOST]; MOST];

/// Returns the source pixels under a tile.
///
/// # Safety
/// x holds all samples of the source, and `zeros` a number for each of its channels, rounded up to whole vectors.
#[inline(always)]
pub(super) unsafe fn pixels<W: Tile>(slide: &Slide, phase: &Phase, x: &[f32], zeros: &[f32], tile: usize) -> Pixels {
    let [n, ty, tx] = slide.place(tile);
    let [h, w] = slide.source;
    let pitch = slide.pitch[0];
    let stride = slide.source_stride;
    let mut all = [[zeros.as_ptr(); MOST]; MOST];
    let [y0, x0] = slide.first([ty, tx]);
    for (i, row) in all.iter_mut().enumerate().take(W::POINTS[0]) {
        let y = ((y0 + i) * stride) as isize + phase.offset[0];
        if y < 0 || y >= h as isize {
            continue;
        }
        for (j, pixel) in row.iter_mut().enumerate().take(W::POINTS[1]) {
            let x_at = ((x0 + j) * stride) as isize + phase.offset[1];
            if x_at >= 0 && x_at < w as isize {
                // SAFETY: the pixel lies inside the image, so its channels lie inside x.
                *pixel = unsafe { x.as_ptr().add(((n * h + y as usize) * w + x_at as usize) * pitch) };
            }
        }
    }
    all
}

/// Transforms sixteen channels from `channel` on of a tile's pixels, with zeros beyond the last channel.
///
/// # Safety
/// As [`Simd`]; each pixel has `lanes` numbers from `channel` on.
#[inline(always)]
pub(super) unsafe fn transformed<S: Simd, W: Tile>(pixels: &Pixels, channel: usize, lanes: usize) -> [[S; MOST]; MOST] {
    // SAFETY: each pixel has `lanes` numbers from `channel` on.
    unsafe {
        let mut d = [[S::zero(); MOST]; MOST];
        for i in 0..W::POINTS[0] {
            for j in 0..W::POINTS[1] {
                let p = pixels[i][j].add(channel);
                d[i][j] = S::load_upto(p, lanes);
            }
        }
        input2::<S, W>(&d)
    }
}

impl<P: Format, W: Tile> Tiles<'_, P, W> {
    /// Writes the rows of A by blocks, `[point][block][tile][32 words]`.
    #[inline(always)]
    unsafe fn inputs<S: Simd>(&self, phase: &Phase, a: *mut f32) {
        let k = self.slide.channels[0];
        let in_block = BLOCK * P::PAIR;
        let point = k.div_ceil(in_block) * self.count * BLOCK + APART;
        for tile in 0..self.count {
            // SAFETY: tiles, channels and points lie inside the buffers that `run` takes for them.
            unsafe {
                let pixels = pixels::<W>(self.slide, phase, self.x, self.zeros, self.first + tile);
                for channel in (0..k).step_by(LANES) {
                    let d = transformed::<S, W>(&pixels, channel, LANES.min(k - channel));
                    let to = a.add((channel / in_block * self.count + tile) * BLOCK);
                    for i in 0..W::POINTS[0] {
                        for j in 0..W::POINTS[1] {
                            P::store(to.add((i * W::POINTS[1] + j) * point), channel % in_block, d[i][j]);
                        }
                    }
                }
            }
        }
    }

    /// Transforms products `[point][tile][columns]` into the target's pixels.
    #[inline(always)]
    unsafe fn outputs<S: Simd>(&self, output: &Output, c: *const f32, columns: usize) {
        let n_channels = self.slide.channels[1];
        let [h, w] = self.slide.target;
        let stride = self.slide.target_stride;
        let point = self.count * columns + APART;
        for tile in 0..self.count {
            let [n, ty, tx] = self.slide.place(self.first + tile);
            let [y0, x0] = self.slide.first([ty, tx]);
            for channel in (0..n_channels).step_by(LANES) {
                let lanes = LANES.min(n_channels - channel);
                // SAFETY: products lie inside `c`; pixels are checked against the image.
                unsafe {
                    let o = output2::<S, W>(&load_points::<S, W>(c.add(tile * columns + channel), point));
                    for (i, o) in o.iter().enumerate().take(W::OUTPUTS[0]) {
                        let y = (y0 + i) * stride + output.offset[0];
                        if y >= h {
                            break;
                        }
                        for (j, o) in o.iter().enumerate().take(W::OUTPUTS[1]) {
                            let x = (x0 + j) * stride + output.offset[1];
                            if x >= w {
                                break;
                            }
                            let to = self.y.get().add(((n * h + y) * w + x) * self.slide.pitch[1] + channel);
                            o.store_upto(to, lanes);
                        }
                    }
                }
            }
        }
    }
}

impl<P: Format, W: Tile> Job for Tiles<'_, P, W> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [k, n] = self.slide.channels;
        let points = W::ALL;
        let columns = n.next_multiple_of(PANEL);
        let words = k.div_ceil(P::PAIR);
        let a_point = words.div_ceil(BLOCK) * self.count * BLOCK + APART;
        let c_point = self.count * columns + APART;
        let mut a = Buffer::any(points * a_point);
        let mut c = Buffer::any(points * c_point);
        let mut u = self.u.as_ptr();
        for output in &self.slide.outputs {
            for (index, phase) in output.phases.iter().enumerate() {
                // SAFETY: a, c and u have a part of the named size for every point, and u one for every phase.
                unsafe {
                    self.inputs::<S>(phase, a.as_mut_ptr());
                    for point in 0..points {
                        multiply::<S, P, BY_BLOCKS>(Product {
                            m: self.count,
                            // Half a panel of few columns is only zeros.
                            n: n.next_multiple_of(LANES),
                            k: words,
                            a: a.as_ptr().add(point * a_point),
                            a_step: self.count * BLOCK,
                            b: u,
                            b_step: words * PANEL,
                            b_row: PANEL,
                            c: c.as_mut_ptr().add(point * c_point),
                            c_step: columns,
                            onto: if index == 0 { Onto::Fresh } else { Onto::Sum },
                            next: Next::NOTHING,
                        });
                        u = u.add(point_words::<P>([k, n]));
                    }
                }
            }
            // SAFETY: every product was just written.
            unsafe { self.outputs::<S>(output, c.as_ptr(), columns) };
        }
    }
}
