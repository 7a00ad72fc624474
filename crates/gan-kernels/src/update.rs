//! Optimiser steps in place: one pass for each moment and one for the parameter.
//!
//! The numbers that a step needs are computed by the caller; here are only the element-wise updates.

use crate::storage::{Real, elements, with_real};
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, backend::BackendStorage, bail};
use rayon::prelude::*;

/// Which power of the gradient a moment averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The gradient itself.
    First,
    /// Its square.
    Second,
}

/// Where ε joins the denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epsilon {
    /// √v + ε, as in PyTorch.
    OutsideRoot,
    /// √(v + ε), as in TensorFlow's RMSProp.
    InsideRoot,
}

/// average ← decay·average + (1 − decay)·gradient (or its square), in place; any shape, both the same.
///
/// # Errors
/// If the shapes or number types differ.
pub fn accumulate(average: &Var, gradient: &Tensor, decay: f64, moment: Moment) -> Result<()> {
    same_shape(average, gradient)?;
    let gradient = gradient.detach();
    if average.device().is_cpu() {
        return average.inplace_op2(&gradient, &Accumulate { decay, moment });
    }
    let power = if moment == Moment::First { gradient } else { gradient.sqr()? };
    average.set(&((average.as_detached_tensor() * decay)? + (power * (1.0 - decay))?)?)
}

/// parameter ← parameter − scale·direction / root, in place, with root = √(root_scale·square) + ε or √(root_scale·square + ε);
/// any shape, all the same.
///
/// # Errors
/// If the shapes or number types differ.
pub fn descend(parameter: &Var, direction: &Tensor, square: &Tensor, step: Descend) -> Result<()> {
    same_shape(parameter, direction)?;
    same_shape(parameter, square)?;
    let (direction, square) = (direction.detach(), square.detach());
    if parameter.device().is_cpu() {
        return parameter.inplace_op3(&direction, &square, &step);
    }
    let square = (square * step.root_scale)?;
    let root = match step.placement {
        Epsilon::OutsideRoot => (square.sqrt()? + step.epsilon)?,
        Epsilon::InsideRoot => (square + step.epsilon)?.sqrt()?,
    };
    parameter.set(&(parameter.as_detached_tensor() - (direction * step.scale)?.div(&root)?)?)
}

fn same_shape(a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dims() == b.dims() {
        return Ok(());
    }
    bail!("an update needs tensors of one shape, got {:?} and {:?}", a.dims(), b.dims())
}

/// The numbers of [`descend`].
#[derive(Clone, Copy, Debug)]
pub struct Descend {
    /// The rate, with any correction of the first moment.
    pub scale: f64,
    /// What the second moment is multiplied by before the root.
    pub root_scale: f64,
    /// Keeps the denominator from zero.
    pub epsilon: f64,
    /// Where `epsilon` is added.
    pub placement: Epsilon,
}

/// Elements a thread takes at once.
const CHUNK: usize = 1 << 14;

/// The elements of a contiguous destination.
fn destination<'a, T: Real>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("an updated tensor must be contiguous") };
    match T::slice_mut(storage) {
        Some(values) => Ok(&mut values[start..end]),
        None => bail!("a parameter and its gradient must be of the same number type"),
    }
}

struct Accumulate {
    decay: f64,
    moment: Moment,
}

impl InplaceOp2 for Accumulate {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn cpu_fwd(&self, average: &mut CpuStorage, al: &Layout, gradient: &CpuStorage, gl: &Layout) -> Result<()> {
        with_real!(gradient.dtype(), self.name(), T => {
            let gradient = elements::<T>(gradient, gl)?;
            let average = destination::<T>(average, al)?;
            let (decay, rest) = (T::of(self.decay), T::of(1.0 - self.decay));
            let first = self.moment == Moment::First;
            average.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).for_each(|(average, gradient)| {
                for (a, g) in average.iter_mut().zip(gradient) {
                    *a = decay * *a + rest * if first { *g } else { *g * *g };
                }
            });
            Ok(())
        })
    }
}

impl InplaceOp3 for Descend {
    fn name(&self) -> &'static str {
        "descend"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        pl: &Layout,
        direction: &CpuStorage,
        dl: &Layout,
        square: &CpuStorage,
        sl: &Layout,
    ) -> Result<()> {
        with_real!(direction.dtype(), self.name(), T => {
            self.run::<T>(destination(parameter, pl)?, &elements(direction, dl)?, &elements(square, sl)?);
            Ok(())
        })
    }
}

impl Descend {
    fn run<T: Real>(&self, parameter: &mut [T], direction: &[T], square: &[T]) {
        let [scale, root_scale, epsilon] = [self.scale, self.root_scale, self.epsilon].map(T::of);
        let (inside, outside) = match self.placement {
            Epsilon::OutsideRoot => (T::ZERO, epsilon),
            Epsilon::InsideRoot => (epsilon, T::ZERO),
        };
        let chunks = parameter.par_chunks_mut(CHUNK).zip(direction.par_chunks(CHUNK)).zip(square.par_chunks(CHUNK));
        chunks.for_each(|((parameter, direction), square)| {
            for ((p, d), s) in parameter.iter_mut().zip(direction).zip(square) {
                *p -= scale * *d / ((root_scale * *s + inside).root() + outside);
            }
        });
    }
}
