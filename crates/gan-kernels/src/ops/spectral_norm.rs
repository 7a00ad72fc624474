//! Spectral norm of kernels among all parameters of a network, as one operation.
//!
//! W is a matrix with a row for each output. Power iteration finds v = Wᵀu/‖Wᵀu‖, u = Wv/‖Wv‖; then σ = uᵀWv, and the operation replaces W by
//! W/σ. With u and v held fixed, a gradient G of W/σ is G/σ − (Σ G∘W)/σ²·uvᵀ by W.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use crate::spec::product;
use crate::storage::{elements, with_elements};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// A kernel among the parameters, and its largest singular value.
#[derive(Clone, Debug)]
pub struct SpectralNorm {
    /// Index of its first number.
    start: usize,
    /// The kernel as `[before, outputs, after]`: 1 before for `[O, …]`, the inputs before for a transposed convolution's `[I, O, …]`.
    sides: [usize; 3],
    u: Vec<f32>,
    v: Vec<f32>,
    sigma: f32,
}

impl SpectralNorm {
    /// Finds the largest singular value of the kernel `[before, outputs, after]` from number `start` of the parameters on, by power
    /// iteration from the direction u `[outputs]`; with `iterates` u is improved once, else only v.
    ///
    /// # Errors
    /// If the parameters are not f32 on the CPU or end before the kernel does, or u has another length.
    pub fn of(parameters: &Tensor, start: usize, sides: [usize; 3], u: &Tensor, iterates: bool) -> Result<Self> {
        let len = product(&sides);
        if parameters.elem_count() < start.saturating_add(len) || u.dims() != [sides[1]] {
            bail!(
                "a kernel {sides:?} from number {start} on of {:?}, with a direction {:?}",
                parameters.dims(),
                u.dims()
            );
        }
        let u: Vec<f32> = u.to_vec1()?;
        let of = |all: &[f32]| Self { start, ..Self::of_kernel(&all[start..start + len], sides, &u, iterates) };
        with_elements::<f32, _>(parameters, of)
    }

    /// Does what [`SpectralNorm::of`] does, for a kernel that is not among others.
    pub fn of_kernel(w: &[f32], sides: [usize; 3], u: &[f32], iterates: bool) -> Self {
        let mut found = Self { start: 0, sides, u: u.to_vec(), v: vec![], sigma: 0.0 };
        found.iterate(w, iterates);
        found
    }

    /// Returns σ, u and v in one array, from which [`SpectralNorm::from_values`] makes the same again for a kernel that is not among others.
    pub fn values(&self) -> Vec<f32> {
        [&[self.sigma][..], &self.u, &self.v].concat()
    }

    /// Returns what had these [`SpectralNorm::values`].
    pub fn from_values(sides: [usize; 3], values: &[f32]) -> Self {
        let (u, v) = values[1..].split_at(sides[1]);
        Self { start: 0, sides, u: u.to_vec(), v: v.to_vec(), sigma: values[0] }
    }

    /// Returns u, the improved direction.
    pub fn direction(&self) -> &[f32] {
        &self.u
    }

    fn iterate(&mut self, w: &[f32], iterates: bool) {
        normalize(&mut self.u);
        self.v = self.times_transposed(w);
        normalize(&mut self.v);
        let wv = self.times(w);
        if iterates {
            self.u.clone_from(&wv);
            normalize(&mut self.u);
        }
        self.sigma = dot(&self.u, &wv);
        // A kernel of zeros does not change until it is updated.
        if self.sigma == 0.0 {
            self.sigma = 1.0;
        }
    }

    /// Returns the pieces of row `output`: their starts in the kernel, and in v.
    fn pieces(&self, output: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let [before, outputs, after] = self.sides;
        (0..before).map(move |i| ((i * outputs + output) * after, i * after))
    }

    /// Returns Wv.
    fn times(&self, w: &[f32]) -> Vec<f32> {
        let after = self.sides[2];
        let row = |output: usize| {
            let pieces = self.pieces(output);
            pieces.map(|(at, column)| dot(&w[at..at + after], &self.v[column..column + after])).sum()
        };
        crate::cpu::parallel::map(self.sides[1], row)
    }

