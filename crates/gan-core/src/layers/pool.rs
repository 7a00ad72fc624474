//! Pooling over windows and over whole images.

use super::settings::{Pair, image, limit, require};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{GraphContext, Op, Reduce, Value};
use crate::pytorch::{Call, TorchModule, TorchResult, pair};
use candle_core::{D, Result};
use gan_kernels::fused::{self, FusedLayer, Resample};
use gan_kernels::ops;
use serde::{Deserialize, Serialize};

/// Mean over adjacent windows: `[C, H, W] -> [C, ⌊H/k⌋, ⌊W/k⌋]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool {
    /// Window height and width.
    pub avg_pool: Pair,
}

impl LayerSpec for AvgPool {
    const NAME: &'static str = "avg_pool";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let [kh, kw] = self.avg_pool.get();
        limit(&[kh, kw])?;
        let [c, h, w] = image(input)?;
        require((1..=h).contains(&kh) && (1..=w).contains(&kw), format!("an image of at least {kh}×{kw}"))?;
        Ok(Inferred::new([c, h / kh, w / kw]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| ops::avg_pool2d(x, self.avg_pool.get()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::AvgPool(self.avg_pool.get()))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.node(Op::AvgPool(self.avg_pool.get()), &[x]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.AvgPool2d").with(pair(self.avg_pool.get())).module())
    }
}

/// The mean of each channel: `[C, H, W] -> [C]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalAvgPool;

impl LayerSpec for GlobalAvgPool {
    const NAME: &'static str = "global_avg_pool";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new([image(input)?[0]]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(ops::global_avg_pool2d)
    }

    fn fused(&self, input: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let window = [*input.get(1)?, *input.get(2)?];
        Some(vec![FusedLayer::Resample(Resample::AvgPool(window)), FusedLayer::Reshape(fused::Reshape(vec![input[0]]))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(reduced(Reduce::Mean, x, cx))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(TorchModule::new("nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())"))
    }
}

/// The maximum of each channel: `[C, H, W] -> [C]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalMaxPool;

impl LayerSpec for GlobalMaxPool {
    const NAME: &'static str = "global_max_pool";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new([image(input)?[0]]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let (n, c, h, w) = x.value.dims4()?;
        let place = x.value.detach().reshape((n, c, h * w))?.argmax_keepdim(D::Minus1)?;
        let largest = |t: &candle_core::Tensor| {
            t.reshape((n, c, h * w))?.contiguous()?.gather(&place, D::Minus1)?.squeeze(D::Minus1)
        };
        Ok(Dual { value: ops::global_max_pool2d(&x.value)?, change: x.change.as_ref().map(largest).transpose()? })
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::GlobalMaxPool(fused::GlobalMaxPool)])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(reduced(Reduce::Max, x, cx))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(TorchModule::new("nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())"))
    }
}

/// Appends a reduction of all pixels to a graph.
fn reduced(reduce: Reduce, x: Value, cx: &mut GraphContext) -> Value {
    let pixel = cx.node(Op::Reduce(reduce, vec![2, 3]), &[x]);
    let channels = cx.output().to_vec();
    cx.reshape(pixel, &channels)
}
