//! Optimizer steps in place, over all numbers of a variable in one pass.
//!
//! The caller computes the coefficients of a step; the backend does the elementwise updates. On other devices, and in other number formats,
//! candle's operations do. Functions without a section "Errors" fail only where candle does.

use crate::backend::{Backend, Optimizers};
use crate::cpu::Cpu;
use crate::storage::{elements, lock, with_elements};
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Result, Tensor, Var, backend::BackendStorage, bail};
use std::sync::Mutex;

/// A running average with one number for each of a variable's.
#[derive(Debug)]
pub struct Average(Kind);

#[derive(Debug)]
enum Kind {
    /// Of an f32 variable on the CPU.
    Host(Mutex<Vec<f32>>),
    Other(Var),
}

impl Average {
    /// Returns zeros for `var`.
    pub fn zeros_like(var: &Var) -> Result<Self> {
        if var.device().is_cpu() && var.dtype() == DType::F32 {
            return Ok(Self(Kind::Host(Mutex::new(vec![0.0; var.elem_count()]))));
        }
        Ok(Self(Kind::Other(Var::from_tensor(&var.as_detached_tensor().zeros_like()?.flatten_all()?)?)))
    }

    /// Returns a copy of its numbers `[P]`.
    pub fn tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Kind::Host(values) => Tensor::new(&lock(values)[..], &Device::Cpu),
            Kind::Other(var) => var.as_detached_tensor().copy(),
        }
    }

    /// Sets the numbers from `start` on to those of `t`, of any shape.
    ///
    /// # Errors
    /// If their number does not fit.
    pub fn set(&self, start: usize, t: &Tensor) -> Result<()> {
        let flat = t.flatten_all()?;
        match &self.0 {
            Kind::Host(values) => {
                let flat: Vec<f32> = flat.to_vec1()?;
                let end = start.saturating_add(flat.len());
                match lock(values).get_mut(start..end) {
                    Some(to) => to.copy_from_slice(&flat),
                    None => bail!("an average has fewer than {end} numbers"),
                }
                Ok(())
            }
            Kind::Other(var) => {
                var.as_detached_tensor().slice_set(&flat.to_device(var.device())?.contiguous()?.copy()?, 0, start)
            }
        }
    }

    /// Updates average ← (1 − weight)·average + weight·value, with each number of `var`.
    ///
    /// # Errors
    /// If the average belongs to another variable.
    pub fn follow(&self, var: &Var, weight: f64) -> Result<()> {
        let value = var.as_detached_tensor().flatten_all()?;
        match &self.0 {
            Kind::Host(values) => with_elements::<f32, _>(&value, |new| {
                let mut average = lock(values);
                if average.len() != new.len() {
                    bail!("an average of {} numbers cannot follow a variable of {}", average.len(), new.len());
                }
                Cpu.follow(weight as f32, new, &mut average);
                Ok(())
            })?,
            Kind::Other(average) => {
                average.set(&((average.as_detached_tensor() * (1.0 - weight))? + (value * weight)?)?)
            }
        }
    }
}

/// Place of ε in the denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epsilon {
    /// √v + ε, as in PyTorch.
    OutsideRoot,
    /// √(v + ε), as in TensorFlow's RMSProp.
    InsideRoot,
}

/// Coefficients of a step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Weight of the old average of the gradient; `None` uses the gradient itself.
    pub first_decay: Option<f64>,
    /// Weight of the old average of the squared gradient.
    pub second_decay: f64,
    /// Learning rate, with any correction of the first average.
    pub scale: f64,
    /// Factor of the second average before the root.
    pub root_scale: f64,
    /// Keeps the denominator from zero.
    pub epsilon: f64,
    /// Place where `epsilon` is added.
    pub placement: Epsilon,
}

