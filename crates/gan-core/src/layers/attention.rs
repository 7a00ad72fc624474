//! Self-attention over an image's pixels.

use super::dense::{SPECTRAL, SPECTRAL_LINEAR};
use super::settings::{divides, image};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Value};
use crate::params::Role;
use crate::pytorch::{Call, Helper, TorchResult};
use candle_core::Result;
use gan_kernels::ConvSpec;
use gan_kernels::fused::{self, Fork, FusedLayer, Join, LearnedSlope, SlopeApplies, Swap, Weights};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Self-attention over the pixels `[C, H, W]` (Zhang et al. 2018, arXiv:1805.08318): x + γ·o(attended), with γ initially 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Divisor of C for the channels of queries and keys; values have C/2. The paper uses 8.
    pub attention: usize,
    /// Whether to divide each kernel by its largest singular value.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub spectral_norm: bool,
}

impl LayerSpec for Attention {
    const NAME: &'static str = "attention";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        let [c, h, w] = image(input)?;
        divides(self.attention, c, "a reduction")?;
        divides(2, c, "halves")?;
        let inner = c / self.attention;
        let half = c / 2;
        let layer = Inferred::new(input).with_kernel("query.weight", &[inner, c], None);
        let layer = layer.with_kernel("key.weight", &[inner, c], None).with_kernel("value.weight", &[half, c], None);
        let layer = layer.with_kernel("out.weight", &[c, half], None).with_param("gamma", &[1], Role::Gate);
        // Each pixel attends to every other.
        let pixels = h.saturating_mul(w);
        let pairs = pixels.checked_mul(pixels);
        let attended = pairs.unwrap_or(usize::MAX).saturating_mul(inner + half);
        let layer = layer.with_spectral_norm(self.spectral_norm).with_products(pixels);
        let multiply_adds = layer.multiply_adds.saturating_add(attended);
        Ok(Inferred { workspace: pairs, multiply_adds, ..layer })
    }

    /// Returns x + γ·o(v·softmax(qᵀk)) with 1×1 convolutions q, k, v, o (equations 1 to 3 of the paper).
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let (n, c, h, w) = x.value.dims4()?;
        let flat = x.linear(|x| x.reshape((n, c, h * w)))?;
        // A 1×1 convolution is one matrix for all pixels.
        let through = |x: &Dual, name: &str| {
            let matrix = cx.kernel(name)?;
            let matrix = matrix.unsqueeze(0)?.broadcast_as((n, matrix.dim(0)?, matrix.dim(1)?))?.contiguous()?;
            Dual::constant(matrix).matmul(x)
        };
        let q = through(&flat, "query.weight")?;
        let k = through(&flat, "key.weight")?;
        let v = through(&flat, "value.weight")?;
        let turned = |x: &Dual| x.linear(|x| x.transpose(1, 2)?.contiguous());
        // `[N, pixels, pixels]`: each row has the attention weights of one pixel.
        let attended = turned(&q)?.matmul(&k)?.softmax()?;
        let out = through(&v.matmul(&turned(&attended)?)?, "out.weight")?;
        let gamma = Dual::constant(cx.param("gamma")?.reshape((1, 1, 1))?);
        out.mul(&gamma)?.add(&flat)?.linear(|y| y.reshape((n, c, h, w)))
    }

    /// The kernels of q, k and v follow each other among the parameters, so that they are those of one convolution.
    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let c = *input.first()?;
        let keys = c / self.attention;
        let pixelwise = |weight: usize, outputs: usize| {
            let weights = Weights { weight, bias: None };
            let spec = ConvSpec::default();
            FusedLayer::Conv(fused::Conv { weights, outputs, groups: 1, kernel: [1, 1], spec, transposed: None })
        };
        Some(vec![
            FusedLayer::Fork(Fork),
            FusedLayer::Swap(Swap),
            pixelwise(place(0), 2 * keys + c / 2),
            FusedLayer::Attention(fused::Attention { keys }),
            pixelwise(place(3), c),
            FusedLayer::LearnedSlope(LearnedSlope { slope: place(4), applies: SlopeApplies::Everywhere }),
            FusedLayer::Join(Join),
        ])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let shape = cx.input().to_vec();
        let flat = cx.reshape(x, &[shape[0], shape[1] * shape[2]]);
        let mut through = |x: Value, name: &str| {
            let matrix = cx.kernel(name)?;
            Ok::<Value, candle_core::Error>(cx.node(Op::MatMul, &[matrix, x]))
        };
        let q = through(flat, "query.weight")?;
        let k = through(flat, "key.weight")?;
        let v = through(flat, "value.weight")?;
        let out = cx.kernel("out.weight")?;
        let gamma = cx.param("gamma")?;
        let turned = |x: Value, cx: &mut GraphContext| cx.node(Op::Transpose(vec![0, 2, 1]), &[x]);
        let rows = turned(q, cx);
        let scores = cx.node(Op::MatMul, &[rows, k]);
        let weights = cx.node(Op::Softmax, &[scores]);
        let columns = turned(weights, cx);
        let attended = cx.node(Op::MatMul, &[v, columns]);
        let out = cx.node(Op::MatMul, &[out, attended]);
        let gated = cx.binary(Binary::Mul, out, gamma);
        let y = cx.binary(Binary::Add, gated, flat);
        Ok(cx.reshape(y, &shape))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let call = Call::new("Attention").with(input[0]).with(input[0] / self.attention);
        let call = call.with_key("spectral_norm", self.spectral_norm, &false);
        Ok(call.module().with_helpers(&[SPECTRAL, SPECTRAL_LINEAR, ATTENTION]))
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}

const ATTENTION: Helper = Helper(
    r#"class Attention(nn.Module):
    """Self-attention over an image's pixels."""

    def __init__(self, channels, keys, spectral_norm=False):
        super().__init__()
        linear = SpectralLinear if spectral_norm else nn.Linear
        self.query = linear(channels, keys, bias=False)
        self.key = linear(channels, keys, bias=False)
        self.value = linear(channels, channels // 2, bias=False)
        self.out = linear(channels // 2, channels, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        pixels = x.flatten(2).transpose(1, 2)
        scores = self.query(pixels) @ self.key(pixels).transpose(1, 2)
        attended = self.out(scores.softmax(dim=-1) @ self.value(pixels))
        return x + self.gamma * attended.transpose(1, 2).reshape_as(x)
"#,
);
