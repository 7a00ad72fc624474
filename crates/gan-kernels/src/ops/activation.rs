//! Elementwise functions with PyTorch's derivatives, also where candle's differ (at zero).

use crate::storage::elements;
use candle_core::{
    CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, backend::BackendStorage, bail,
};
use rayon::prelude::*;

/// Returns max(x, 0), of any shape; the derivative at 0 is 0.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    leaky_relu(x, 0.0)
}

/// Returns x where x > 0, else `slope`·x, of any shape; the derivative at 0 is `slope`.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    x.mul(&slopes(x, slope)?)
}

/// Returns 1 / (1 + e⁻ˣ), of any shape.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.apply_op1(Sigmoid);
    }
    // Written with the hyperbolic tangent, which cannot overflow.
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

/// Returns ln(1 + eˣ), of any shape, as max(x, 0) + ln(1 + e^−|x|), which is finite for every finite x.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.apply_op1(Softplus);
    }
    softplus_composed(x)
}

/// Computes the softplus with candle's operations. The derivatives of max(x, 0) and |x| are constants of 0 and ±1 that fit each other at 0,
/// where the two parts' derivatives add up to ½; below 0 that of the first is 0, so that small derivatives of the second keep their digits.
fn softplus_composed(x: &Tensor) -> Result<Tensor> {
    let positive = slopes(x, 0.0)?;
    let size = x.mul(&positive.affine(2.0, -1.0)?)?;
    x.mul(&positive)? + log_of_one_and(&size.neg()?.exp()?)?
}

/// Returns ln(1 + u) for u ≥ 0, exact also if 1 + u has lost most of u: times u over the remaining part (Goldberg 1991, theorem 4), or u
/// itself if nothing remains. The derivative, 1/(1 + u), needs no such care.
fn log_of_one_and(u: &Tensor) -> Result<Tensor> {
    let sum = (u + 1.0)?;
    let log = sum.log()?;
    let u = u.detach();
    let left = (sum.detach() - 1.0)?;
    let lost = left.eq(&left.zeros_like()?)?.to_dtype(u.dtype())?;
    let factor = (&u / (&left + &lost)?)?;
    let missing = (log.detach().mul(&(factor - 1.0)?)? + u.mul(&lost)?)?;
    log + missing
}

/// Returns 1 where x > 0, else `slope`: a leaky ReLU's derivative, a constant for the gradient.
pub fn slopes(x: &Tensor, slope: f64) -> Result<Tensor> {
    let x = x.detach();
    let positive = x.gt(&x.zeros_like()?)?.to_dtype(x.dtype())?;
    // The larger of the two is exact; a sum of 1 − slope and slope may round.
    if (0.0..=1.0).contains(&slope) { positive.maximum(slope) } else { positive.affine(1.0 - slope, slope) }
}

/// Number of elements per task.
const CHUNK: usize = 1 << 14;

/// Applies f, in double precision, to each element of f32 or f64.
fn map(name: &str, x: &CpuStorage, l: &Layout, f: impl Fn(f64) -> f64 + Sync) -> Result<(CpuStorage, Shape)> {
    fn each<T: WithDType>(x: &CpuStorage, l: &Layout, f: impl Fn(f64) -> f64 + Sync) -> Result<(CpuStorage, Shape)> {
        let x = elements::<T>(x, l)?;
        let mut y = vec![T::from_f64(0.0); x.len()];
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = T::from_f64(f(x.to_f64())));
        });
        Ok((T::to_cpu_storage_owned(y), l.shape().clone()))
    }
    match x.dtype() {
        DType::F32 => each::<f32>(x, l, f),
        DType::F64 => each::<f64>(x, l, f),
        other => bail!("{name} works on f32 and f64, got {other:?}"),
    }
}

struct Sigmoid;

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        // In double precision: through the tangent, probabilities below 6e-8 would become 0, and their gradients with them.
        map(self.name(), x, l, |x| 1.0 / (1.0 + (-x).exp()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let x = x.detach();
        (g * (sigmoid(&x)? * sigmoid(&x.neg()?)?)?).map(Some)
    }
}

struct Softplus;

impl CustomOp1 for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        map(self.name(), x, l, |x| x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        (g * sigmoid(&x.detach())?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn devices_without_a_kernel_get_the_same_softplus_and_slopes() -> Result<()> {
        let x = Var::new(&[-40f32, -30.0, -16.0, -10.0, -2.0, -0.5, 0.0, 0.5, 2.0, 10.0, 30.0], &Device::Cpu)?;
        let gradient = |y: Tensor| y.sum_all()?.backward()?.get(&x).unwrap().to_vec1::<f32>();
        let close = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs());
        assert!(close(softplus_composed(&x)?.to_vec1()?, softplus(&x)?.to_vec1()?));
        assert!(close(gradient(softplus_composed(&x)?)?, gradient(softplus(&x)?)?));
        assert_eq!(gradient(x.mul(&slopes(&x, 0.2)?)?)?, gradient(leaky_relu(&x, 0.2)?)?);
        Ok(())
    }
}
