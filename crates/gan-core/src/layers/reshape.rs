//! Layers that change an image's shape without computing anything: reshape, flatten, zero padding.

use super::conv::sides;
use super::settings::{Pad, image, limit, require};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{GraphContext, Op, Value};
use crate::pytorch::{Call, Helper, TorchModule, TorchResult, tuple};
use crate::shape::{is_shape, product};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer, Resample};
use gan_kernels::ops;
use serde::{Deserialize, Serialize};

/// Reshapes each sample: `[…] -> [this]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// New shape without the batch.
    pub reshape: Vec<usize>,
}

impl LayerSpec for Reshape {
    const NAME: &'static str = "reshape";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        let have: usize = input.iter().product();
        let want = product(&self.reshape);
        let shown = want.map_or("more than all".to_string(), |n| n.to_string());
        require(want == Some(have), format!("{shown} numbers, {have} reach it"))?;
        require(is_shape(&self.reshape), "a shape [features] or [channels, height, width]")?;
        Ok(Inferred::new(&self.reshape[..]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| x.reshape([&[x.dim(0)?], self.reshape.as_slice()].concat()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Reshape(fused::Reshape(self.reshape.clone()))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.reshape(x, &self.reshape))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        Ok(match (input, &self.reshape[..]) {
            ([_], shape) => Call::new("nn.Unflatten").with(1).with(tuple(shape)).module(),
            (_, [_]) => TorchModule::new("nn.Flatten()"),
            (_, shape) => Call::new("Reshape").with(tuple(shape)).module().with_helpers(&[RESHAPE]),
        })
    }
}

const RESHAPE: Helper = Helper(
    r#"class Reshape(nn.Module):
    """Reshapes each sample."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)
"#,
);

/// Flattens each sample into a vector: `[…] -> [F]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flatten;

impl LayerSpec for Flatten {
    const NAME: &'static str = "flatten";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new([input.iter().product()]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| x.flatten_from(1))
    }

    fn fused(&self, input: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Reshape(fused::Reshape(vec![input.iter().product()]))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let shape = cx.output().to_vec();
        Ok(cx.reshape(x, &shape))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(TorchModule::new("nn.Flatten()"))
    }
}

/// Zero padding around an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroPad {
    /// Number of rows and columns on each side.
    pub zero_pad: Pad,
}

impl LayerSpec for ZeroPad {
    const NAME: &'static str = "zero_pad";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        limit(&self.zero_pad.numbers())?;
        let is_rule = matches!(self.zero_pad, Pad::Rule(_));
        require(!is_rule, "numbers: n, [vertical, horizontal] or [top, bottom, left, right]")?;
        let [c, h, w] = image(input)?;
        let [tall, wide] = self.zero_pad.sides().total();
        Ok(Inferred::new([c, h.saturating_add(tall), w.saturating_add(wide)]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| ops::zero_pad2d(x, self.zero_pad.sides()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::ZeroPad(self.zero_pad.sides()))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.node(Op::Pad(self.zero_pad.sides()), &[x]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.ZeroPad2d").with(sides(self.zero_pad.sides())).module())
    }
}
