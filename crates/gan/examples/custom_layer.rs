//! A layer of your own: the positive and the negative part of every channel, in a list like any other layer.

use gan::core::layers::{Dense, Dual, InferResult, Inferred, LayerContext, LayerSpec, register};
use gan::core::{Init, Network};
use gan::kernels::fused::Reuse;
use gan::prelude::*;
use serde::{Deserialize, Serialize};

/// max(x, 0) and max(−x, 0) side by side (Shang et al. 2016, arXiv:1603.05201): `[C, …] -> [2C, …]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ConcatRelu;

impl LayerSpec for ConcatRelu {
    const NAME: &'static str = "concat_relu";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new([&[2 * input[0]], &input[1..]].concat()))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> candle_core::Result<Dual> {
        let negative = x.linear(|x| x.neg())?;
        x.leaky_relu(0.0)?.join(&negative.leaky_relu(0.0)?, 1)
    }
}

/// Builds a network with the layer, and takes its derivative in a direction, which penalties need.
pub fn main() -> Result<(), gan::core::Error> {
    // From here on lists in TOML and weight files may name it.
    register::<ConcatRelu>();
    let layers: Vec<Layer> = vec![Dense::new(8).into(), ConcatRelu.into(), Dense::new(1).into()];
    let (rng, device) = (&mut Rng::new(1), &Device::Cpu);
    let network = Network::new("signed", &[4], &layers, Init::He, Reuse::Never, rng, device)?;
    let x = Tensor::ones((2, 4), DType::F32, device)?;
    println!("{}", network.forward(&x, &mut ForwardContext::eval())?);
    println!("{}", network.jvp(&x, &x, &mut ForwardContext::eval())?);
    Ok(())
}
