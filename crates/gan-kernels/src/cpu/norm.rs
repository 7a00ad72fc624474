//! Batch norm's formulas by channel, over the kernels of `rows::norm`.
//!
//! With x̂ = (x − μ)·r, r = 1/√(σ² + ε), m numbers per channel and s = γ·r: y = s·(x − μ) + β; dβ = Σg, dγ = Σg·x̂ and
//! dx = s·(g − dβ/m − x̂·dγ/m); with given statistics dx = s·g.
//!
//! With P(u) = u − E[u] − x̂·E[x̂u] the tangent is τ = s·P(t). For an adjoint τ̄ of it, with a = E[x̂t], b = E[x̂τ̄] and
//! K = E[τ̄t] − E[τ̄]E[t] − ab: t̄ = s·P(τ̄); γ̄ = m·r·K; x̄ = −r·(a·t̄ + b·τ) − s·r·K·x̂. An adjoint of the values adds the ordinary gradient.

use super::Cpu;
use super::buffer::Buffer;
use super::rows::norm::{self, Channels};
use super::simd::Level;
use crate::backend::{JvpAdjoints, NormCall, NormGrads, Norms};
use crate::ranks::{self, BatchStatistics, Ranks};
use candle_core::{Device, Result, Tensor};

/// Statistics of a batch norm in one pass.
#[derive(Clone, Debug)]
pub struct Norm {
    mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
    /// Mean of the input, without the bias of the convolution before it.
    pub(super) centre: Vec<f32>,
    /// Number of values in a channel's statistics; `None` if they were given.
    pub(super) count: Option<usize>,
}

impl Norms for Cpu {
    type Norm = Norm;

    fn norm_of_batch(&self, x: &[f32], channels: usize, bias: Option<&[f32]>, ranks: &Ranks) -> Norm {
        let (mut centre, mut variance) = norm::moments(Level::current(), x, channels);
        let count = ranks::merge(ranks, x.len() / channels.max(1), &mut centre, &mut variance);
        let mean = centre.iter().enumerate().map(|(i, c)| c + bias.map_or(0.0, |b| b[i])).collect();
        Norm { mean, variance, centre, count: Some(count) }
    }

    fn norm_of(&self, mean: &[f32], variance: &[f32], bias: Option<&[f32]>) -> Norm {
        let centre = mean.iter().enumerate().map(|(i, m)| m - bias.map_or(0.0, |b| b[i])).collect();
        Norm { mean: mean.to_vec(), variance: variance.to_vec(), centre, count: None }
    }

    fn norm_count(&self, norm: &Norm) -> Option<usize> {
        norm.count
    }

    fn batch_statistics(&self, norm: &Norm) -> Result<BatchStatistics> {
        let host = |values: &[f32]| Tensor::new(values, &Device::Cpu);
        Ok(BatchStatistics { mean: host(&norm.mean)?, variance: host(&norm.variance)?, count: norm.count.unwrap_or(0) })
    }

    fn norm(&self, call: &NormCall<Cpu>, norm: &Norm, x: &[f32], y: &mut [f32]) {
        norm::forward(Level::current(), x, &norm.channels(call, &norm.scale(call)), y);
    }

    fn norm_grad(
        &self,
        call: &NormCall<Cpu>,
        norm: &Norm,
        x: &[f32],
        g: &mut [f32],
        grads: Option<NormGrads<Cpu>>,
        ranks: &Ranks,
    ) {
        let level = Level::current();
        let c = norm.centre.len();
        let scale = norm.scale(call);
        let inverse = norm.inverse(call);
        let by = norm.channels(call, &scale);
        let needs_sums = grads.is_some() || norm.count.is_some();
        let [sums, with_x] =
            if needs_sums { norm::gradient_sums(level, x, g, &by) } else { [vec![0.0; c], vec![0.0; c]] };
        if let Some(grads) = grads {
            for i in 0..c {
                grads.gamma[i] = (with_x[i] * inverse[i]) as f32;
                grads.beta[i] = sums[i] as f32;
            }
        }
        let m = norm.count.map_or(f64::INFINITY, |count| count as f64);
        // The parameters' gradients are summed later, with all others.
        let [sums, with_x] = ranks::both(ranks, &sums, &with_x);
        let even: Vec<f32> = (0..c).map(|i| (f64::from(scale[i]) * sums[i] / m) as f32).collect();
        let along: Vec<f32> =
            (0..c).map(|i| (f64::from(scale[i]) * inverse[i] * inverse[i] * with_x[i] / m) as f32).collect();
        norm::backward(level, x, &by, &even, &along, g);
    }

