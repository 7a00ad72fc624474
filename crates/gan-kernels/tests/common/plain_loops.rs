//! The same functions in plain loops over f64, as the reference that every kernel is tested against.
//!
//! They are deliberately slow and simple. Arrays are row-major, with shapes as in the functions they mirror.

use super::ConvSpec;

/// x `[N, C, H, W]`, w `[O, C, kh, kw]` -> y `[N, O, H', W']` and its shape.
pub fn conv2d(
    x: &[f64],
    [n, c, h, w]: [usize; 4],
    k: &[f64],
    [o, _, kh, kw]: [usize; 4],
    spec: &ConvSpec,
) -> (Vec<f64>, [usize; 4]) {
    let size = |i: usize, side: usize, kernel: usize| {
        (side + spec.padding.total()[i] - spec.dilation[i] * (kernel - 1) - 1) / spec.stride[i] + 1
    };
    let oh = size(0, h, kh);
    let ow = size(1, w, kw);
    let mut y = vec![0.0; n * o * oh * ow];
    for_each_tap([n, c, h, w], [o, kh, kw], [oh, ow], spec, |xi, wi, yi| y[yi] += x[xi] * k[wi]);
    (y, [n, o, oh, ow])
}

/// y `[N, O, H', W']`, w `[O, C, kh, kw]` -> x-like `[N, C, H, W]`: [`conv2d`]'s transpose.
pub fn conv_transpose2d(
    y: &[f64],
    [n, o, oh, ow]: [usize; 4],
    k: &[f64],
    [_, c, kh, kw]: [usize; 4],
    spec: &ConvSpec,
    [h, w]: [usize; 2],
) -> Vec<f64> {
    let mut x = vec![0.0; n * c * h * w];
    for_each_tap([n, c, h, w], [o, kh, kw], [oh, ow], spec, |xi, wi, yi| x[xi] += y[yi] * k[wi]);
    x
}

/// Calls `f(input index, weight index, output index)` for every multiplication of a convolution.
fn for_each_tap(
    [n, c, h, w]: [usize; 4],
    [o, kh, kw]: [usize; 3],
    [oh, ow]: [usize; 2],
    spec: &ConvSpec,
    mut f: impl FnMut(usize, usize, usize),
) {
    let at = |i: usize, out: usize, tap: usize, side: usize| {
        let position = (out * spec.stride[i] + tap * spec.dilation[i]).checked_sub(spec.padding.before()[i])?;
        (position < side).then_some(position)
    };
    for (i, oc) in pairs(n, o) {
        for (oy, ox) in pairs(oh, ow) {
            for ic in 0..c {
                for (ky, kx) in pairs(kh, kw) {
                    if let (Some(iy), Some(ix)) = (at(0, oy, ky, h), at(1, ox, kx, w)) {
                        let xi = ((i * c + ic) * h + iy) * w + ix;
                        let wi = ((oc * c + ic) * kh + ky) * kw + kx;
                        f(xi, wi, ((i * o + oc) * oh + oy) * ow + ox);
                    }
                }
            }
        }
    }
}

fn pairs(a: usize, b: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..a).flat_map(move |i| (0..b).map(move |j| (i, j)))
}

/// Batch norm over x `[N, C, P]` by its own statistics -> (y, means `[C]`, biased variances `[C]`).
pub fn batch_norm(
    x: &[f64],
    [n, c, p]: [usize; 3],
    gamma: &[f64],
    beta: &[f64],
    eps: f64,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut y = vec![0.0; x.len()];
    let mut means = vec![];
    let mut variances = vec![];
    for ch in 0..c {
        let places: Vec<usize> = pairs(n, p).map(|(i, j)| (i * c + ch) * p + j).collect();
        let mean = places.iter().map(|i| x[*i]).sum::<f64>() / places.len() as f64;
        let variance = places.iter().map(|i| (x[*i] - mean).powi(2)).sum::<f64>() / places.len() as f64;
        for i in places {
            y[i] = gamma[ch] * (x[i] - mean) / (variance + eps).sqrt() + beta[ch];
        }
        means.push(mean);
        variances.push(variance);
    }
    (y, means, variances)
}

/// x `[N·C, H, W]`, every pixel repeated -> `[N·C, H·down, W·across]`.
pub fn upsample_nearest2d(x: &[f64], [planes, h, w]: [usize; 3], [down, across]: [usize; 2]) -> Vec<f64> {
    let mut y = vec![];
    for plane in 0..planes {
        for (row, col) in pairs(h * down, w * across) {
            y.push(x[(plane * h + row / down) * w + col / across]);
        }
    }
    y
}

/// x `[N·C, H, W]` -> means over windows that touch, `[N·C, ⌊H/kh⌋, ⌊W/kw⌋]`.
pub fn avg_pool2d(x: &[f64], [planes, h, w]: [usize; 3], [kh, kw]: [usize; 2]) -> Vec<f64> {
    let mut y = vec![];
    for plane in 0..planes {
        for (oy, ox) in pairs(h / kh, w / kw) {
            let sum: f64 = pairs(kh, kw).map(|(i, j)| x[(plane * h + oy * kh + i) * w + ox * kw + j]).sum();
            y.push(sum / (kh * kw) as f64);
        }
    }
    y
}

/// x `[N·C, P]` -> the largest of each row.
pub fn global_max_pool2d(x: &[f64], pixels: usize) -> Vec<f64> {
    x.chunks(pixels).map(|row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect()
}
