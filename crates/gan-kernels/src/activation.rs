//! Element-wise functions with the derivatives that PyTorch uses, also where candle's differ (at zero).

use crate::storage::{Real, elements, for_backward, with_real};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, backend::BackendStorage};
use rayon::prelude::*;

/// max(x, 0), of any shape; the derivative at 0 is 0.
///
/// # Errors
/// From candle, for shapes or number types that do not fit.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    leaky_relu(x, 0.0)
}

/// x where x > 0, else `slope`·x, of any shape; the derivative at 0 is `slope`.
///
/// # Errors
/// From candle, for shapes or number types that do not fit.
pub fn leaky_relu(x: &Tensor, slope: f64) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.apply_op1(LeakyRelu { slope });
    }
    x.mul(&slope_mask(x, slope)?)
}

/// The hyperbolic tangent, of any shape.
///
/// # Errors
/// From candle, for shapes or number types that do not fit.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    x.tanh()
}

/// 1 / (1 + e⁻ˣ), of any shape.
///
/// # Errors
/// From candle, for shapes or number types that do not fit.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.apply_op1(Sigmoid);
    }
    // Written with the hyperbolic tangent, which cannot overflow.
    x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)
}

/// ln(1 + eˣ), of any shape, as max(x, 0) + ln(1 + e^−|x|), which is finite for every finite x.
///
/// # Errors
/// From candle, for shapes or number types that do not fit.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.apply_op1(Softplus);
    }
    softplus_composed(x)
}

/// From candle's operations. The derivatives of max(x, 0) and |x| are constants of 0 and ±1 that fit each other at 0, where the two parts'
/// add up to ½; below 0 nothing is left of the first, so that small derivatives of the second keep their digits.
fn softplus_composed(x: &Tensor) -> Result<Tensor> {
    let positive = slope_mask(x, 0.0)?;
    let size = x.mul(&positive.affine(2.0, -1.0)?)?;
    x.mul(&positive)? + log_of_one_and(&size.neg()?.exp()?)?
}

/// ln(1 + u) for u ≥ 0, exact also where 1 + u has lost most of u: times u over what is left of it (Goldberg 1991, theorem 4), or u
/// itself where nothing is. The derivative, 1/(1 + u), needs no such care.
fn log_of_one_and(u: &Tensor) -> Result<Tensor> {
    let sum = (u + 1.0)?;
    let log = sum.log()?;
    let (u, left) = (u.detach(), (sum.detach() - 1.0)?);
    let lost = left.eq(&left.zeros_like()?)?.to_dtype(u.dtype())?;
    let factor = (&u / (&left + &lost)?)?;
    let missing = (log.detach().mul(&(factor - 1.0)?)? + u.mul(&lost)?)?;
    log + missing
}

/// 1 where x > 0, else `slope`; a constant for the gradient.
fn slope_mask(x: &Tensor, slope: f64) -> Result<Tensor> {
    let positive = x.detach().gt(&x.detach().zeros_like()?)?.to_dtype(x.dtype())?;
    positive.affine(1.0 - slope, slope)
}

/// Elements a thread takes at once.
const CHUNK: usize = 1 << 14;

fn map<T: Real>(x: &CpuStorage, l: &Layout, f: impl Fn(T) -> T + Sync) -> Result<(CpuStorage, Shape)> {
    let x = elements::<T>(x, l)?;
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x));
    });
    Ok((T::store(y), l.shape().clone()))
}

struct LeakyRelu {
    slope: f64,
}

impl CustomOp1 for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky-relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), self.name(), T => {
            let slope = T::of(self.slope);
            map::<T>(x, l, |x| if x > T::ZERO { x } else { x * slope })
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        // The derivative is constant almost everywhere, so x enters without its graph even for second order.
        x.detach().apply_op2(g, LeakyReluGrad { slope: self.slope }).map(Some)
    }
}

/// (x, g) -> g where x > 0, else `slope`·g.
struct LeakyReluGrad {
    slope: f64,
}

impl CustomOp2 for LeakyReluGrad {
    fn name(&self) -> &'static str {
        "leaky-relu-grad"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, g: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), self.name(), T => {
            let (x, slope) = (elements::<T>(x, xl)?, T::of(self.slope));
            let mut y = elements::<T>(g, gl)?.into_owned();
            y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
                y.iter_mut().zip(x).for_each(|(y, x)| if *x <= T::ZERO { *y *= slope });
            });
            Ok((T::store(y), xl.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor, gg: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((None, Some(x.detach().apply_op2(gg, LeakyReluGrad { slope: self.slope })?)))
    }
}

struct Sigmoid;

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        // In double precision: through the tangent, probabilities below 6e-8 would become 0, and their gradients with them.
        with_real!(x.dtype(), self.name(), T => map::<T>(x, l, |x| T::of(1.0 / (1.0 + (-x.wide()).exp()))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let x = for_backward(x);
        (g * (sigmoid(&x)? * sigmoid(&x.neg()?)?)?).map(Some)
    }
}

struct Softplus;

impl CustomOp1 for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), self.name(), T => map::<T>(x, l, |x| {
            let x = x.wide();
            T::of(x.max(0.0) + (-x.abs()).exp().ln_1p() + if x.is_nan() { x } else { 0.0 })
        }))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        (g * sigmoid(&for_backward(x))?).map(Some)
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
        assert_eq!(gradient(x.mul(&slope_mask(&x, 0.2)?)?)?, gradient(leaky_relu(&x, 0.2)?)?);
        Ok(())
    }
}