    fn norm_jvp(&self, call: &NormCall<Cpu>, norm: &Norm, x: &[f32], t: &mut [f32]) {
        norm.project(call, x, t);
    }

    fn norm_jvp_grad(
        &self,
        call: &NormCall<Cpu>,
        norm: &Norm,
        adjoints: &JvpAdjoints<Cpu>,
        [of_values, of_tangents]: [&mut [f32]; 2],
        grads: NormGrads<Cpu>,
    ) {
        let c = norm.centre.len();
        let m = norm.count.unwrap_or(0) as f64;
        let JvpAdjoints { x, tangent: t, .. } = *adjoints;
        // E[τ̄t], before τ̄ is overwritten.
        let products = dots(adjoints.of_tangent, t, c);
        of_tangents.copy_from_slice(adjoints.of_tangent);
        let [mean_g, b] = norm.project(call, x, of_tangents);
        let mut tau = Buffer::of(t);
        let [mean_t, a] = norm.project(call, x, &mut tau);
        let k: Vec<f64> = (0..c).map(|i| products[i] / m - mean_g[i] * mean_t[i] - a[i] * b[i]).collect();
        match adjoints.of_values {
            Some(g) => {
                of_values.copy_from_slice(g);
                let [mean, along] = norm.project(call, x, of_values);
                for i in 0..c {
                    grads.gamma[i] = (along[i] * m) as f32;
                    grads.beta[i] = (mean[i] * m) as f32;
                }
            }
            None => of_values.fill(0.0),
        }
        let scale = norm.scale(call);
        let inverse = norm.inverse(call);
        for i in 0..c {
            grads.gamma[i] += (m * inverse[i] * k[i]) as f32;
        }
        // x̄ −= r·(a·t̄ + b·τ) + s·r²·K·(x − μ)
        let factors: Vec<[f32; 4]> = (0..c)
            .map(|i| {
                let r = inverse[i];
                let of_x = f64::from(scale[i]) * r * r * k[i];
                [(r * a[i]) as f32, (r * b[i]) as f32, of_x as f32, norm.centre[i]]
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
}

impl Norm {
    /// Returns r = 1/√(σ² + ε).
    fn inverse(&self, call: &NormCall<Cpu>) -> Vec<f64> {
        self.variance.iter().map(|v| 1.0 / (f64::from(*v) + call.eps).sqrt()).collect()
    }

    /// Returns s = γ/√(σ² + ε).
    fn scale(&self, call: &NormCall<Cpu>) -> Vec<f32> {
        let one = |(v, g): (&f32, &f32)| (f64::from(*g) / (f64::from(*v) + call.eps).sqrt()) as f32;
        self.variance.iter().zip(call.gamma).map(one).collect()
    }

    fn channels<'a>(&'a self, call: &'a NormCall<'_, Cpu>, scale: &'a [f32]) -> Channels<'a> {
        Channels { mean: &self.centre, scale, shift: call.beta, slope: call.slope }
    }

    /// Computes u ← s·P(u) and returns E[u] and E[x̂u] of each channel.
    fn project(&self, call: &NormCall<Cpu>, x: &[f32], u: &mut [f32]) -> [Vec<f64>; 2] {
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

/// Computes Σ a·b of each channel, in double precision in groups of 64 rows, so that no thread count changes a bit.
pub(super) fn dots(a: &[f32], b: &[f32], c: usize) -> Vec<f64> {
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
