//! Upsampling, zero padding and average pooling: maps of pixels without weights.

use super::Operation;
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::fused::pass::{At, PassContext};
use crate::spec::{Padding, Sides};
use candle_core::{Result, bail};

/// Map of pixels without weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resample {
    /// Repeats every pixel, `[vertical, horizontal]` times.
    Upsample([usize; 2]),
    /// Adds zeros around the image.
    ZeroPad(Padding),
    /// Mean over adjacent windows of the height and width.
    AvgPool([usize; 2]),
}

impl Operation for Resample {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        Ok(match *self {
            Self::Upsample([down, across]) => [h.saturating_mul(down), w.saturating_mul(across), c],
            Self::ZeroPad(padding) => {
                let [tall, wide] = padding.total();
                [h.saturating_add(tall), w.saturating_add(wide), c]
            }
            Self::AvgPool([kh, kw]) => {
                if kh == 0 || kw == 0 || kh > h || kw > w {
                    bail!("a pooling window of {:?} does not fit into an image of {h}×{w}", [kh, kw]);
                }
                [h / kh, w / kw, c]
            }
        })
    }

    fn forward(&self, at: &At, x: &Buffer, _: &mut PassContext) -> Result<Buffer> {
        let [h, w, c] = at.planned().input;
        let mut y = Buffer::any(at.output_len());
        match *self {
            Self::Upsample([down, across]) => move_pixels(at, x, &mut y, |[i, j]| Some([i / down, j / across])),
            Self::ZeroPad(padding) => move_pixels(at, x, &mut y, |[i, j]| {
                let from = [i.checked_sub(padding.top)?, j.checked_sub(padding.left)?];
                (from[0] < h && from[1] < w).then_some(from)
            }),
            Self::AvgPool(window) => {
                y.fill(0.0);
                each_window(at, window, |from, to, part| add(&mut y, to, &x[from..][..c], part));
            }
        }
        Ok(y)
    }

    fn backward(&self, at: &At, g: Buffer, _: &mut PassContext, _: Option<&mut [f32]>, _: bool) -> Option<Buffer> {
        let [h, w, c] = at.planned().input;
        let [oh, ow, _] = at.planned().output;
        let mut dx = Buffer::zeros(at.input_len());
        match *self {
            Self::Upsample([down, across]) => each_pixel(at.samples, at.planned().output, |n, i, j| {
                let from = &g[((n * oh + i) * ow + j) * c..][..c];
                add(&mut dx, ((n * h + i / down) * w + j / across) * c, from, 1.0);
            }),
            Self::ZeroPad(padding) => each_pixel(at.samples, at.planned().input, |n, i, j| {
                let from = ((n * oh + i + padding.top) * ow + j + padding.left) * c;
                dx[((n * h + i) * w + j) * c..][..c].copy_from_slice(&g[from..from + c]);
            }),
            Self::AvgPool(window) => each_window(at, window, |to, from, part| add(&mut dx, to, &g[from..][..c], part)),
        }
        Some(dx)
    }
}

/// Sets every pixel of y to the pixel of x that `from` returns, or to zeros.
fn move_pixels(at: &At, x: &[f32], y: &mut [f32], from: impl Fn([usize; 2]) -> Option<[usize; 2]> + Sync + Send) {
    let [h, w, c] = at.planned().output;
    let [xh, xw, _] = at.planned().input;
    assert_eq!(y.len(), at.samples * h * w * c, "a place for each pixel");
    let to = Shared::new(y);
    each(at.samples, |n| {
        // SAFETY: y has a part for each sample, as checked above, and only this task writes to it.
        let y = unsafe { std::slice::from_raw_parts_mut(to.ahead(n * h * w * c).get(), h * w * c) };
        for (pixel, y) in y.chunks_exact_mut(c.max(1)).enumerate() {
            match from([pixel / w, pixel % w]) {
                Some([i, j]) => y.copy_from_slice(&x[((n * xh + i) * xw + j) * c..][..c]),
                None => y.fill(0.0),
            }
        }
    });
}

/// Calls `f(place of the pixel, place of its window's mean, weight)` for each pixel of x that is in a window.
fn each_window(at: &At, [kh, kw]: [usize; 2], mut f: impl FnMut(usize, usize, f32)) {
    let [h, w, c] = at.planned().input;
    let [oh, ow, _] = at.planned().output;
    let part = 1.0 / (kh * kw) as f32;
    each_pixel(at.samples, at.planned().input, |n, i, j| {
        if i / kh < oh && j / kw < ow {
            f(((n * h + i) * w + j) * c, ((n * oh + i / kh) * ow + j / kw) * c, part);
        }
    });
}

fn add(to: &mut [f32], at: usize, from: &[f32], part: f32) {
    to[at..at + from.len()].iter_mut().zip(from).for_each(|(t, f)| *t += f * part);
}

fn each_pixel(samples: usize, [h, w, _]: Sides, mut f: impl FnMut(usize, usize, usize)) {
    for n in 0..samples {
        for i in 0..h {
            (0..w).for_each(|j| f(n, i, j));
        }
    }
}
