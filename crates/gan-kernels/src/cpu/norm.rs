//! Batch norm's formulas by channel, over the kernels of `rows::norm`.
//!
//! With x̂ = (x − μ)·r, r = 1/√(σ² + ε), m numbers per channel and s = γ·r: y = s·(x − μ) + β; dβ = Σg, dγ = Σg·x̂ and
//! dx = s·(g − dβ/m − x̂·dγ/m); with given statistics dx = s·g.
//!
//! With P(u) = u − E[u] − x̂·E[x̂u] the tangent is τ = s·P(t). For an adjoint τ̄ of it, with a = E[x̂t], b = E[x̂τ̄] and
//! K = E[τ̄t] − E[τ̄]E[t] − ab: t̄ = s·P(τ̄); γ̄ = m·r·K; x̄ = −r·(a·t̄ + b·τ) − s·r·K·x̂. An adjoint of the values adds the ordinary gradient.

use super::buffer::Buffer;
use super::rows::norm::{self, Channels};
use super::simd::Level;
use crate::ranks::{self, BatchStatistics, Ranks};
use candle_core::{Device, Result, Tensor};

/// A batch norm over `[rows, channels]` numbers, followed by a leaky ReLU.
pub(crate) struct NormCall<'a> {
    /// γ, one number per channel.
    pub gamma: &'a [f32],
    /// β, one number per channel.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub eps: f64,
    /// Slope of the leaky ReLU below zero; 1 for none.
    pub slope: f32,
}

/// Destination of a batch norm's gradients by γ and β.
pub(crate) struct NormGrads<'a> {
    pub gamma: &'a mut [f32],
    pub beta: &'a mut [f32],
}

/// Values and tangents before a batch norm, and the adjoints after it.
pub(crate) struct NormAdjoints<'a> {
    pub x: &'a [f32],
    pub tangent: &'a [f32],
    /// Adjoints of the values; `None` if they are zero.
    pub of_values: Option<&'a [f32]>,
    pub of_tangent: &'a [f32],
}

/// Statistics of a batch norm in one pass.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// Mean of the input, without the bias of the convolution before it.
    centre: Vec<f32>,
    /// Number of values in a channel's statistics; `None` if they were given.
    pub count: Option<usize>,
}

impl Norm {
    /// Returns the statistics of x, merged over all ranks. `bias` is that of the convolution before, which was not added, because it only
    /// shifts the mean.
    pub fn of_batch(x: &[f32], channels: usize, bias: Option<&[f32]>, ranks: &Ranks) -> Self {
        let (mut centre, mut variance) = norm::moments(Level::current(), x, channels);
        let count = merge(ranks, x.len() / channels.max(1), &mut centre, &mut variance);
        let mean = centre.iter().enumerate().map(|(i, c)| c + bias.map_or(0.0, |b| b[i])).collect();
        Self { mean, variance, centre, count: Some(count) }
    }

    /// Returns a norm with given statistics.
    pub fn of(mean: &[f32], variance: &[f32], bias: Option<&[f32]>) -> Self {
        let centre = mean.iter().enumerate().map(|(i, m)| m - bias.map_or(0.0, |b| b[i])).collect();
        Self { mean: mean.to_vec(), variance: variance.to_vec(), centre, count: None }
    }

    pub fn batch_statistics(&self) -> Result<BatchStatistics> {
        let host = |values: &[f32]| Tensor::new(values, &Device::Cpu);
        Ok(BatchStatistics { mean: host(&self.mean)?, variance: host(&self.variance)?, count: self.count.unwrap_or(0) })
    }

    /// Computes y = act(γ·x̂ + β).
    pub fn forward(&self, call: &NormCall, x: &[f32], y: &mut [f32]) {
        norm::forward(Level::current(), x, &self.channels(call, &self.scale(call)), y);
    }

    /// Computes g ← the gradient by x, and those by γ and β if they are needed.
    pub fn backward(&self, call: &NormCall, x: &[f32], g: &mut [f32], grads: Option<NormGrads>, ranks: &Ranks) {
        let level = Level::current();
        let c = self.centre.len();
        let scale = self.scale(call);
        let inverse = self.inverse(call);
        let by = self.channels(call, &scale);
        let needs_sums = grads.is_some() || self.count.is_some();
        let [sums, with_x] =
            if needs_sums { norm::gradient_sums(level, x, g, &by) } else { [vec![0.0; c], vec![0.0; c]] };
        if let Some(grads) = grads {
            for i in 0..c {
                grads.gamma[i] = (with_x[i] * inverse[i]) as f32;
                grads.beta[i] = sums[i] as f32;
            }
        }
        let m = self.count.map_or(f64::INFINITY, |count| count as f64);
        // The parameters' gradients are summed later, with all others.
        let [sums, with_x] = ranks::both(ranks, &sums, &with_x);
        let even: Vec<f32> = (0..c).map(|i| (f64::from(scale[i]) * sums[i] / m) as f32).collect();
        let along: Vec<f32> =
            (0..c).map(|i| (f64::from(scale[i]) * inverse[i] * inverse[i] * with_x[i] / m) as f32).collect();
        norm::backward(level, x, &by, &even, &along, g);
    }

