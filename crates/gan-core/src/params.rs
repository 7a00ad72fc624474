//! Named parameters: what optimisers step, checkpoints save and PyTorch loads.

use crate::error::{Error, Result};
use candle_core::{Tensor, Var};
use std::collections::{BTreeMap, HashSet};
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

/// The tensors of `params` by name.
///
/// # Errors
/// From candle.
pub fn named_tensors(params: &[Param]) -> candle_core::Result<BTreeMap<String, Tensor>> {
    params.iter().map(|p| Ok((p.name.clone(), p.tensor()?))).collect()
}

/// A tensor as a file describes it before it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its number type where that is no floating point type, for messages.
    pub not_float: Option<String>,
}

impl From<&Tensor> for TensorInfo {
    fn from(t: &Tensor) -> Self {
        let dtype = t.dtype();
        Self { shape: t.dims().to_vec(), not_float: (!dtype.is_float()).then(|| format!("{dtype:?}")) }
    }
}

/// How many names a message lists.
const NAMED: usize = 4;

/// Compares the parameters that a layer list has, by name, with the tensors that the file `from` (for messages) says it holds.
///
/// # Errors
/// If names are missing or left over, or a shape or number type differs.
pub fn check(expected: &[(String, Vec<usize>)], found: &BTreeMap<String, TensorInfo>, from: &Path) -> Result<()> {
    let fail = |problem: String| Err(Error::Weights { path: from.into(), problem });
    let names = || expected.iter().map(|(name, _)| name.as_str());
    let missing: Vec<&str> = names().filter(|name| !found.contains_key(*name)).collect();
    if let [first, others @ ..] = &missing[..] {
        let others = and_others(others, "nor");
        return fail(format!("has no tensor \"{first}\"{others}, which the network's layer list needs"));
    }
    for (name, shape) in expected {
        let tensor = &found[name];
        if tensor.shape != *shape {
            let found = &tensor.shape;
            return fail(format!("tensor \"{name}\" is {found:?}, the network's layer list needs {shape:?}"));
        }
        if let Some(dtype) = &tensor.not_float {
            return fail(format!("tensor \"{name}\" holds {dtype}, expected floating point numbers"));
        }
    }
    // PyTorch counts batches beside each running average; nothing here needs the count.
    let needed: HashSet<&str> = names().collect();
    let known = |name: &str| needed.contains(name) || name.ends_with(".num_batches_tracked");
    let surplus: Vec<&str> = found.keys().map(String::as_str).filter(|name| !known(name)).collect();
    if let [first, others @ ..] = &surplus[..] {
        let others = and_others(others, "and");
        return fail(format!("holds a tensor \"{first}\"{others} that the network's layer list has no place for"));
    }
    Ok(())
}

/// ` (and "a", "b" and 12 more)`, or nothing where there are no others.
fn and_others(names: &[&str], joined: &str) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("\"{name}\"")).collect();
    match names.len() {
        0 => String::new(),
        n if n <= NAMED => format!(" ({joined} {})", shown.join(", ")),
        n => format!(" ({joined} {} and {} more)", shown.join(", "), n - NAMED),
    }
}

/// Sets `params` to `tensors`, which come from the file `from` (for messages). Checks all before it sets any.
///
/// # Errors
/// If a name is missing or left over, or a shape differs; nothing is changed then.
pub fn load(params: &[Param], tensors: &BTreeMap<String, Tensor>, from: &Path) -> Result<()> {
    let expected: Vec<_> = params.iter().map(|p| (p.name.clone(), p.dims().to_vec())).collect();
    let found = tensors.iter().map(|(name, t)| (name.clone(), TensorInfo::from(t))).collect();
    check(&expected, &found, from)?;
    for p in params {
        p.set(&tensors[&p.name].to_dtype(p.var.dtype())?.to_device(p.var.device())?)?;
    }
    Ok(())
}
