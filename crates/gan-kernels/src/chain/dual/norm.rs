//! Batch norm on values and tangents, forward and back.
//!
//! With x̂ = (x − μ)·r, r = 1/√(σ² + ε), P(u) = u − E[u] − x̂·E[x̂u] and s = γ·r, batch norm's tangent is τ = s·P(t). For an adjoint τ̄ of it, with
//! a = E[x̂t], b = E[x̂τ̄] and K = E[τ̄t] − E[τ̄]E[t] − ab:
//! t̄ = s·P(τ̄); γ̄ = m·r·K; x̄ = −r·(a·t̄ + b·τ) − s·r·K·x̂. An adjoint of the values adds what it always does.

use crate::chain::Stage;
use crate::chain::forward::{Found, scales};
use crate::rows::norm;
use crate::scratch::Buffer;
use crate::simd::Level;

/// A norm's factors by channel.
pub(super) struct Scaled {
    /// s = γ·r
    pub scale: Vec<f32>,
    /// r
    inverse: Vec<f64>,
}

impl Scaled {
    pub fn of(found: &Found, gamma: &[f32], eps: f64) -> Self {
        let inverse = found.variance.iter().map(|v| 1.0 / (f64::from(*v) + eps).sqrt()).collect();
        Self { scale: scales(found, gamma, eps), inverse }
    }

    /// u ← s·P(u), and E[u] and E[x̂u] of each channel.
    pub fn project(&self, stage: &Stage, found: &Found, x: &[f32], u: &mut [f32]) -> [Vec<f64>; 2] {
        let (level, c, m) = (Level::current(), stage.input[2], found.count as f64);
        let (zeros, ones) = (vec![0.0; c], vec![1.0; c]);
        let plain = norm::Channels { mean: &found.centre, scale: &ones, shift: &zeros, slope: 1.0 };
        let [sums, with_x] = norm::gradient_sums(level, x, u, &plain);
        let means: Vec<f64> = sums.iter().map(|s| s / m).collect();
        let along: Vec<f64> = with_x.iter().zip(&self.inverse).map(|(s, r)| s * r / m).collect();
        let even: Vec<f32> = self.scale.iter().zip(&means).map(|(s, e)| (f64::from(*s) * e) as f32).collect();
        let factor = self.scale.iter().zip(&self.inverse).zip(&along);
        let factor: Vec<f32> = factor.map(|((s, r), a)| (f64::from(*s) * r * a) as f32).collect();
        let by = norm::Channels { mean: &found.centre, scale: &self.scale, shift: &zeros, slope: 1.0 };
        norm::backward(level, x, &by, &even, &factor, u);
        [means, along]
    }
}

/// Adjoints of values and tangents in front of a batch norm, from those behind it, of which the values' may be missing.
pub(super) fn norm_back(
    stage: &Stage,
    found: &Found,
    (theta, [gamma, beta], eps): (&[f32], [usize; 2], f64),
    both: &[f32],
    g: Buffer,
    values: bool,
    dtheta: &mut [f32],
) -> Buffer {
    let (c, m) = (stage.input[2], found.count as f64);
    let half = both.len() / 2;
    let (x, t) = both.split_at(half);
    let by = Scaled::of(found, &theta[gamma..gamma + c], eps);
    let mut out = Buffer::any(2 * half);
    let (of_values, of_tangents) = out.split_at_mut(half);
    let (g_values, g_tangents) = g.split_at(if values { half } else { 0 });
    // E[τ̄t], before τ̄ is overwritten.
    let products = dots(g_tangents, t, c);
    of_tangents.copy_from_slice(g_tangents);
    let [mean_g, b] = by.project(stage, found, x, of_tangents);
    let mut tau = Buffer::of(t);
    let [mean_t, a] = by.project(stage, found, x, &mut tau);
    let k: Vec<f64> = (0..c).map(|i| products[i] / m - mean_g[i] * mean_t[i] - a[i] * b[i]).collect();
    if values {
        of_values.copy_from_slice(g_values);
        let [mean, along] = by.project(stage, found, x, of_values);
        for i in 0..c {
            dtheta[gamma + i] = (along[i] * m) as f32;
            dtheta[beta + i] = (mean[i] * m) as f32;
        }
    } else {
        of_values.fill(0.0);
    }
    for i in 0..c {
        dtheta[gamma + i] += (m * by.inverse[i] * k[i]) as f32;
    }
    // x̄ −= r·(a·t̄ + b·τ) + s·r²·K·(x − μ)
    let factors: Vec<[f32; 4]> = (0..c)
        .map(|i| {
            let r = by.inverse[i];
            [(r * a[i]) as f32, (r * b[i]) as f32, (f64::from(by.scale[i]) * r * r * k[i]) as f32, found.centre[i]]
        })
        .collect();
    let rows = of_values.chunks_exact_mut(c).zip(of_tangents.chunks_exact(c));
    for ((xbar, tbar), (tau, x)) in rows.zip(tau.chunks_exact(c).zip(x.chunks_exact(c))) {
        for i in 0..c {
            let [of_t, of_tau, of_x, centre] = factors[i];
            xbar[i] -= of_t * tbar[i] + of_tau * tau[i] + of_x * (x[i] - centre);
        }
    }
    out
}

/// Σ a·b of each channel, in double precision row by row of 64, so that no thread count changes a bit.
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
