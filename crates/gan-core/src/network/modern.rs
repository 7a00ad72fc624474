//! Newer layers, each once, over values that may carry a tangent: activations, normalisations, resampling.

use super::dual::Dual;
use super::{Mode, Network, Pass, Weights};
use crate::layer::Layer;
use candle_core::{Result, Tensor};

/// Added under the root of pixel norm and minibatch standard deviation (Karras et al. 2018).
const SMALL: f64 = 1e-8;

impl Network {
    /// A layer that no chain has a link for; `values` says whether the values inside a block lead to gradients of its weights.
    pub(super) fn modern(&self, index: usize, x: &Dual, values: Weights, pass: &mut Pass) -> Result<Dual> {
        let weights = pass.weights;
        let p = |i: usize| self.weight(index, i, weights).map(Dual::constant);
        let affine = |y: Dual, has: bool| -> Result<Dual> {
            if !has {
                return Ok(y);
            }
            let along = |w: Dual| w.linear(|w| along_channels(w, &y.value));
            y.mul(&along(p(0)?)?)?.add(&along(p(1)?)?)
        };
        match &self.layers[index] {
            Layer::Prelu => {
                let positive = x.positive()?;
                positive.add(&x.sub(&positive)?.mul(&p(0)?)?)
            }
            // Above zero the second term is α·(e⁰ − 1) = 0.
            Layer::Elu(l) => {
                let positive = x.positive()?;
                positive.add(&x.sub(&positive)?.exp()?.affine(l.elu, -l.elu)?)
            }
            Layer::Silu => x.mul(&x.sigmoid()?),
            // x·Φ(x) (Hendrycks & Gimpel 2016, arXiv:1606.08415).
            Layer::Gelu => x.mul(&x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)?),
            Layer::PixelNorm => x.mul(&x.sqr()?.mean(&[1])?.affine(1.0, SMALL)?.rsqrt()?),
            Layer::InstanceNorm(l) => affine(normed(x, x.value.dim(1)?, l.instance_norm.eps)?, l.instance_norm.affine),
            Layer::LayerNorm(l) => affine(normed(x, 1, l.layer_norm.eps)?, l.layer_norm.affine),
            Layer::GroupNorm(l) => affine(normed(x, l.group_norm, l.eps)?, l.affine),
            Layer::Bilinear(l) => {
                let (_, _, h, w) = x.value.dims4()?;
                let [down, across] = l.bilinear.get();
                resampled(x, &[bilinear(h, down), bilinear(w, across)])
            }
            Layer::BlurPool(l) => {
                let (_, _, h, w) = x.value.dims4()?;
                resampled(x, &[blur(h, l.blur_pool), blur(w, l.blur_pool)])
            }
            Layer::PixelShuffle(l) => x.linear(|x| shuffled(x, l.pixel_shuffle)),
            Layer::MinibatchStd(l) => with_deviation(x, l.minibatch_std),
            Layer::Attention(l) => self.attention(index, l, x, pass),
            Layer::Residual(_) => self.block(index, x, values, pass),
            Layer::ConditionalBatchNorm(l) => self.conditional_batch_norm(index, l, x, pass),
            Layer::ConcatClass(l) => self.concat_class(index, l, x, pass),
            Layer::Projection(l) => self.projection(index, l, x, pass),
            Layer::Auxiliary(_) => self.auxiliary(index, x, pass),
            other => candle_core::bail!("layer \"{}\" is none of the newer ones", other.name()),
        }
    }

    fn block(&self, index: usize, x: &Dual, values: Weights, pass: &mut Pass) -> Result<Dual> {
        let [body, skip] = self.blocks[&index].as_ref();
        let both = |network: &Self, pass: &mut Pass| match &x.change {
            None => network.layerwise(0..network.layers.len(), &x.value, pass).map(Dual::constant),
            Some(t) => {
                let (value, change) = network.moving(&x.value, t, values, pass)?;
                Ok(Dual { value, change: Some(change) })
            }
        };
        // In the order in which the fused block draws and iterates.
        let other = both(skip, pass)?;
        both(body, pass)?.add(&other)
    }
}

/// Whether a layer is one of these.
pub(super) fn is_modern(layer: &Layer) -> bool {
    !matches!(layer, Layer::Conv(_)) && !super::parts::fuses(layer)
}

/// Whether a newer layer's slope changes with its input, apart from jumps.
pub(super) fn bends(layer: &Layer, mode: &Mode) -> bool {
    match layer {
        Layer::Prelu | Layer::Bilinear(_) | Layer::BlurPool(_) | Layer::PixelShuffle(_) => false,
        Layer::ConcatClass(_) | Layer::Projection(_) | Layer::Auxiliary(_) => false,
        Layer::ConditionalBatchNorm(_) => matches!(mode, Mode::Train(_)),
        Layer::Residual(_) => layer.inner().any(|inner| super::tangent::bends(inner, mode)),
        _ => true,
    }
}

