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
    /// The slope of a PReLU.
    Slope,
    /// A learnt vector for each class.
    Embedding,
    /// What a branch is multiplied by; begins at 0.
    Gate,
    /// The left singular vector that spectral norm follows: saved, never stepped.
    Direction,
    /// A running mean: saved, never stepped.
    RunningMean,
    /// A running variance: saved, never stepped.
    RunningVariance,
}

impl Role {
    /// Whether an optimiser steps it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance | Self::Direction)
    }
}

/// One named tensor of a network: a variable, or a window into one that holds several in a row. Cloning shares the numbers.
#[derive(Clone, Debug)]
pub struct Param {
    /// As in PyTorch's state dict: `main.0.weight`.
    pub name: String,
    /// What it does.
    pub role: Role,
    var: Var,
    start: usize,
    shape: Vec<usize>,
}

impl Param {
    /// All of `var`.
    pub fn whole(name: impl Into<String>, var: Var, role: Role) -> Self {
        let shape = var.dims().to_vec();
        Self { name: name.into(), role, var, start: 0, shape }
    }

    /// The numbers of `var` `[P]` from `start` on, as a tensor of `shape`.
    pub fn window(name: impl Into<String>, var: &Var, start: usize, shape: &[usize], role: Role) -> Self {
        Self { name: name.into(), role, var: var.clone(), start, shape: shape.to_vec() }
    }

    /// The variable that holds it, alone or with others: what optimisers step.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// Its first number in the variable.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Its shape.
    pub fn dims(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers it has.
    pub fn elem_count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its window of `all`, which is the variable or another tensor of its shape (a gradient, a moment).
    ///
    /// # Errors
    /// From candle, if `all` is shorter.
    pub fn of(&self, all: &Tensor) -> candle_core::Result<Tensor> {
        if all.dims() == self.shape {
            return Ok(all.clone());
        }
        all.narrow(0, self.start, self.elem_count())?.reshape(&self.shape[..])
    }

    /// The tensor, apart from any graph; it shows later changes.
    ///
    /// # Errors
    /// From candle.
    pub fn tensor(&self) -> candle_core::Result<Tensor> {
        self.of(&self.var.as_detached_tensor())
    }

    /// The tensor, through which gradients reach the variable.
    ///
    /// # Errors
    /// From candle.
    pub fn tracked(&self) -> candle_core::Result<Tensor> {
        self.of(self.var.as_tensor())
    }

    /// Sets it to the numbers of `t`, which must have its shape.
    ///
    /// # Errors
    /// If the shape or the number type differs.
    pub fn set(&self, t: &Tensor) -> candle_core::Result<()> {
        if t.dims() != self.shape {
            candle_core::bail!("\"{}\" is {:?}, cannot be set to {:?}", self.name, self.shape, t.dims());
        }
        if self.var.dims() == self.shape {
            return self.var.set(&t.copy()?);
        }
        self.var.as_detached_tensor().slice_set(&t.flatten_all()?.contiguous()?.copy()?, 0, self.start)
    }
}

/// A parameter as its layer describes it: name within the layer, shape, role.
pub type Described = (String, Vec<usize>, Role);

/// The parameters that a layer has over an input of `shape` (without the batch), those of the layers inside it included.
///
/// Shapes are PyTorch's: dense `[O, I]`, convolution `[O, I / groups, kh, kw]`, transposed `[I, O, kh, kw]`.
pub fn of_layer(layer: &Layer, shape: &[usize]) -> Vec<Described> {
    let c = shape[0];
    let mut all = Own::default();
    match layer {
        Layer::Dense(l) => all.kernel("weight", vec![l.dense, c]).bias(l.dense, l.bias),
        Layer::Conv(l) => {
            let [kh, kw] = l.kernel.get();
            all.kernel("weight", vec![l.conv, c / l.groups.max(1), kh, kw]).bias(l.conv, l.bias)
        }
        Layer::ConvTranspose(l) => {
            let [kh, kw] = l.kernel.get();
            all.kernel("weight", vec![c, l.conv_transpose, kh, kw]).bias(l.conv_transpose, l.bias)
        }
        Layer::BatchNorm(_) => all.affine(vec![c], true).running(c),
        Layer::ConditionalBatchNorm(l) => all.affine(vec![l.conditional_batch_norm, c], true).running(c),
        Layer::InstanceNorm(l) => all.affine(vec![c], l.instance_norm.affine),
        Layer::LayerNorm(l) => all.affine(vec![c], l.layer_norm.affine),
        Layer::GroupNorm(l) => all.affine(vec![c], l.affine),
        Layer::Prelu => all.add("weight", vec![1], Role::Slope),
        Layer::Attention(l) => {
            let (inner, half) = (c / l.attention.max(1), c / 2);
            all.kernel("query.weight", vec![inner, c]).kernel("key.weight", vec![inner, c]);
            all.kernel("value.weight", vec![half, c]).kernel("out.weight", vec![c, half]);
            all.add("gamma", vec![1], Role::Gate)
        }
        Layer::ConcatClass(l) => match l.embedding {
            Some(size) => all.add("weight", vec![l.concat_class, size], Role::Embedding),
            None => &mut all,
        },
        Layer::Projection(l) => {
            all.kernel("weight", vec![1, c]).bias(1, true).kernel("embed.weight", vec![l.projection, c])
        }
        Layer::Auxiliary(l) => all.kernel("weight", vec![1 + l.auxiliary, c]).bias(1 + l.auxiliary, true),
        Layer::Residual(l) => {
            all.list("body", shape, &l.residual);
            all.list("skip", shape, &l.skip)
        }
        _ => &mut all,
    };
    if layer.has_spectral_norm() {
        all.directions(matches!(layer, Layer::ConvTranspose(_)));
    }
    all.0
}

/// A layer's parameters, gathered.
#[derive(Default)]
struct Own(Vec<Described>);

impl Own {
    fn add(&mut self, name: &str, shape: Vec<usize>, role: Role) -> &mut Self {
        self.0.push((name.into(), shape, role));
        self
    }

