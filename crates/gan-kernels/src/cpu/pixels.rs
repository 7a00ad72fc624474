//! Pixel maps without weights: upsampling, padding, pooling, and their gradients.

use super::Cpu;
use super::buffer::Shared;
use super::parallel::each;
use crate::backend::{PixelMap, Pixels, Resample, Sides, size};

impl Pixels for Cpu {
    fn resample(&self, map: &PixelMap, by: Resample, x: &[f32], y: &mut [f32]) {
        let [h, w, c] = map.input;
        match by {
            Resample::Upsample([down, across]) => move_pixels(map, x, y, |[i, j]| Some([i / down, j / across])),
            Resample::ZeroPad(padding) => move_pixels(map, x, y, |[i, j]| {
                let at = [i.checked_sub(padding.top)?, j.checked_sub(padding.left)?];
                (at[0] < h && at[1] < w).then_some(at)
            }),
            Resample::AvgPool(window) => {
                y.fill(0.0);
                each_window(map, window, |n, [i, j], to, part| add(y, to, &x[((n * h + i) * w + j) * c..][..c], part));
            }
        }
    }

    fn resample_grad(&self, map: &PixelMap, by: Resample, g: &[f32], dx: &mut [f32]) {
        let [h, w, c] = map.input;
        let [oh, ow, _] = map.output;
        dx.fill(0.0);
        match by {
            Resample::Upsample([down, across]) => each_pixel(map.samples, map.output, |n, i, j| {
                let from = &g[((n * oh + i) * ow + j) * c..][..c];
                add(dx, ((n * h + i / down) * w + j / across) * c, from, 1.0);
            }),
            Resample::ZeroPad(padding) => each_pixel(map.samples, map.input, |n, i, j| {
                let from = ((n * oh + i + padding.top) * ow + j + padding.left) * c;
                dx[((n * h + i) * w + j) * c..][..c].copy_from_slice(&g[from..from + c]);
            }),
            Resample::AvgPool(window) => each_window(map, window, |n, [i, j], from, part| {
                add(dx, ((n * h + i) * w + j) * c, &g[from..from + c], part);
            }),
        }
    }

    /// A channel with a NaN yields NaN.
    fn global_max_pool(&self, map: &PixelMap, x: &[f32], y: &mut [f32]) {
        let c = map.input[2];
        for (x, y) in x.chunks_exact(size(map.input).max(1)).zip(y.chunks_exact_mut(c.max(1))) {
            y.copy_from_slice(&x[..c]);
            for x in x.chunks_exact(c).skip(1) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
            }
        }
    }

    fn global_max_pool_grad(&self, map: &PixelMap, x: &[f32], y: &[f32], g: &[f32], dx: &mut [f32]) {
        let len = size(map.input);
        let c = map.input[2];
        for (sample, (x, dx)) in x.chunks_exact(len).zip(dx.chunks_exact_mut(len)).enumerate() {
            max_grad(x, &y[sample * c..][..c], &g[sample * c..][..c], dx);
        }
    }
}

/// Sets every pixel of y to the pixel of x that `from` returns, or to zeros.
fn move_pixels(
    map: &PixelMap,
    x: &[f32],
    y: &mut [f32],
    from: impl Fn([usize; 2]) -> Option<[usize; 2]> + Sync + Send,
) {
    let [h, w, c] = map.output;
    let [xh, xw, _] = map.input;
    assert_eq!(y.len(), map.samples * h * w * c, "a place for each pixel");
    let to = Shared::new(y);
    each(map.samples, |n| {
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

/// Calls `f(sample, pixel, place of its window's mean, weight)` for each pixel of x that is in a window.
fn each_window(map: &PixelMap, [kh, kw]: [usize; 2], mut f: impl FnMut(usize, [usize; 2], usize, f32)) {
    let [oh, ow, c] = map.output;
    let part = 1.0 / (kh * kw) as f32;
    each_pixel(map.samples, map.input, |n, i, j| {
        if i / kh < oh && j / kw < ow {
            f(n, [i, j], ((n * oh + i / kh) * ow + j / kw) * c, part);
        }
    });
}

fn max_grad(x: &[f32], largest: &[f32], g: &[f32], dx: &mut [f32]) {
    let c = largest.len();
    let mut ties = vec![0f32; c];
    for x in x.chunks_exact(c) {
        ties.iter_mut().zip(x).zip(largest).for_each(|((t, x), m)| *t += if x == m { 1.0 } else { 0.0 });
    }
    for (x, dx) in x.chunks_exact(c).zip(dx.chunks_exact_mut(c)) {
        for i in 0..c {
            dx[i] = if x[i] == largest[i] { g[i] / ties[i] } else { 0.0 };
        }
    }
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
