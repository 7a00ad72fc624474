//! Resampling of images: nearest and bilinear upsampling, pixel shuffle and blur pooling.

use super::settings::{Pair, image, limit, require};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{GraphContext, Op, Value};
use crate::pytorch::{Call, Helper, TorchResult, pair};
use crate::shape::product;
use candle_core::{Device, Result, Tensor};
use gan_kernels::fused::{FusedLayer, Resample};
use gan_kernels::{ConvSpec, Padding, ops};
use serde::{Deserialize, Serialize};

/// Nearest-neighbor upsampling: `[C, H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// Number of repetitions of each pixel.
    pub upsample: Pair,
}

impl LayerSpec for Upsample {
    const NAME: &'static str = "upsample";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new(enlarged(input, self.upsample)?))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| ops::upsample_nearest2d(x, self.upsample.get()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::Upsample(self.upsample.get()))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.node(Op::UpsampleNearest(self.upsample.get()), &[x]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.Upsample").with(format_args!("scale_factor={}", pair(self.upsample.get()))).module())
    }
}

/// Bilinear upsampling by whole factors, as PyTorch's `align_corners=False`: `[C, H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilinear {
    /// Factors.
    pub bilinear: Pair,
}

impl LayerSpec for Bilinear {
    const NAME: &'static str = "bilinear";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let output = enlarged(input, self.bilinear)?;
        let [_, h, w] = image(input)?;
        let [down, across] = self.bilinear.get();
        let workspace = matrices(&[h, h, down], &[w, w, across]);
        Ok(Inferred { workspace, ..Inferred::new(output) })
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        upsample_bilinear(x, self.bilinear.get())
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::Bilinear(self.bilinear.get()))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.node(Op::UpsampleBilinear(self.bilinear.get()), &[x]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        let factors = pair(self.bilinear.get());
        Ok(Call::new("nn.Upsample").with(format_args!("scale_factor={factors}, mode=\"bilinear\"")).module())
    }
}

/// Rearranges channels into pixels (Shi et al. 2016, arXiv:1609.05158): `[C·s², H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelShuffle {
    /// Factor s.
    pub pixel_shuffle: usize,
}

impl LayerSpec for PixelShuffle {
    const NAME: &'static str = "pixel_shuffle";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let s = self.pixel_shuffle;
        limit(&[s])?;
        let [c, h, w] = image(input)?;
        let divides = (1..=64).contains(&s) && c.is_multiple_of(s * s);
        require(divides, "a factor s whose square divides the channels")?;
        Ok(Inferred::new([c / (s * s), h.saturating_mul(s), w.saturating_mul(s)]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let s = self.pixel_shuffle;
        x.linear(|x| {
            let (n, c, h, w) = x.dims4()?;
            let c = c / (s * s);
            let spread = x.reshape(&[n, c, s, s, h, w][..])?.permute(&[0, 1, 4, 2, 5, 3][..])?;
            spread.contiguous()?.reshape((n, c, h * s, w * s))
        })
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::PixelShuffle(self.pixel_shuffle))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let s = self.pixel_shuffle;
        let output = cx.output().to_vec();
        let spread = cx.reshape(x, &[output[0], s, s, output[1] / s, output[2] / s]);
        let turned = cx.node(Op::Transpose(vec![0, 1, 4, 2, 5, 3]), &[spread]);
        Ok(cx.reshape(turned, &output))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.PixelShuffle").with(self.pixel_shuffle).module())
    }
}

/// Every s-th pixel after a blur with [1, 3, 3, 1]/8 in both directions, with zero padding (Zhang 2019, arXiv:1904.11486; StyleGAN2's
/// filter): `[C, H, W] -> [C, ⌊H/s⌋, ⌊W/s⌋]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurPool {
    /// Step s.
    pub blur_pool: usize,
}

