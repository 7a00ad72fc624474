//! Normalizations of each sample by itself: instance, layer, group and pixel norm.

use super::batch_norm::{along_channels, eps};
use super::settings::{divides, image, is_yes, require, yes};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Reduce, Unary, Value};
use crate::pytorch::{Call, Helper, TorchModule, TorchResult};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer, OwnFactors};
use serde::{Deserialize, Serialize};

/// Settings of [`InstanceNorm`] and [`LayerNorm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormSettings {
    /// Added to the variance.
    pub eps: f64,
    /// Whether each channel has a scale and a shift.
    pub affine: bool,
}

impl Default for NormSettings {
    fn default() -> Self {
        Self { eps: eps(), affine: true }
    }
}

/// Normalizes each channel of each sample `[C, H, W]` by its own mean and variance (Ulyanov et al. 2016, arXiv:1607.08022).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNorm {
    /// Settings of the layer.
    pub instance_norm: NormSettings,
}

impl LayerSpec for InstanceNorm {
    const NAME: &'static str = "instance_norm";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        image(input)?;
        infer(input, self.instance_norm.eps, self.instance_norm.affine)
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let groups = x.value.dim(1)?;
        normalized(x, groups, self.instance_norm.eps, self.instance_norm.affine, cx)
    }

    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(fused_norm(input[0], self.instance_norm.eps, self.instance_norm.affine, place))
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let groups = cx.input()[0];
        append(x, groups, self.instance_norm.eps, self.instance_norm.affine, cx)
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let NormSettings { eps: own, affine } = self.instance_norm;
        // PyTorch refuses images of a single pixel.
        if input[1..].iter().product::<usize>() == 1 {
            return Ok(torch_norm(input[0], input[0], own, affine));
        }
        let call = Call::new("nn.InstanceNorm2d").with(input[0]).with_key("eps", own, &eps());
        Ok(call.with_key("affine", affine, &false).module())
    }
}

/// Normalizes each sample by its mean and variance over everything, then scales by channel (Ba et al. 2016, arXiv:1607.06450).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Settings of the layer.
    pub layer_norm: NormSettings,
}

impl LayerSpec for LayerNorm {
    const NAME: &'static str = "layer_norm";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        infer(input, self.layer_norm.eps, self.layer_norm.affine)
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        normalized(x, 1, self.layer_norm.eps, self.layer_norm.affine, cx)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(fused_norm(1, self.layer_norm.eps, self.layer_norm.affine, place))
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        append(x, 1, self.layer_norm.eps, self.layer_norm.affine, cx)
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        Ok(torch_norm(1, input[0], self.layer_norm.eps, self.layer_norm.affine))
    }
}

/// Normalizes each sample's channels in groups (Wu & He 2018, arXiv:1803.08494).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Number of groups, which must divide the channels.
    pub group_norm: usize,
    /// Added to the variance.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Whether each channel has a scale and a shift.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub affine: bool,
}

impl LayerSpec for GroupNorm {
    const NAME: &'static str = "group_norm";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        let layer = infer(input, self.eps, self.affine)?;
        divides(self.group_norm, input[0], "groups").map(|()| layer)
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        normalized(x, self.group_norm, self.eps, self.affine, cx)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(fused_norm(self.group_norm, self.eps, self.affine, place))
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        append(x, self.group_norm, self.eps, self.affine, cx)
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        Ok(torch_norm(self.group_norm, input[0], self.eps, self.affine))
    }
}

/// Added to pixel norm's mean square.
const PIXEL_EPS: f64 = 1e-8;

/// Divides each pixel's channels by their root mean square (Karras et al. 2018, arXiv:1710.10196).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelNorm;

impl LayerSpec for PixelNorm {
    const NAME: &'static str = "pixel_norm";
    const IS_NONLINEAR: bool = true;

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.mul(&x.sqr()?.mean(&[1])?.affine(1.0, PIXEL_EPS)?.rsqrt()?)
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::PixelNorm(fused::PixelNorm { eps: PIXEL_EPS })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let square = cx.binary(Binary::Mul, x, x);
        let mean = cx.node(Op::Reduce(Reduce::Mean, vec![1]), &[square]);
        let mean = cx.plus(mean, PIXEL_EPS)?;
        let length = cx.unary(Unary::Sqrt, mean);
        Ok(cx.binary(Binary::Div, x, length))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(TorchModule::new("PixelNorm()").with_helpers(&[PIXEL_NORM]))
    }
}

const PIXEL_NORM: Helper = Helper(
    r#"class PixelNorm(nn.Module):
    """Divides each pixel's channels by their root mean square."""

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
"#,
);

/// Appends a norm over groups of channels to a graph.
fn append(x: Value, groups: usize, eps: f64, affine: bool, cx: &mut GraphContext) -> Result<Value> {
    let shape = cx.input().to_vec();
    let each = shape.iter().product::<usize>() / groups;
    let rows = cx.reshape(x, &[groups, each]);
    let normal = cx.node(Op::InstanceNorm { groups, eps }, &[rows]);
    let y = cx.reshape(normal, &shape);
    if !affine {
        return Ok(y);
    }
    let mut along = vec![1; shape.len()];
    along[0] = shape[0];
    let scale = cx.param_as("weight", &along)?;
    let shift = cx.param_as("bias", &along)?;
    let scaled = cx.binary(Binary::Mul, y, scale);
    Ok(cx.binary(Binary::Add, scaled, shift))
}

/// Returns a norm over groups of channels as a PyTorch module.
fn torch_norm(groups: usize, channels: usize, own: f64, affine: bool) -> TorchModule {
    let call = Call::new("nn.GroupNorm").with(groups).with(channels).with_key("eps", own, &eps());
    call.with_key("affine", affine, &true).module()
}

fn infer(input: &[usize], eps: f64, affine: bool) -> InferResult {
    require(eps > 0.0, "eps above 0")?;
    Ok(Inferred::new(input).with_affine(&input[..1], affine))
}

/// Returns the fused form of a norm over groups of channels.
fn fused_norm(groups: usize, eps: f64, affine: bool, place: &dyn Fn(usize) -> usize) -> Vec<FusedLayer> {
    let affine = affine.then(|| [place(0), place(1)]);
    vec![FusedLayer::SampleNorm(fused::SampleNorm { of: OwnFactors::Statistics { groups }, affine, eps })]
}

/// Computes y = (x − μ)/√(σ² + ε) for each group of channels of each sample, and γ·y + β for each channel if the layer is `affine`.
fn normalized(x: &Dual, groups: usize, eps: f64, affine: bool, cx: &LayerContext) -> Result<Dual> {
    let shape = x.value.dims().to_vec();
    let grouped = x.linear(|x| x.reshape((shape[0], groups, ())))?;
    let centred = grouped.sub(&grouped.mean(&[2])?)?;
    let scale = centred.sqr()?.mean(&[2])?.affine(1.0, eps)?.rsqrt()?;
    let y = centred.mul(&scale)?.linear(|y| y.reshape(&shape[..]))?;
    if !affine {
        return Ok(y);
    }
    let along = |name: &str| along_channels(&cx.param(name)?, &y.value).map(Dual::constant);
    y.mul(&along("weight")?)?.add(&along("bias")?)
}