/// Updates a variable by Adam or RMSProp: m ← decay·m + (1 − decay)·g, v ← decay·v + (1 − decay)·g², parameter ← parameter − scale·m /
/// root, root = √(root_scale·v) + ε or √(root_scale·v + ε); without `first`, m is g itself.
///
/// # Errors
/// If the gradient has another shape or number type than the variable, or an average belongs to another variable.
pub fn step(var: &Var, gradient: &Tensor, first: Option<&Average>, second: &Average, step: Step) -> Result<()> {
    if var.dims() != gradient.dims() || var.dtype() != gradient.dtype() {
        let of = |t: &Tensor| format!("{:?} {:?}", t.dims(), t.dtype());
        bail!("an update needs one shape and type, got {} and {}", of(var), of(gradient));
    }
    if first.is_some_and(|first| std::ptr::eq(first, second)) {
        bail!("an update needs two averages, got the same one twice");
    }
    let gradient = gradient.detach();
    match (&second.0, first.map(|f| &f.0)) {
        (Kind::Host(second), None) => var.inplace_op2(&gradient, &Update { step, first: None, second }),
        (Kind::Host(second), Some(Kind::Host(first))) => {
            var.inplace_op2(&gradient, &Update { step, first: Some(first), second })
        }
        (Kind::Other(second), None) => composed(var, &gradient, None, second, step),
        (Kind::Other(second), Some(Kind::Other(first))) => composed(var, &gradient, Some(first), second, step),
        (Kind::Host(_), Some(Kind::Other(_))) | (Kind::Other(_), Some(Kind::Host(_))) => {
            bail!("both averages of an update must be made for its variable")
        }
    }
}

/// Does the same with candle's operations.
fn composed(var: &Var, gradient: &Tensor, first: Option<&Var>, second: &Var, step: Step) -> Result<()> {
    let g = gradient.flatten_all()?;
    let follow = |average: &Var, new: &Tensor, decay: f64| {
        average.set(&((average.as_detached_tensor() * decay)? + (new * (1.0 - decay))?)?)
    };
    follow(second, &g.sqr()?, step.second_decay)?;
    let direction = match (first, step.first_decay) {
        (Some(first), Some(decay)) => {
            follow(first, &g, decay)?;
            first.as_detached_tensor()
        }
        _ => g,
    };
    let square = (second.as_detached_tensor() * step.root_scale)?;
    let root = match step.placement {
        Epsilon::OutsideRoot => (square.sqrt()? + step.epsilon)?,
        Epsilon::InsideRoot => (square + step.epsilon)?.sqrt()?,
    };
    let change = (direction * step.scale)?.div(&root)?.reshape(var.shape())?;
    var.set(&(var.as_detached_tensor() - change)?)
}

struct Update<'a> {
    step: Step,
    first: Option<&'a Mutex<Vec<f32>>>,
    second: &'a Mutex<Vec<f32>>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(&self, var: &mut CpuStorage, vl: &Layout, gradient: &CpuStorage, gl: &Layout) -> Result<()> {
        let gradient = elements::<f32>(gradient, gl)?;
        let (Some((start, end)), CpuStorage::F32(all)) = (vl.contiguous_offsets(), &mut *var) else {
            bail!("an updated variable must be contiguous f32, got {:?}", var.dtype());
        };
        let values = &mut all[start..end];
        let mut first = self.first.map(lock);
        let mut second = lock(self.second);
        let n = values.len();
        if gradient.len() != n || second.len() != n || first.as_ref().is_some_and(|f| f.len() != n) {
            bail!("an update's averages are of another variable");
        }
        Cpu.optimizer_step(&self.step, values, &gradient, first.as_mut().map(|f| &mut f[..]), &mut second);
        Ok(())
    }
}

/// Returns a + b, of the same shape; a's own numbers become the sum if that is possible.
///
/// # Errors
/// If the shapes or number types differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let a = a.detach();
    let b = b.detach();
    if !a.device().is_cpu() || a.dtype() != DType::F32 || a.dims() != b.dims() || !a.is_contiguous() {
        return a + b;
    }
    a.inplace_op2(&b, &Add)?;
    Ok(a)
}

struct Add;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, to: &mut CpuStorage, tl: &Layout, from: &CpuStorage, fl: &Layout) -> Result<()> {
        let from = elements::<f32>(from, fl)?;
        let (Some((start, end)), CpuStorage::F32(all)) = (tl.contiguous_offsets(), &mut *to) else {
            bail!("numbers that are added to must be contiguous f32, got {:?}", to.dtype());
        };
        Cpu.add(&from, &mut all[start..end]);
        Ok(())
    }
}

/// Appends a tensor's f32 numbers in their order, from any device.
pub fn append(to: &mut Vec<f32>, x: &Tensor) -> Result<()> {
    if !x.device().is_cpu() {
        to.extend(x.flatten_all()?.to_vec1::<f32>()?);
        return Ok(());
    }
    with_elements::<f32, _>(x, |x| to.extend_from_slice(x))
}

/// Returns Σ x² over all numbers of a tensor, in an order that only depends on their count.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if !x.device().is_cpu() || x.dtype() != DType::F32 {
        return x.detach().to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar();
    }
    with_elements::<f32, _>(&x.detach(), |x| Cpu.sum_of_squares(x))
}
