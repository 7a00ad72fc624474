//! Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167), forward and backward each in one pass over the data.
//!
//! Over `[N, C, H, W]` or `[N, C]`, a channel at a time: x̂ = (x − mean) / √(variance + ε), y = γ·x̂ + β. Which running
//! averages follow from the statistics is the layer's business, not this module's.

use crate::ranks::{self, Ranks};
use crate::storage::{Real, elements, for_backward, keeps_graph, with_elements, with_real};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, backend::BackendStorage, bail};
use composed::composed;
use rayon::prelude::*;

mod composed;

/// What [`batch_norm_train`] found in the batch; without a graph.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// `[C]`
    pub mean: Tensor,
    /// `[C]`, the biased variance (divided by the count).
    pub variance: Tensor,
    /// How many numbers each channel's statistics are over: N·H·W.
    pub count: usize,
}

/// Normalises by the batch's own statistics, or by those of all ranks' batches together: x `[N, C, H, W]` or `[N, C]`, γ `[C]`, β `[C]` -> the same shape as x.
///
/// # Errors
/// If the shapes do not fit, or if a channel has fewer than two numbers, which have no spread.
pub fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    ranks: &Ranks,
) -> Result<(Tensor, BatchStatistics)> {
    let [n, c, plane] = planes(x.shape())?;
    let alone = n * plane;
    if alone == 1 && ranks.is_none() {
        bail!("batch norm needs more than one number a channel, got input {:?}: use a larger batch", x.dims());
    }
    if gamma.elem_count() != c || beta.elem_count() != c {
        bail!("batch norm for {} channels got input {:?}", gamma.elem_count(), x.dims());
    }
    if !x.device().is_cpu() {
        return composed(x, gamma, beta, eps, ranks);
    }
    let moments =
        with_real!(x.dtype(), "batch norm", T => with_elements::<T, _>(&x.detach(), |x| moments(x, [n, c, plane]))?);
    let (mut mean, mut variance): (Vec<f64>, Vec<f64>) = moments.into_iter().unzip();
    let count = ranks::merge(ranks, alone, &mut mean, &mut variance);
    let inverse: Vec<f64> = variance.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
    let host = |v: &[f64]| Tensor::new(v, x.device())?.to_dtype(x.dtype());
    let statistics = BatchStatistics { mean: host(&mean)?, variance: host(&variance)?, count };
    let y =
        x.apply_op3(gamma, beta, BatchNorm { mean, inverse, eps, shape: [n, c, plane], count, ranks: ranks.clone() })?;
    Ok((y, statistics))
}

/// Normalises by given statistics (`[C]` each), as a network does once it is trained: the same shape as x.
///
/// # Errors
/// From candle, for shapes or number types that do not fit.
pub fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    let scale = gamma.div(&(variance + eps)?.sqrt()?)?;
    let shift = beta.sub(&mean.mul(&scale)?)?;
    x.broadcast_mul(&column(&scale, x)?)?.broadcast_add(&column(&shift, x)?)
}

/// `[N, C, H·W]` of a shape.
fn planes(shape: &Shape) -> Result<[usize; 3]> {
    match shape.dims() {
        [n, c, rest @ ..] if *n > 0 => Ok([*n, *c, rest.iter().product()]),
        dims => bail!("batch norm needs [N, C, …] with N at least 1, got {dims:?}"),
    }
}

/// `[C]` as `[1, C, 1, …]` with the rank of x.
fn column(t: &Tensor, x: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; x.rank()];
    dims[1] = t.elem_count();
    t.reshape(dims)
}

/// Every axis of x but the channels'.
fn reduced(x: &Tensor) -> Vec<usize> {
    (0..x.rank()).filter(|axis| *axis != 1).collect()
}

fn mean_keepdim(x: &Tensor) -> Result<Tensor> {
    reduced(x).into_iter().try_fold(x.clone(), |t, axis| t.mean_keepdim(axis))
}

/// Mean and biased variance of each channel; summed in f64, plane after plane.
fn moments<T: Real>(x: &[T], [n, c, plane]: [usize; 3]) -> Vec<(f64, f64)> {
    let count = (n * plane) as f64;
    let sum = |channel: usize, f: &(dyn Fn(f64) -> f64 + Sync)| -> f64 {
        (0..n).map(|i| x[(i * c + channel) * plane..][..plane].iter().map(|v| f(v.wide())).sum::<f64>()).sum()
    };
    (0..c)
        .into_par_iter()
        .map(|channel| {
            let mean = sum(channel, &|v| v) / count;
            (mean, sum(channel, &|v| (v - mean) * (v - mean)) / count)
        })
        .collect()
}