    /// Computes adjoints of values and tangents before the norm, and the gradients by γ and β.
    pub fn jvp_backward(
        &self,
        call: &NormCall,
        adjoints: &NormAdjoints,
        (of_values, of_tangents): (&mut [f32], &mut [f32]),
        grads: NormGrads,
    ) {
        let c = self.centre.len();
        let m = self.count.unwrap_or(0) as f64;
        let NormAdjoints { x, tangent: t, .. } = *adjoints;
        // E[τ̄t], before τ̄ is overwritten.
        let products = dots(adjoints.of_tangent, t, c);
        of_tangents.copy_from_slice(adjoints.of_tangent);
        let [mean_g, b] = self.project(call, x, of_tangents);
        let mut tau = Buffer::of(t);
        let [mean_t, a] = self.project(call, x, &mut tau);
        let k: Vec<f64> = (0..c).map(|i| products[i] / m - mean_g[i] * mean_t[i] - a[i] * b[i]).collect();
        match adjoints.of_values {
            Some(g) => {
                of_values.copy_from_slice(g);
                let [mean, along] = self.project(call, x, of_values);
                for i in 0..c {
                    grads.gamma[i] = (along[i] * m) as f32;
                    grads.beta[i] = (mean[i] * m) as f32;
                }
            }
            None => of_values.fill(0.0),
        }
        let scale = self.scale(call);
        let inverse = self.inverse(call);
        for i in 0..c {
            grads.gamma[i] += (m * inverse[i] * k[i]) as f32;
        }
        // x̄ −= r·(a·t̄ + b·τ) + s·r²·K·(x − μ)
        let factors: Vec<[f32; 4]> = (0..c)
            .map(|i| {
                let r = inverse[i];
                let of_x = f64::from(scale[i]) * r * r * k[i];
                [(r * a[i]) as f32, (r * b[i]) as f32, of_x as f32, self.centre[i]]
            })
            .collect();
        let rows = of_values.chunks_exact_mut(c).zip(of_tangents.chunks_exact(c));
        for ((xbar, tbar), (tau, x)) in rows.zip(tau.chunks_exact(c).zip(x.chunks_exact(c))) {
            for i in 0..c {
                let [of_t, of_tau, of_x, centre] = factors[i];
                xbar[i] -= of_t * tbar[i] + of_tau * tau[i] + of_x * (x[i] - centre);
            }
        }
    }

    /// Returns r = 1/√(σ² + ε).
    fn inverse(&self, call: &NormCall) -> Vec<f64> {
        self.variance.iter().map(|v| 1.0 / (f64::from(*v) + call.eps).sqrt()).collect()
    }

    /// Returns s = γ/√(σ² + ε).
    fn scale(&self, call: &NormCall) -> Vec<f32> {
        let one = |(v, g): (&f32, &f32)| (f64::from(*g) / (f64::from(*v) + call.eps).sqrt()) as f32;
        self.variance.iter().zip(call.gamma).map(one).collect()
    }

    fn channels<'a>(&'a self, call: &'a NormCall, scale: &'a [f32]) -> Channels<'a> {
        Channels { mean: &self.centre, scale, shift: call.beta, slope: call.slope }
    }

    /// Computes u ← s·P(u), which turns a tangent before the norm into one after it, before the activation. Returns E[u] and E[x̂u] of each
    /// channel.
    pub fn project(&self, call: &NormCall, x: &[f32], u: &mut [f32]) -> [Vec<f64>; 2] {
        let level = Level::current();
        let c = self.centre.len();
        let m = self.count.unwrap_or(0) as f64;
        let scale = self.scale(call);
        let inverse = self.inverse(call);
        let zeros = vec![0.0; c];
        let ones = vec![1.0; c];
        let linear = |scale| Channels { mean: &self.centre, scale, shift: &zeros, slope: 1.0 };
        let [sums, with_x] = norm::gradient_sums(level, x, u, &linear(&ones));
        let means: Vec<f64> = sums.iter().map(|s| s / m).collect();
        let along: Vec<f64> = with_x.iter().zip(&inverse).map(|(s, r)| s * r / m).collect();
        let even: Vec<f32> = (0..c).map(|i| (f64::from(scale[i]) * means[i]) as f32).collect();
        let factor: Vec<f32> = (0..c).map(|i| (f64::from(scale[i]) * inverse[i] * along[i]) as f32).collect();
        norm::backward(level, x, &linear(&scale), &even, &factor, u);
        [means, along]
    }
}

/// Computes [`ranks::merge`] in single precision.
fn merge(ranks: &Ranks, count: usize, mean: &mut [f32], variance: &mut [f32]) -> usize {
    if ranks.is_none() {
        return count;
    }
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut both = [wide(mean), wide(variance)];
    let [means, variances] = &mut both;
    let count = ranks::merge(ranks, count, means, variances);
    for (to, from) in [mean, variance].into_iter().zip(&both) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
    }
    count
}

/// Computes Σ a·b of each channel, in double precision in groups of 64 rows, so that no thread count changes a bit.
fn dots(a: &[f32], b: &[f32], c: usize) -> Vec<f64> {
    let mut total = vec![0f64; c];
    let mut part = vec![0f32; c];
    for (a, b) in a.chunks(64 * c).zip(b.chunks(64 * c)) {
        part.fill(0.0);
        for (a, b) in a.chunks_exact(c).zip(b.chunks_exact(c)) {
            part.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        total.iter_mut().zip(&part).for_each(|(total, part)| *total += f64::from(*part));
    }
    total
}
