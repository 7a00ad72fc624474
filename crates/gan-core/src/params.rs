//! Named parameters: what optimisers step, checkpoints save and PyTorch loads.

use crate::error::{Error, Result};
use crate::layer::Layer;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;
use std::path::Path;

/// What a parameter does in its layer; decides its initialisation and whether an optimiser steps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A dense or convolution kernel.
    Weight,
    /// Added to a layer's output.
    Bias,
    /// A normalisation's γ.
    Scale,
    /// A normalisation's β.
    Shift,
    /// A running mean: saved, never stepped.
    RunningMean,
    /// A running variance: saved, never stepped.
    RunningVariance,
}

impl Role {
    /// Whether an optimiser steps it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

/// One named tensor of a network. Cloning shares the tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// As in PyTorch's state dict: `main.0.weight`.
    pub name: String,
    /// The tensor.
    pub var: Var,
    /// What it does.
    pub role: Role,
}

/// The parameters that a layer has over an input of `shape` (without the batch): suffix, shape, role.
///
/// Shapes are PyTorch's: dense `[O, I]`, convolution `[O, I, kh, kw]`, transposed `[I, O, kh, kw]`.
pub fn of_layer(layer: &Layer, shape: &[usize]) -> Vec<(&'static str, Vec<usize>, Role)> {
    let with_bias = |weight: Vec<usize>, outputs: usize, bias: bool| {
        let mut all = vec![("weight", weight, Role::Weight)];
        all.extend(bias.then(|| ("bias", vec![outputs], Role::Bias)));
        all
    };
    match layer {
        Layer::Dense(l) => with_bias(vec![l.dense, shape[0]], l.dense, l.bias),
        Layer::Conv(l) => {
            let [kh, kw] = l.kernel.get();
            with_bias(vec![l.conv, shape[0], kh, kw], l.conv, l.bias)
        }
        Layer::ConvTranspose(l) => {
            let [kh, kw] = l.kernel.get();
            with_bias(vec![shape[0], l.conv_transpose, kh, kw], l.conv_transpose, l.bias)
        }
        Layer::BatchNorm(_) => {
            let c = vec![shape[0]];
            vec![
                ("weight", c.clone(), Role::Scale),
                ("bias", c.clone(), Role::Shift),
                ("running_mean", c.clone(), Role::RunningMean),
                ("running_var", c, Role::RunningVariance),
            ]
        }
        _ => vec![],
    }
}

/// The tensors of `params` by name.
pub fn named_tensors(params: &[Param]) -> BTreeMap<String, Tensor> {
    params.iter().map(|p| (p.name.clone(), p.var.as_detached_tensor())).collect()
}

/// Sets `params` to `tensors`, which come from the file `from` (for messages). Checks all before it sets any.
///
/// # Errors
/// If a name is missing or left over, or a shape differs; nothing is changed then.
pub fn load(params: &[Param], tensors: &BTreeMap<String, Tensor>, from: &Path) -> Result<()> {
    let fail = |problem: String| Err(Error::Weights { path: from.into(), problem });
    for p in params {
        match tensors.get(&p.name) {
            None => return fail(format!("has no tensor \"{}\", which the network's layer list needs", p.name)),
            Some(t) if t.dims() != p.var.dims() => {
                let (found, expected) = (t.dims(), p.var.dims());
                return fail(format!(
                    "tensor \"{}\" is {found:?}, the network's layer list needs {expected:?}",
                    p.name
                ));
            }
            Some(t) if !t.dtype().is_float() => {
                return fail(format!("tensor \"{}\" holds {:?}, expected floating point numbers", p.name, t.dtype()));
            }
            Some(_) => {}
        }
    }
    // PyTorch counts batches beside each running average; nothing here needs the count.
    let known = |name: &String| params.iter().any(|p| p.name == *name) || name.ends_with(".num_batches_tracked");
    if let Some(name) = tensors.keys().find(|name| !known(name)) {
        return fail(format!("holds a tensor \"{name}\" that the network's layer list has no place for"));
    }
    for p in params {
        let t = tensors[&p.name].to_dtype(p.var.dtype())?.to_device(p.var.device())?;
        // A copy, since the tensors may be the parameters' own.
        p.var.set(&t.copy()?)?;
    }
    Ok(())
}
