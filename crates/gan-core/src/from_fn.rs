//! Networks written as functions over candle-nn's variables.

use crate::forward_context::ForwardContext;
use crate::gan::{Discriminator, DiscriminatorOutput, Generator};
use crate::layers::Dual;
use crate::params::{Param, Role};
use candle_core::{Result, Tensor};
use candle_nn::VarMap;
use std::sync::PoisonError;

/// A network that is a function of a tensor, over the variables of a `VarMap`.
struct FromFn<F> {
    vars: VarMap,
    forward: F,
}

/// Returns a generator that computes `forward` of latent vectors `[N, latent]`, over the variables of a `VarMap`.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{Module, VarBuilder, VarMap};
///
/// let vars = VarMap::new();
/// let linear = candle_nn::linear(8, 2, VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu))?;
/// let generator = gan_core::generator_fn(vars, move |z| linear.forward(z));
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn generator_fn(vars: VarMap, forward: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync) -> impl Generator {
    FromFn { vars, forward }
}

/// Returns a discriminator that computes one logit a sample, `[N]` or `[N, 1]`, by `forward`, over the variables of a `VarMap`.
///
/// It is written over [`Dual`]s, tensors that may carry their derivative in a direction, so that penalties on its gradient work exactly.
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{VarBuilder, VarMap, linear};
///
/// let vars = VarMap::new();
/// let builder = VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu);
/// let (hidden, last) = (linear(2, 64, builder.pp("hidden"))?, linear(64, 1, builder.pp("last"))?);
/// let forward = move |x: &gan_core::layers::Dual| {
///     x.affine_module(&hidden)?.leaky_relu(0.2)?.affine_module(&last)
/// };
/// let discriminator = gan_core::discriminator_fn(vars, forward);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn discriminator_fn(vars: VarMap, forward: impl Fn(&Dual) -> Result<Dual> + Send + Sync) -> impl Discriminator {
    FromFn { vars, forward }
}

impl<F> FromFn<F> {
    fn params(&self) -> Vec<Param> {
        let vars = self.vars.data().lock().unwrap_or_else(PoisonError::into_inner);
        let mut params: Vec<Param> =
            vars.iter().map(|(name, var)| Param::whole(name.clone(), var.clone(), role(name))).collect();
        params.sort_by(|a, b| a.name.cmp(&b.name));
        params
    }
}

/// Returns the role of a variable of candle-nn, by its name.
fn role(name: &str) -> Role {
    match name.rsplit('.').next() {
        Some("running_mean") => Role::RunningMean,
        Some("running_var") => Role::RunningVariance,
        Some("bias") => Role::Bias,
        _ => Role::Weight,
    }
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> Generator for FromFn<F> {
    fn forward(&self, z: &Tensor, _: &mut ForwardContext) -> Result<Tensor> {
        (self.forward)(z)
    }

    fn params(&self) -> Vec<Param> {
        self.params()
    }
}

impl<F: Fn(&Dual) -> Result<Dual> + Send + Sync> Discriminator for FromFn<F> {
    fn forward(&self, x: &Tensor, _: &mut ForwardContext) -> Result<DiscriminatorOutput> {
        Ok(DiscriminatorOutput::of((self.forward)(&Dual::constant(x.clone()))?.value.flatten_all()?))
    }

    fn jvp(&self, x: &Tensor, t: &Tensor, _: &mut ForwardContext) -> Result<Tensor> {
        let y = (self.forward)(&Dual { value: x.clone(), change: Some(t.clone()) })?;
        y.change.map_or_else(|| y.value.zeros_like(), Ok)?.flatten_all()
    }

    fn params(&self) -> Vec<Param> {
        self.params()
    }
}
