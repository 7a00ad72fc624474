//! A layer of your own: a gated linear unit over channels, in a list like any other.

use gan::core::layers::{Dense, Dual, InferResult, Inferred, LayerContext, LayerSpec, register};
use gan::core::{Init, Network};
use gan::kernels::fused::Reuse;
use gan::prelude::*;
use serde::{Deserialize, Serialize};

/// a·σ(b), a and b the halves of the channels (Dauphin et al. 2017, arXiv:1612.08083): `[2C, …] -> [C, …]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Glu;

impl LayerSpec for Glu {
    const NAME: &'static str = "glu";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        if !input[0].is_multiple_of(2) {
            return Err("an even number of channels".into());
        }
        Ok(Inferred::new([&[input[0] / 2], &input[1..]].concat()))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> candle_core::Result<Dual> {
        let half = x.value.dim(1)? / 2;
        let part = |from: usize| x.linear(|x| x.narrow(1, from, half)?.contiguous());
        part(0)?.mul(&part(half)?.sigmoid()?)
    }
}

/// Builds a network with the layer, and takes its derivative in a direction, which penalties need.
pub fn main() -> Result<(), gan::core::Error> {
    // From here on lists in TOML and weight files may name it.
    register::<Glu>();
    let layers: Vec<Layer> = vec![Dense::new(16).into(), Glu.into(), Dense::new(1).into()];
    let (rng, device) = (&mut Rng::new(1), &Device::Cpu);
    let network = Network::new("gated", &[4], &layers, Init::He, Reuse::Never, rng, device)?;
    let x = Tensor::ones((2, 4), DType::F32, device)?;
    println!("{}", network.forward(&x, &mut ForwardContext::eval())?);
    println!("{}", network.jvp(&x, &x, &mut ForwardContext::eval())?);
    Ok(())
}
