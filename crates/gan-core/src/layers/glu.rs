//! Gated linear units.

use super::settings::require;
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Unary, Value};
use crate::pytorch::{TorchModule, TorchResult};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer};
use serde::{Deserialize, Serialize};

/// a·σ(b), where a and b are the halves of the channels (Dauphin et al. 2017, arXiv:1612.08083): `[2C, …] -> [C, …]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Glu;

impl LayerSpec for Glu {
    const NAME: &'static str = "glu";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(input[0].is_multiple_of(2), "an even number of channels")?;
        Ok(Inferred::new([&[input[0] / 2], &input[1..]].concat()))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let half = x.value.dim(1)? / 2;
        let part = |from: usize| x.linear(|x| x.narrow(1, from, half)?.contiguous());
        part(0)?.mul(&part(half)?.sigmoid()?)
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Glu(fused::Glu)])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let half = cx.output()[0];
        let value = cx.node(Op::Slice { axis: 1, start: 0, end: half }, &[x]);
        let gate = cx.node(Op::Slice { axis: 1, start: half, end: 2 * half }, &[x]);
        let gate = cx.unary(Unary::Sigmoid, gate);
        Ok(cx.binary(Binary::Mul, value, gate))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(TorchModule::new("nn.GLU(dim=1)"))
    }
}
