//! Named parameters, which optimizers update, checkpoints save and PyTorch loads.

use crate::error::{Error, Result};
use candle_core::{Tensor, Var};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Role of a parameter in its layer, which determines its initialization and whether an optimizer updates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A dense or convolution kernel.
    Weight,
    /// Bias, added to a layer's output.
    Bias,
    /// γ of a normalization.
    Scale,
    /// β of a normalization.
    Shift,
    /// Slope of a PReLU.
    Slope,
    /// Learned vector for each class.
    Embedding,
    /// Factor of a branch, initially 0.
    Gate,
    /// Left singular vector of spectral norm: saved, never updated by an optimizer.
    Direction,
    /// Running mean: saved, never updated by an optimizer.
    RunningMean,
    /// Running variance: saved, never updated by an optimizer.
    RunningVariance,
}

impl Role {
    /// Returns whether an optimizer updates it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance | Self::Direction)
    }
}

/// One named tensor of a network: a variable, or a view of one that packs several. Clones share the values.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name, as in PyTorch's state dict: `main.0.weight`.
    pub name: String,
    /// Role in the layer.
    pub role: Role,
    var: Var,
    start: usize,
    shape: Vec<usize>,
}

impl Param {
    /// Returns a parameter that is all of `var`.
    pub fn whole(name: impl Into<String>, var: Var, role: Role) -> Self {
        let shape = var.dims().to_vec();
        Self { name: name.into(), role, var, start: 0, shape }
    }

    /// Returns a parameter that is the part of `var` `[P]` from `start` on, as a tensor of `shape`.
    pub fn window(name: impl Into<String>, var: &Var, start: usize, shape: &[usize], role: Role) -> Self {
        Self { name: name.into(), role, var: var.clone(), start, shape: shape.to_vec() }
    }

    /// Returns the variable that contains it, alone or with others, which optimizers update.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// Returns the index of its first value in the variable.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Returns its shape.
    pub fn dims(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the number of values.
    pub fn elem_count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns its part of `all`, which is the variable or another tensor of its shape (a gradient, a moment).
    ///
    /// # Errors
    /// From candle, if `all` is shorter.
    pub fn of(&self, all: &Tensor) -> candle_core::Result<Tensor> {
        if all.dims() == self.shape {
            return Ok(all.clone());
        }
        all.narrow(0, self.start, self.elem_count())?.reshape(&self.shape[..])
    }

    /// Returns the tensor, detached from any graph; it shows later changes.
    pub fn tensor(&self) -> candle_core::Result<Tensor> {
        self.of(&self.var.as_detached_tensor())
    }

    /// Returns the tensor, through which gradients reach the variable.
    pub fn tracked(&self) -> candle_core::Result<Tensor> {
        self.of(self.var.as_tensor())
    }

    /// Sets it to the values of `t`, which must have its shape.
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

    /// Returns the tensors of `params` by name.
    pub fn tensors(params: &[Self]) -> candle_core::Result<BTreeMap<String, Tensor>> {
        params.iter().map(|p| Ok((p.name.clone(), p.tensor()?))).collect()
    }

    /// Sets `params` to `tensors`, which come from the file `from` (for messages). Checks all before it sets any.
    ///
    /// # Errors
    /// If a name is missing or left over, or a shape differs; nothing is then changed.
    pub fn load(params: &[Self], tensors: &BTreeMap<String, Tensor>, from: &Path) -> Result<()> {
        let expected: Vec<_> = params.iter().map(|p| (p.name.clone(), p.dims().to_vec())).collect();
        let found = tensors.iter().map(|(name, t)| (name.clone(), TensorInfo::from(t))).collect();
        check(&expected, &found, from)?;
        for p in params {
            p.set(&tensors[&p.name].to_dtype(p.var.dtype())?.to_device(p.var.device())?)?;
        }
        Ok(())
    }
}

/// A tensor as a file describes it before it is read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorInfo {
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Number type, if it is not a floating point type, for messages.
    pub not_float: Option<String>,
}

impl From<&Tensor> for TensorInfo {
    fn from(t: &Tensor) -> Self {
        let dtype = t.dtype();
        Self { shape: t.dims().to_vec(), not_float: (!dtype.is_float()).then(|| format!("{dtype:?}")) }
    }
}

/// Maximum number of names in a message.
const NAMED: usize = 4;

/// Compares the parameters of a layer list, by name, with the tensors that the file `from` (for messages) describes.
///
/// # Errors
/// If names are missing or left over, or a shape or number type differs.
pub(crate) fn check(
    expected: &[(String, Vec<usize>)],
    found: &BTreeMap<String, TensorInfo>,
    from: &Path,
) -> Result<()> {
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
    // PyTorch stores a count of batches beside each running average, which is not needed here.
    let needed: HashSet<&str> = names().collect();
    let known = |name: &str| needed.contains(name) || name.ends_with(".num_batches_tracked");
    let surplus: Vec<&str> = found.keys().map(String::as_str).filter(|name| !known(name)).collect();
    if let [first, others @ ..] = &surplus[..] {
        let others = and_others(others, "and");
        return fail(format!("holds a tensor \"{first}\"{others} that the network's layer list has no place for"));
    }
    Ok(())
}

/// Returns ` (and "a", "b" and 12 more)`, or nothing if there are no others.
fn and_others(names: &[&str], joined: &str) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("\"{name}\"")).collect();
    match names.len() {
        0 => String::new(),
        n if n <= NAMED => format!(" ({joined} {})", shown.join(", ")),
        n => format!(" ({joined} {} and {} more)", shown.join(", "), n - NAMED),
    }
}