struct BatchNorm {
    mean: Vec<f64>,
    inverse: Vec<f64>,
    eps: f64,
    shape: [usize; 3],
    /// Numbers that a channel's statistics are over.
    count: usize,
    ranks: Ranks,
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        gamma: &CpuStorage,
        gl: &Layout,
        beta: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_real!(x.dtype(), self.name(), T => {
            let (x, gamma, beta) = (elements::<T>(x, xl)?, elements::<T>(gamma, gl)?, elements::<T>(beta, bl)?);
            let y = self.map_planes::<T, _>(&x, |channel| {
                // Centred first: folding the mean into one shift would cancel where it is large against the spread.
                let scale = T::of(gamma[channel].wide() * self.inverse[channel]);
                let (mean, beta) = (T::of(self.mean[channel]), beta[channel]);
                move |x, _| (x - mean) * scale + beta
            }, &x);
            Ok((T::store(y), xl.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        if keeps_graph() {
            if self.ranks.is_some() {
                bail!("batch norm over several ranks has no second derivative: leave train.sync_batch_norm off");
            }
            return self.differentiable_bwd(&for_backward(x), gamma, beta, g);
        }
        with_real!(x.dtype(), self.name(), T => self.fused_bwd::<T>(x, gamma, beta, g))
    }
}

type ThreeGrads = Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)>;

impl BatchNorm {
    /// Applies `f(channel)(x, g)` to every element, a plane at a time.
    fn map_planes<T: Real, F>(&self, x: &[T], f: impl Fn(usize) -> F + Sync, g: &[T]) -> Vec<T>
    where
        F: Fn(T, T) -> T,
    {
        let [_, c, plane] = self.shape;
        let mut y = vec![T::ZERO; x.len()];
        let size = plane.max(1);
        y.par_chunks_mut(size).zip(x.par_chunks(size)).zip(g.par_chunks(size)).enumerate().for_each(
            |(i, ((y, x), g))| {
                let f = f(i % c);
                y.iter_mut().zip(x).zip(g).for_each(|((y, x), g)| *y = f(*x, *g));
            },
        );
        y
    }

    /// With m = N·H·W: dβ = Σg, dγ = Σg·x̂, dx = γ/√(var + ε) · (g − dβ/m − x̂·dγ/m).
    fn fused_bwd<T: Real>(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor, g: &Tensor) -> ThreeGrads {
        let gammas = with_elements::<T, _>(gamma, |v| v.iter().map(|v| v.wide()).collect::<Vec<_>>())?;
        let (sums, dx) = with_elements::<T, _>(x, |xs| {
            with_elements::<T, _>(g, |gs| {
                let sums = self.sums(xs, gs);
                let dx = x.track_op().then(|| {
                    let (a, b): (Vec<f64>, Vec<f64>) = sums.iter().copied().unzip();
                    let [a, b] = ranks::both(&self.ranks, &a, &b);
                    self.input_grad(xs, gs, &gammas, &a.into_iter().zip(b).collect::<Vec<_>>())
                });
                (sums, dx)
            })
        })??;
        let host = |t: &Tensor, pick: fn(&(f64, f64)) -> f64| -> Result<Option<Tensor>> {
            let values: Vec<T> = sums.iter().map(|s| T::of(pick(s))).collect();
            t.track_op().then(|| Tensor::from_vec(values, t.shape(), t.device())).transpose()
        };
        let dx = dx.map(|values| Tensor::from_vec(values, x.shape(), x.device())).transpose()?;
        Ok((dx, host(gamma, |s| s.1)?, host(beta, |s| s.0)?))
    }

    /// Σg and Σg·x̂ of each channel.
    fn sums<T: Real>(&self, x: &[T], g: &[T]) -> Vec<(f64, f64)> {
        let [n, c, plane] = self.shape;
        (0..c)
            .into_par_iter()
            .map(|channel| {
                let (mean, inverse) = (self.mean[channel], self.inverse[channel]);
                let (mut sum, mut with_x) = (0.0, 0.0);
                for i in 0..n {
                    let range = (i * c + channel) * plane..(i * c + channel + 1) * plane;
                    for (x, g) in x[range.clone()].iter().zip(&g[range]) {
                        sum += g.wide();
                        with_x += g.wide() * (x.wide() - mean);
                    }
                }
                (sum, with_x * inverse)
            })
            .collect()
    }

    fn input_grad<T: Real>(&self, x: &[T], g: &[T], gamma: &[f64], sums: &[(f64, f64)]) -> Vec<T> {
        let count = self.count as f64;
        self.map_planes::<T, _>(
            x,
            |channel| {
                let (inverse, (sum, with_x)) = (self.inverse[channel], sums[channel]);
                let scale = gamma[channel] * inverse;
                let along = T::of(with_x / count * inverse);
                let [scale, even, mean] = [scale, sum / count, self.mean[channel]].map(T::of);
                move |x, g| scale * (g - even - (x - mean) * along)
            },
            g,
        )
    }

    /// The same formulas from differentiable operations, the statistics recomputed from x so that their graph is there.
    fn differentiable_bwd(&self, x: &Tensor, gamma: &Tensor, beta: &Tensor, g: &Tensor) -> ThreeGrads {
        let centred = x.broadcast_sub(&mean_keepdim(x)?)?;
        let inverse = (mean_keepdim(&centred.sqr()?)? + self.eps)?.sqrt()?.recip()?;
        let normal = centred.broadcast_mul(&inverse)?;
        let along = mean_keepdim(&(g * &normal)?)?;
        let inner = g.broadcast_sub(&mean_keepdim(g)?)?.sub(&normal.broadcast_mul(&along)?)?;
        let dx = inner.broadcast_mul(&inverse.broadcast_mul(&column(gamma, x)?)?)?;
        let count = (self.shape[0] * self.shape[2]) as f64;
        let dgamma = (along * count)?.reshape(gamma.shape())?;
        let dbeta = (mean_keepdim(g)? * count)?.reshape(beta.shape())?;
        Ok((Some(dx), gamma.track_op().then_some(dgamma), beta.track_op().then_some(dbeta)))
    }
}

#[cfg(test)]
mod tests;