/// (x − μ)/√(σ² + ε) of each sample's each group of channels.
fn normed(x: &Dual, groups: usize, eps: f64) -> Result<Dual> {
    let shape = x.value.dims().to_vec();
    let grouped = x.linear(|x| x.reshape((shape[0], groups, ())))?;
    let centred = grouped.sub(&grouped.mean(&[2])?)?;
    let scale = centred.sqr()?.mean(&[2])?.affine(1.0, eps)?.rsqrt()?;
    centred.mul(&scale)?.linear(|y| y.reshape(&shape[..]))
}

/// A vector `[C]` where it can be broadcast over `like` `[N, C, …]`.
pub(super) fn along_channels(vector: &Tensor, like: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; like.rank()];
    shape[1] = vector.elem_count();
    vector.reshape(shape)
}

/// Rows and columns of each image `[N, C, H, W]` as fixed sums of others: `[H', H]` and `[W', W]` in rows.
fn resampled(x: &Dual, [down, across]: &[Vec<Vec<f32>>; 2]) -> Result<Dual> {
    let device = x.value.device().clone();
    let matrix = |rows: &[Vec<f32>]| Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &device);
    let (down, across) = (matrix(down)?, matrix(across)?.t()?.contiguous()?);
    x.linear(|x| {
        let (n, c, h, w) = x.dims4()?;
        let x = x.contiguous()?.reshape((n * c * h, w))?.matmul(&across)?.reshape((n * c, h, ()))?;
        let w = x.dim(2)?;
        // Columns become rows, so that one product serves all images.
        let x = x.transpose(1, 2)?.contiguous()?.reshape((n * c * w, h))?.matmul(&down.t()?.contiguous()?)?;
        x.reshape((n * c, w, ()))?.transpose(1, 2)?.contiguous()?.reshape((n, c, (), w))
    })
}

/// Each of `side`·`factor` outputs from the two inputs around its centre.
fn bilinear(side: usize, factor: usize) -> Vec<Vec<f32>> {
    let row = |out: usize| {
        let at = ((out as f64 + 0.5) / factor as f64 - 0.5).max(0.0);
        let (low, part) = (at.floor() as usize, at.fract());
        let mut row = vec![0.0; side];
        row[low.min(side - 1)] += (1.0 - part) as f32;
        row[(low + 1).min(side - 1)] += part as f32;
        row
    };
    (0..side * factor).map(row).collect()
}

/// Each of ⌊`side`/`step`⌋ outputs from the four inputs around the middle of its `step`.
fn blur(side: usize, step: usize) -> Vec<Vec<f32>> {
    let row = |out: usize| {
        let first = (out * step + step / 2) as i64 - 2;
        let weight = |input: usize| match input as i64 - first {
            0 | 3 => 0.125,
            1 | 2 => 0.375,
            _ => 0.0,
        };
        (0..side).map(weight).collect()
    };
    (0..side / step).map(row).collect()
}

/// `[N, C·s², H, W] -> [N, C, H·s, W·s]`.
fn shuffled(x: &Tensor, s: usize) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let c = c / (s * s);
    x.reshape(&[n, c, s, s, h, w][..])?.permute(&[0, 1, 4, 2, 5, 3][..])?.contiguous()?.reshape((n, c, h * s, w * s))
}

/// x and one more channel with the mean, over everything, of the standard deviation within a group of samples. Sample i is in group
/// i mod (N / size).
fn with_deviation(x: &Dual, group: usize) -> Result<Dual> {
    let shape = x.value.dims().to_vec();
    let n = shape[0];
    let size = (1..=group.min(n)).rev().find(|size| n.is_multiple_of(*size)).unwrap_or(1);
    let grouped = x.linear(|x| x.reshape((size, n / size, ())))?;
    let centred = grouped.sub(&grouped.mean(&[0])?)?;
    let deviation = centred.sqr()?.mean(&[0])?.affine(1.0, SMALL)?.sqrt()?.mean(&[2])?;
    let mut wide = shape.clone();
    wide[1] = 1;
    let spread = deviation.linear(|d| {
        let mut one = vec![1; shape.len()];
        one[0] = n;
        d.reshape((1, n / size))?.broadcast_as((size, n / size))?.contiguous()?.reshape(one)?.broadcast_as(&wide[..])
    })?;
    x.join(&spread.linear(|s| s.contiguous())?, 1)
}