impl LayerSpec for BlurPool {
    const NAME: &'static str = "blur_pool";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let s = self.blur_pool;
        limit(&[s])?;
        let [c, h, w] = image(input)?;
        let smaller = h.min(w);
        require((1..=smaller).contains(&s), format!("a step from 1 to the image's smaller side, here {smaller}"))?;
        let workspace = matrices(&[h, h], &[w, w]);
        Ok(Inferred { workspace, ..Inferred::new([c, h / s, w / s]) })
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let (_, _, h, w) = x.value.dims4()?;
        resampled(x, &blur(h, self.blur_pool), &blur(w, self.blur_pool))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::BlurPool(self.blur_pool))])
    }

    /// Appends a convolution of each channel, after padding that may be negative.
    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let input = cx.input().to_vec();
        let s = self.blur_pool;
        let mut x = x;
        let mut padding = [[0; 2]; 2];
        for (axis, padding) in padding.iter_mut().enumerate() {
            let side = input[axis + 1];
            let [before, after] = blur_padding(side, s);
            *padding = [before.max(0) as usize, after.max(0) as usize];
            if before < 0 || after < 0 {
                let end = side - after.min(0).unsigned_abs();
                x = cx.node(Op::Slice { axis: axis + 2, start: before.min(0).unsigned_abs(), end }, &[x]);
            }
        }
        let [[top, bottom], [left, right]] = padding;
        let padding = Padding { top, bottom, left, right };
        let weights = Tensor::new(&[0.125f32, 0.375, 0.375, 0.125], &Device::Cpu)?;
        let kernel = weights.reshape((4, 1))?.matmul(&weights.reshape((1, 4))?)?;
        let kernel = cx.constant(kernel.broadcast_as((input[0], 1, 4, 4))?.contiguous()?);
        let spec = ConvSpec { stride: [s, s], padding, ..ConvSpec::default() };
        Ok(cx.node(Op::Conv { spec, groups: input[0] }, &[x, kernel]))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let [top, bottom] = blur_padding(input[1], self.blur_pool);
        let [left, right] = blur_padding(input[2], self.blur_pool);
        let pad = format!("({left}, {right}, {top}, {bottom})");
        let call = Call::new("BlurPool").with(self.blur_pool).with(format_args!("pad={pad}"));
        Ok(call.module().with_helpers(&[BLUR_POOL]))
    }
}

const BLUR_POOL: Helper = Helper(
    r#"class BlurPool(nn.Module):
    """Every stride-th pixel after a blur with [1, 3, 3, 1] / 8 in both directions (pad: left, right, top, bottom)."""

    def __init__(self, stride, pad):
        super().__init__()
        self.stride = stride
        self.pad = pad
        weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", weights.outer(weights), persistent=False)

    def forward(self, x):
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, 4, 4)
        return F.conv2d(F.pad(x, self.pad), kernel, stride=self.stride, groups=channels)
"#,
);

/// Returns the padding before and after a side with which windows of four, `step` apart, are those of the blur. It may be negative.
fn blur_padding(side: usize, step: usize) -> [isize; 2] {
    let first = (step / 2) as isize - 2;
    let last = ((side / step - 1) * step) as isize + first;
    [-first, last + 4 - side as isize]
}

/// Returns an image's shape enlarged by `factors`.
fn enlarged(input: &[usize], factors: Pair) -> std::result::Result<Vec<usize>, String> {
    let [down, across] = factors.get();
    limit(&[down, across])?;
    let [c, h, w] = image(input)?;
    require(down > 0 && across > 0, "factors of at least 1")?;
    Ok(vec![c, h.saturating_mul(down), w.saturating_mul(across)])
}

/// Returns the number of values of both matrices.
fn matrices(down: &[usize], across: &[usize]) -> Option<usize> {
    product(down)?.checked_add(product(across)?)
}

/// Resamples rows and columns of each image `[N, C, H, W]` with matrices `[H', H]` and `[W', W]`, given as rows.
fn resampled(x: &Dual, down: &[Vec<f32>], across: &[Vec<f32>]) -> Result<Dual> {
    let matrix = |rows: &[Vec<f32>]| -> Result<Tensor> {
        let matrix = Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), x.value.device())?;
        matrix.to_dtype(x.value.dtype())?.t()?.contiguous()
    };
    let down = matrix(down)?;
    let across = matrix(across)?;
    x.linear(|x| {
        let (n, c, h, w) = x.dims4()?;
        let x = x.contiguous()?.reshape((n * c * h, w))?.matmul(&across)?.reshape((n * c, h, ()))?;
        let w = x.dim(2)?;
        // Columns become rows, so that one product serves all images.
        let x = x.transpose(1, 2)?.contiguous()?.reshape((n * c * w, h))?.matmul(&down)?;
        x.reshape((n * c, w, ()))?.transpose(1, 2)?.contiguous()?.reshape((n, c, (), w))
    })
}

/// Enlarges images `[N, C, H, W]` bilinearly by whole factors.
pub(crate) fn upsample_bilinear(x: &Dual, [down, across]: [usize; 2]) -> Result<Dual> {
    let (_, _, h, w) = x.value.dims4()?;
    resampled(x, &bilinear(h, down), &bilinear(w, across))
}

/// Returns the weights of each of `side`·`factor` outputs, from the two inputs around its center.
fn bilinear(side: usize, factor: usize) -> Vec<Vec<f32>> {
    let row = |out: usize| {
        let at = ((out as f64 + 0.5) / factor as f64 - 0.5).max(0.0);
        let low = at.floor() as usize;
        let part = at.fract();
        let mut row = vec![0.0; side];
        row[low.min(side - 1)] += (1.0 - part) as f32;
        row[(low + 1).min(side - 1)] += part as f32;
        row
    };
    (0..side * factor).map(row).collect()
}

/// Returns the weights of each of ⌊`side`/`step`⌋ outputs, from the four inputs around the middle of its `step`.
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