    /// Returns Wᵀu.
    fn times_transposed(&self, w: &[f32]) -> Vec<f32> {
        let [before, outputs, after] = self.sides;
        let mut v = vec![0.0; before * after];
        let to = Shared::new(&mut v);
        let parts = after.div_ceil(PART);
        each(before * parts, |task| {
            let block = task / parts;
            let first = task % parts * PART;
            let len = PART.min(after - first);
            // SAFETY: the part lies inside v, and only this task writes it.
            let v = unsafe { std::slice::from_raw_parts_mut(to.ahead(block * after + first).get(), len) };
            for (output, u) in self.u.iter().enumerate() {
                add_scaled(*u, &w[(block * outputs + output) * after + first..][..len], v);
            }
        });
        v
    }
}

/// Number of columns per task.
const PART: usize = 1024;

/// Returns parameters `[P]` with each of `kernels` divided by its largest singular value. The gradient flows to the parameters.
///
/// # Errors
/// If the parameters are not f32 on the CPU.
pub fn spectrally_normalized(parameters: &Tensor, kernels: Vec<SpectralNorm>) -> Result<Tensor> {
    if kernels.is_empty() { Ok(parameters.clone()) } else { parameters.apply_op1(Divided(kernels)) }
}

struct Divided(Vec<SpectralNorm>);

impl CustomOp1 for Divided {
    fn name(&self) -> &'static str {
        "spectral_norm"
    }

    fn cpu_fwd(&self, parameters: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut all = elements::<f32>(parameters, layout)?.into_owned();
        for kernel in &self.0 {
            kernel.divide(&mut all[kernel.start..][..product(&kernel.sides)]);
        }
        Ok((CpuStorage::F32(all), layout.shape().clone()))
    }

    fn bwd(&self, parameters: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let mut all = with_elements::<f32, _>(g, <[f32]>::to_vec)?;
        with_elements::<f32, _>(parameters, |parameters| {
            for kernel in &self.0 {
                let range = kernel.start..kernel.start + product(&kernel.sides);
                kernel.grad(&parameters[range.clone()], &mut all[range]);
            }
        })?;
        Tensor::from_vec(all, parameters.shape(), parameters.device()).map(Some)
    }
}

impl SpectralNorm {
    /// Divides W by σ.
    pub fn divide(&self, w: &mut [f32]) {
        let factor = 1.0 / self.sigma;
        crate::cpu::rows::each_number(w, |_, w| *w *= factor);
    }

    /// Replaces the gradient of W/σ by that of W.
    pub fn grad(&self, w: &[f32], g: &mut [f32]) {
        let [before, outputs, after] = self.sides;
        let factor = 1.0 / self.sigma;
        let parts = crate::cpu::parallel::map(w.len().div_ceil(PART), |part| {
            let range = part * PART..w.len().min((part + 1) * PART);
            f64::from(dot(&g[range.clone()], &w[range]))
        });
        let along = (parts.iter().sum::<f64>() * f64::from(factor) * f64::from(factor)) as f32;
        let to = Shared::new(g);
        each(before * outputs, |row| {
            // SAFETY: the row lies inside g, and only this task uses it.
            let g = unsafe { std::slice::from_raw_parts_mut(to.ahead(row * after).get(), after) };
            g.iter_mut().for_each(|g| *g *= factor);
            let column = row / outputs * after;
            add_scaled(-along * self.u[row % outputs], &self.v[column..column + after], g);
        });
    }
}

/// Divides a vector by its length.
fn normalize(x: &mut [f32]) {
    // A kernel of zeros has no direction.
    let norm = dot(x, x).sqrt() + 1e-12;
    x.iter_mut().for_each(|x| *x /= norm);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "a product of vectors");
    let mut sums = Buffer::zeros(LANES);
    // SAFETY: both have this length.
    unsafe { Level::current().run(Dot { a, b, sums: &mut sums }) };
    sums.iter().sum()
}

/// Computes y ← y + factor·x.
fn add_scaled(factor: f32, x: &[f32], y: &mut [f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
    sums: &'a mut [f32],
}

impl Job for Dot<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let len = self.a.len();
        // SAFETY: loads stay inside both vectors, and the sums are one vector.
        unsafe {
            let mut sums = S::zero();
            for at in (0..len).step_by(LANES) {
                let lanes = LANES.min(len - at);
                let a = S::load_upto(self.a.as_ptr().add(at), lanes);
                sums = a.mul_add(S::load_upto(self.b.as_ptr().add(at), lanes), sums);
            }
            sums.store(self.sums.as_mut_ptr());
        }
    }
}
