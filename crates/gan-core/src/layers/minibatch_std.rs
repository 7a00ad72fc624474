//! Minibatch standard deviation.

use super::settings::require;
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Reduce, Unary, Value};
use crate::pytorch::{Call, Helper, TorchResult};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer};
use serde::{Deserialize, Serialize};

/// Adds one channel (or feature): the standard deviation over the samples of a group, averaged over everything (Karras
/// et al. 2018, arXiv:1710.10196, in StyleGAN2's form).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinibatchStd {
    /// Number of samples in a group; if it does not divide the batch, the next smaller number that does.
    pub minibatch_std: usize,
}

impl LayerSpec for MinibatchStd {
    const NAME: &'static str = "minibatch_std";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(self.minibatch_std >= 2, "groups of at least 2 samples")?;
        Ok(Inferred::new([&[input[0].saturating_add(1)], &input[1..]].concat()))
    }

    /// Computes the layer, with sample i in group i mod (N / size).
    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let shape = x.value.dims().to_vec();
        let n = shape[0];
        let size = (1..=self.minibatch_std.min(n)).rev().find(|size| n.is_multiple_of(*size)).unwrap_or(1);
        let grouped = x.linear(|x| x.reshape((size, n / size, ())))?;
        let centred = grouped.sub(&grouped.mean(&[0])?)?;
        let deviation = centred.sqr()?.mean(&[0])?.affine(1.0, EPS)?.sqrt()?.mean(&[2])?;
        let mut wide = shape.clone();
        wide[1] = 1;
        let spread = deviation.linear(|d| {
            let mut one = vec![1; shape.len()];
            one[0] = n;
            let d = d.reshape((1, n / size))?.broadcast_as((size, n / size))?.contiguous()?;
            d.reshape(one)?.broadcast_as(&wide[..])
        })?;
        x.join(&spread.linear(|s| s.contiguous())?, 1)
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::MinibatchStd(fused::MinibatchStd { group: self.minibatch_std })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let grouped = cx.node(Op::SplitBatch { largest: self.minibatch_std }, &[x]);
        let mean = cx.node(Op::Reduce(Reduce::Mean, vec![0]), &[grouped]);
        let centered = cx.binary(Binary::Sub, grouped, mean);
        let square = cx.binary(Binary::Mul, centered, centered);
        let variance = cx.node(Op::Reduce(Reduce::Mean, vec![0]), &[square]);
        let variance = cx.plus(variance, EPS)?;
        let deviation = cx.unary(Unary::Sqrt, variance);
        let of_group = cx.node(Op::Reduce(Reduce::Mean, vec![2]), &[deviation]);
        // One number for each sample, and then for each of its pixels.
        let of_sample = cx.node(Op::RepeatGroups, &[of_group, grouped]);
        let one = vec![1; cx.input().len()];
        let of_sample = cx.reshape(of_sample, &one);
        // Repeated by upsampling: tract 0.23 computes a dense layer behind Expand wrongly.
        let wide = match *cx.input() {
            [_, h, w] => cx.node(Op::UpsampleNearest([h, w]), &[of_sample]),
            _ => of_sample,
        };
        Ok(cx.node(Op::Concat { axis: 1 }, &[x, wide]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("MinibatchStd").with(self.minibatch_std).module().with_helpers(&[MINIBATCH_STD]))
    }
}

/// Added to the variance.
const EPS: f64 = 1e-8;

const MINIBATCH_STD: Helper = Helper(
    r#"class MinibatchStd(nn.Module):
    """Adds a channel: the standard deviation over the samples of a group, averaged over everything else."""

    def __init__(self, group):
        super().__init__()
        self.group = group

    def forward(self, x):
        n = len(x)
        size = max(size for size in range(1, min(self.group, n) + 1) if n % size == 0)
        groups = x.reshape(size, n // size, -1)
        std = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=1)
        std = std.repeat(size).view(n, *[1] * (x.dim() - 1))
        return torch.cat([x, std.expand_as(x[:, :1])], dim=1)
"#,
);
