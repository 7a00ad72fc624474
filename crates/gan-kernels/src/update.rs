//! Optimizer steps in place, over all numbers of a variable in one pass.
//!
//! The caller computes the coefficients of a step; this module does the elementwise updates.

use crate::cpu::buffer::Shared;
use crate::cpu::parallel::{each, map};
use crate::cpu::simd::{Job, LANES, Level, Simd};
use crate::storage::with_elements;
use candle_core::{CpuStorage, DType, InplaceOp2, Layout, Result, Tensor, Var, backend::BackendStorage, bail};
use std::ops::Range;
use std::sync::Mutex;

mod average;

pub use average::Average;
use average::{Kind, lock};

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
        let (a, b) = (var.as_tensor(), gradient);
        bail!(
            "an update needs one shape and type, got {:?} {:?} and {:?} {:?}",
            a.dims(),
            a.dtype(),
            b.dims(),
            b.dtype()
        );
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
        _ => bail!("both averages of a variable are made for it, and alike"),
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

/// Number of values per task.
const CHUNK: usize = 1 << 15;

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
        let gradient = crate::storage::elements::<f32>(gradient, gl)?;
        let (Some((start, end)), CpuStorage::F32(all)) = (vl.contiguous_offsets(), &mut *var) else {
            bail!("an updated variable must be contiguous f32, got {:?}", var.dtype());
        };
        let values = &mut all[start..end];
        let (mut first, mut second) = (self.first.map(lock), lock(self.second));
        let n = values.len();
        if gradient.len() != n || second.len() != n || first.as_ref().is_some_and(|f| f.len() != n) {
            bail!("an update's averages are of another variable");
        }
        let [values, second] = [values, &mut second[..]].map(Shared::new);
        let first = first.as_mut().map(|f| Shared::new(f));
        let level = Level::current();
        each(n.div_ceil(CHUNK), |i| {
            let range = i * CHUNK..n.min((i + 1) * CHUNK);
            // SAFETY: each task has its own part of slices that are all n long, as checked above.
            unsafe { level.run(Part { step: self.step, values, gradient: &gradient, first, second, range }) }
        });
        Ok(())
    }
}

struct Part<'a> {
    step: Step,
    values: Shared,
    gradient: &'a [f32],
    first: Option<Shared>,
    second: Shared,
    range: Range<usize>,
}

#[inline(always)]
unsafe fn number<S: Simd>(x: f64) -> S::V {
    // SAFETY: a vector of one number.
    unsafe { S::splat(x as f32) }
}

/// Returns the average at `p` after an update with `new`.
#[inline(always)]
unsafe fn follow<S: Simd>(p: *mut f32, n: usize, new: S::V, decay: f64) -> S::V {
    // SAFETY: the caller vouches for `n` numbers.
    unsafe {
        let v = S::fma(number::<S>(1.0 - decay), new, S::mul(number::<S>(decay), S::load_upto(p, n)));
        S::store_upto(p, n, v);
        v
    }
}

impl Job for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { step, values, gradient, first, second, range } = self;
        let (inside, outside) = match step.placement {
            Epsilon::OutsideRoot => (0.0, step.epsilon),
            Epsilon::InsideRoot => (step.epsilon, 0.0),
        };
        for at in range.clone().step_by(LANES) {
            let n = LANES.min(range.end - at);
            // SAFETY: this part of each slice is the task's own.
            unsafe {
                let g = S::load_upto(gradient.as_ptr().add(at), n);
                let v = follow::<S>(second.get().add(at), n, S::mul(g, g), step.second_decay);
                let m = match (first, step.first_decay) {
                    (Some(first), Some(decay)) => follow::<S>(first.get().add(at), n, g, decay),
                    _ => g,
                };
                let square = S::fma(number::<S>(step.root_scale), v, number::<S>(inside));
                let root = S::add(S::sqrt(square), number::<S>(outside));
                let p = values.get().add(at);
                let change = S::div(S::mul(number::<S>(step.scale), m), root);
                S::store_upto(p, n, S::sub(S::load_upto(p, n), change));
            }
        }
    }
}

/// Returns a + b, of the same shape.
///
/// # Errors
/// If the shapes or number types differ.
pub fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !a.device().is_cpu() || a.dtype() != DType::F32 || a.dims() != b.dims() {
        return a.detach() + b.detach();
    }
    let mut to = with_elements::<f32, _>(&a.detach(), <[f32]>::to_vec)?;
    with_elements::<f32, _>(&b.detach(), |b| to.iter_mut().zip(b).for_each(|(t, b)| *t += b))?;
    Tensor::from_vec(to, a.shape(), a.device())
}

/// Appends a tensor's f32 numbers in their order, from any device.
///
/// # Errors
/// From candle.
pub fn append(to: &mut Vec<f32>, x: &Tensor) -> Result<()> {
    if !x.device().is_cpu() {
        to.extend(x.flatten_all()?.to_vec1::<f32>()?);
        return Ok(());
    }
    with_elements::<f32, _>(x, |x| to.extend_from_slice(x))
}

/// Returns Σ x² over all numbers of a tensor, in an order that only depends on their count.
///
/// # Errors
/// From candle.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if !x.device().is_cpu() || x.dtype() != DType::F32 {
        return x.detach().to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar();
    }
    with_elements::<f32, _>(&x.detach(), |x| {
        let level = Level::current();
        let sums = map(x.len().div_ceil(CHUNK), |i| {
            let part = &x[i * CHUNK..x.len().min((i + 1) * CHUNK)];
            // SAFETY: the job reads its slice alone.
            unsafe { level.run(Squares(part)) }
        });
        sums.iter().sum()
    })
}

struct Squares<'a>(&'a [f32]);

impl Job for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f64 {
        let mut lanes = [0f32; LANES];
        // SAFETY: loads stay inside the slice.
        unsafe {
            let mut sum = S::zero();
            for at in (0..self.0.len()).step_by(LANES) {
                let x = S::load_n(self.0.as_ptr().add(at), LANES.min(self.0.len() - at));
                sum = S::fma(x, x, sum);
            }
            S::store(lanes.as_mut_ptr(), sum);
        }
        lanes.iter().map(|x| f64::from(*x)).sum()
    }
}
