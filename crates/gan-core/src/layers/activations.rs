//! Activations: elementwise functions.

use super::settings::require;
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Unary, Value};
use crate::params::Role;
use crate::pytorch::{Call, TorchModule, TorchResult};
use candle_core::Result;
use gan_kernels::fused::{Activation, FusedLayer, InputActivation, LearnedSlope, SlopeApplies};
use serde::{Deserialize, Serialize};

/// Defines an activation without parameters, whose output shape is its input shape.
macro_rules! activation {
    (
        $(#[$doc:meta])*
        $name:ident = $key:literal, nonlinear = $nonlinear:literal, fused = $fused:expr, pytorch = $pytorch:literal,
        graph = $graph:expr, $forward:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name;

        impl LayerSpec for $name {
            const NAME: &'static str = $key;
            const IS_NONLINEAR: bool = $nonlinear;

            fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
                let forward: fn(&Dual) -> Result<Dual> = $forward;
                forward(x)
            }

            fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
                Some(vec![$fused])
            }

            fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
                let graph: fn(Value, &mut GraphContext) -> Result<Value> = $graph;
                graph(x, cx)
            }

            fn pytorch(&self, _: &[usize]) -> TorchResult {
                Ok(TorchModule::new($pytorch))
            }
        }
    };
}

activation! {
    /// max(x, 0).
    Relu = "relu", nonlinear = false, fused = FusedLayer::Activation(Activation::LeakyRelu(0.0)),
    pytorch = "nn.ReLU()", graph = |x, cx| Ok(cx.unary(Unary::Relu, x)),
    |x| x.leaky_relu(0.0)
}
activation! {
    /// x·σ(x) (Ramachandran et al. 2017, arXiv:1710.05941).
    Silu = "silu", nonlinear = true, fused = FusedLayer::InputActivation(InputActivation::Silu),
    pytorch = "nn.SiLU()", graph = |x, cx| {
        let gate = cx.unary(Unary::Sigmoid, x);
        Ok(cx.binary(Binary::Mul, x, gate))
    },
    |x| x.mul(&x.sigmoid()?)
}
activation! {
    /// x·Φ(x) (Hendrycks & Gimpel 2016, arXiv:1606.08415).
    Gelu = "gelu", nonlinear = true, fused = FusedLayer::InputActivation(InputActivation::Gelu),
    pytorch = "nn.GELU()", graph = |x, cx| {
        let scaled = cx.times(x, std::f64::consts::FRAC_1_SQRT_2)?;
        let erf = cx.unary(Unary::Erf, scaled);
        let twice = cx.plus(erf, 1.0)?;
        let probability = cx.times(twice, 0.5)?;
        Ok(cx.binary(Binary::Mul, x, probability))
    },
    |x| x.mul(&x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)?)
}
activation! {
    /// The hyperbolic tangent.
    Tanh = "tanh", nonlinear = true, fused = FusedLayer::Activation(Activation::Tanh),
    pytorch = "nn.Tanh()", graph = |x, cx| Ok(cx.unary(Unary::Tanh, x)),
    Dual::tanh
}
activation! {
    /// 1 / (1 + e⁻ˣ).
    Sigmoid = "sigmoid", nonlinear = true, fused = FusedLayer::InputActivation(InputActivation::Sigmoid),
    pytorch = "nn.Sigmoid()", graph = |x, cx| Ok(cx.unary(Unary::Sigmoid, x)),
    Dual::sigmoid
}

/// x where x > 0, else slope·x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// Slope below zero.
    pub leaky_relu: f64,
}

impl LayerSpec for LeakyRelu {
    const NAME: &'static str = "leaky_relu";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(self.leaky_relu.is_finite(), "a finite slope")?;
        Ok(Inferred::new(input))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.leaky_relu(self.leaky_relu)
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let slope = self.leaky_relu as f32;
        Some(vec![match self.leaky_relu < 0.0 {
            true => FusedLayer::InputActivation(InputActivation::LeakyRelu(slope)),
            false => FusedLayer::Activation(Activation::LeakyRelu(slope)),
        }])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.unary(Unary::LeakyRelu(self.leaky_relu), x))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.LeakyReLU").with(self.leaky_relu).module())
    }
}

/// x where x > 0, else α·(eˣ − 1) (Clevert et al. 2015, arXiv:1511.07289).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elu {
    /// α.
    pub elu: f64,
}

impl LayerSpec for Elu {
    const NAME: &'static str = "elu";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(self.elu.is_finite(), "a finite α")?;
        Ok(Inferred::new(input))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let positive = x.leaky_relu(0.0)?;
        // Above zero the second term is α·(e⁰ − 1) = 0.
        positive.add(&x.sub(&positive)?.exp()?.affine(self.elu, -self.elu)?)
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::InputActivation(InputActivation::Elu(self.elu as f32))])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        Ok(cx.unary(Unary::Elu(self.elu), x))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.ELU").with(self.elu).module())
    }
}

/// x where x > 0, else a learned slope times x (He et al. 2015, arXiv:1502.01852).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prelu;

impl LayerSpec for Prelu {
    const NAME: &'static str = "prelu";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new(input).with_param("weight", &[1], Role::Slope))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let positive = x.leaky_relu(0.0)?;
        positive.add(&x.sub(&positive)?.mul(&Dual::constant(cx.param("weight")?))?)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let slope = LearnedSlope { slope: place(0), applies: SlopeApplies::BelowZero };
        Some(vec![FusedLayer::LearnedSlope(slope)])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let slope = cx.param("weight")?;
        Ok(cx.node(Op::Prelu, &[x, slope]))
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(TorchModule::new("nn.PReLU()"))
    }
}