    fn kernel(&mut self, name: &str, shape: Vec<usize>) -> &mut Self {
        self.add(name, shape, Role::Weight)
    }

    fn bias(&mut self, outputs: usize, has: bool) -> &mut Self {
        if has { self.add("bias", vec![outputs], Role::Bias) } else { self }
    }

    fn affine(&mut self, shape: Vec<usize>, has: bool) -> &mut Self {
        if has { self.add("weight", shape.clone(), Role::Scale).add("bias", shape, Role::Shift) } else { self }
    }

    fn running(&mut self, channels: usize) -> &mut Self {
        self.add("running_mean", vec![channels], Role::RunningMean);
        self.add("running_var", vec![channels], Role::RunningVariance)
    }

    /// A direction beside each kernel, as long as it has outputs.
    fn directions(&mut self, transposed: bool) {
        let kernels: Vec<_> = self.0.iter().filter(|own| own.2 == Role::Weight).cloned().collect();
        for (name, shape, _) in kernels {
            self.add(&format!("{name}_u"), vec![shape[usize::from(transposed)]], Role::Direction);
        }
    }

    fn list(&mut self, name: &str, input: &[usize], layers: &[Layer]) -> &mut Self {
        let shapes = crate::shape::infer(name, input, layers).unwrap_or_default();
        let befores = std::iter::once(input).chain(shapes.iter().map(Vec::as_slice));
        for (index, (layer, before)) in layers.iter().zip(befores).enumerate() {
            let own = of_layer(layer, before).into_iter();
            self.0.extend(own.map(|(suffix, shape, role)| (format!("{name}.{index}.{suffix}"), shape, role)));
        }
        self
    }
}

/// The tensors of `params` by name.
///
/// # Errors
/// From candle.
pub fn named_tensors(params: &[Param]) -> candle_core::Result<BTreeMap<String, Tensor>> {
    params.iter().map(|p| Ok((p.name.clone(), p.tensor()?))).collect()
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
            Some(t) if t.dims() != p.dims() => {
                let (found, expected) = (t.dims(), p.dims());
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
        p.set(&tensors[&p.name].to_dtype(p.var.dtype())?.to_device(p.var.device())?)?;
    }
    Ok(())
}
