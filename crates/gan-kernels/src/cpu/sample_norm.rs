//! Norms whose factors differ between samples: y = act(γ·x̂ + β) with x̂ = (x − μ)·r and r = 1/√(σ² + ε). Each *cell*, a channel of a
//! sample, has a μ, r, γ and β.
//!
//! The statistics, and all means E in the derivatives, are taken over sets of m numbers: a group of channels of one sample, or a channel of
//! the whole batch. With P(u) = u − E[u] − x̂·E[x̂u], dx = r·P(γg); with given statistics dx = r·γg. The tangent is γ·q with q = r·P(t).
//!
//! For an adjoint τ̄ of the tangent, with w = γτ̄, a = E[x̂t], b = E[x̂w] and K = E[wt] − E[w]·E[t] − ab: t̄ = r·P(w), γ̄ = Σ τ̄·q over the
//! cell, and x̄ = −r·(a·t̄ + b·q) − r²·K·x̂. An adjoint of the values adds the ordinary gradient.

use super::Cpu;
use super::buffer::Buffer;
use super::norm::dots;
use super::parallel::{self, each_sample};
use super::pixel_norm;
use super::rows::norm::{self, Channels};
use super::simd::Level;
use crate::backend::{JvpAdjoints, NormGrads, SampleNormCall, SampleNorms, SampleStatistics};
use crate::ranks::{self, Ranks};

impl SampleNorms for Cpu {
    fn sample_norm(&self, call: &SampleNormCall<Self>, x: &[f32], y: &mut [f32]) {
        let cells = Cells::new(call, x);
        let scale = cells.list(|i| f64::from(cells.gamma[i]) * cells.inverse[i]);
        cells.update(y, |sample, y| {
            norm::forward(Level::current(), cells.part(x, sample), &cells.factors(sample, &scale, call.slope), y);
        });
    }

    fn sample_norm_grad(&self, call: &SampleNormCall<Self>, x: &[f32], g: &mut [f32], grads: Option<NormGrads<Self>>) {
        let cells = Cells::new(call, x);
        let found = cells.project(x, g, [&cells.gamma, &cells.ones()], call.slope);
        if let Some(grads) = grads {
            let gamma = |i: usize| cells.inverse[i] * found.with_x[i];
            write_rows(call, gamma, grads.gamma);
            write_rows(call, |i| found.sums[i], grads.beta);
        }
    }

    fn sample_norm_jvp(&self, call: &SampleNormCall<Self>, x: &[f32], t: &mut [f32]) {
        let cells = Cells::new(call, x);
        cells.project(x, t, [&cells.ones(), &cells.gamma], 1.0);
    }

    fn sample_norm_jvp_grad(
        &self,
        call: &SampleNormCall<Self>,
        adjoints: &JvpAdjoints<Self>,
        [of_values, of_tangents]: [&mut [f32]; 2],
        grads: Option<NormGrads<Self>>,
    ) {
        let JvpAdjoints { x, tangent: t, of_tangent, .. } = *adjoints;
        let cells = Cells::new(call, x);
        let ones = cells.ones();
        let inwards = [&cells.gamma[..], &ones];
        let products =
            cells.concat(|sample| dots(cells.part(of_tangent, sample), cells.part(t, sample), cells.channels));
        of_tangents.copy_from_slice(of_tangent);
        let of_w = cells.project(x, of_tangents, inwards, 1.0);
        let mut q = Buffer::of(t);
        let of_t = cells.project(x, &mut q, [&ones, &ones], 1.0);
        let of_value = adjoints.of_values.map(|g| {
            of_values.copy_from_slice(g);
            cells.project(x, of_values, inwards, 1.0)
        });
        if of_value.is_none() {
            of_values.fill(0.0);
        }
        let r = &cells.inverse;
        if let Some(grads) = grads {
            let value = |i: usize| of_value.as_ref().map_or([0.0; 2], |found| [r[i] * found.with_x[i], found.sums[i]]);
            let along_q =
                |i: usize| r[i] * (products[i] - of_t.even[i] * of_w.sums[i] - of_t.along[i] * r[i] * of_w.with_x[i]);
            write_rows(call, |i| value(i)[0] + along_q(i), grads.gamma);
            write_rows(call, |i| value(i)[1], grads.beta);
        }
        let weighted = cells.each_cell(|i| f64::from(cells.gamma[i]) * products[i]);
        let [products, _] = cells.means([&weighted, &weighted]);
        // x̄ −= r·a·t̄ + r·b·q + r³·K·(x − μ)
        let of_t_bar = cells.list(|i| r[i] * of_t.along[i]);
        let of_q = cells.list(|i| r[i] * of_w.along[i]);
        let k = |i: usize| products[i] - of_w.even[i] * of_t.even[i] - of_t.along[i] * of_w.along[i];
        let of_x = cells.list(|i| r[i].powi(3) * k(i));
        let c = cells.channels;
        cells.update(of_values, |sample, to| {
            let cell = sample * c..(sample + 1) * c;
            let [of_t_bar, of_q, of_x, mean] = [&of_t_bar, &of_q, &of_x, &cells.mean].map(|list| &list[cell.clone()]);
            let [t_bar, q, x] = [&*of_tangents, &q, x].map(|all| cells.part(all, sample).chunks_exact(c));
            for (((to, t_bar), q), x) in to.chunks_exact_mut(c).zip(t_bar).zip(q).zip(x) {
                for i in 0..c {
                    to[i] -= of_t_bar[i] * t_bar[i] + of_q[i] * q[i] + of_x[i] * (x[i] - mean[i]);
                }
            }
        });
    }

    fn pixel_norm(&self, channels: usize, eps: f64, x: &[f32], y: &mut [f32]) {
        pixel_norm::forward(channels, eps, x, y);
    }

    fn pixel_norm_grad(&self, channels: usize, eps: f64, x: &[f32], g: &mut [f32]) {
        pixel_norm::project(channels, eps, x, g);
    }

    fn pixel_norm_jvp_grad(&self, channels: usize, eps: f64, adjoints: &JvpAdjoints<Self>, to: [&mut [f32]; 2]) {
        pixel_norm::jvp_grad(channels, eps, adjoints, to);
    }
}

/// The numbers of all cells, `[samples, channels]` each.
struct Cells<'a> {
    samples: usize,
    channels: usize,
    /// Number of values in a sample.
    size: usize,
    mean: Vec<f32>,
    /// r
    inverse: Vec<f64>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    sets: Sets<'a>,
}

/// Sets of numbers that share their statistics, each of `count`.
enum Sets<'a> {
    /// Groups of `width` channels of one sample.
    Groups { width: usize, count: f64 },
    /// A channel of all samples, on all ranks.
    Channels { count: f64, ranks: &'a Ranks },
    /// The statistics were given.
    Given,
}

/// What a projection finds for each cell.
struct Projection {
    /// Σ u
    sums: Vec<f64>,
    /// Σ u·(x − μ)
    with_x: Vec<f64>,
    /// E[wu] for the weights w.
    even: Vec<f64>,
    /// E[x̂wu]
    along: Vec<f64>,
}

impl<'a> Cells<'a> {
    fn new(call: &SampleNormCall<'a, Cpu>, x: &[f32]) -> Self {
        let SampleNormCall { samples, channels: c, .. } = *call;
        let size = x.len() / samples.max(1);
        assert!(x.len() == samples * size && size.is_multiple_of(c.max(1)), "a norm of {samples} samples");
        let inverse = |variance: f64| 1.0 / (variance + call.eps).sqrt();
        let (mean, inverse, sets) = match call.statistics {
            SampleStatistics::Groups(groups) => {
                let width = c / groups;
                let all = parallel::map(samples, |sample| of_groups(&x[sample * size..][..size], c, width, inverse));
                let (mean, inverse): (Vec<_>, Vec<_>) = all.into_iter().unzip();
                (mean.concat(), inverse.concat(), Sets::Groups { width, count: (size / groups) as f64 })
            }
            SampleStatistics::Batch(norm, ranks) => {
                let mean = norm.centre.repeat(samples);
                let one: Vec<f64> = norm.variance.iter().map(|variance| inverse(f64::from(*variance))).collect();
                let sets = match norm.count {
                    Some(count) => Sets::Channels { count: count as f64, ranks },
                    None => Sets::Given,
                };
                (mean, one.repeat(samples), sets)
            }
        };
        let [gamma, beta] = match call.affine {
            Some(both) => both
                .map(|rows| (0..samples).map(|sample| &rows[call.row(sample) * c..][..c]).collect::<Vec<_>>().concat()),
            None => [1.0, 0.0].map(|value| vec![value; samples * c]),
        };
        Self { samples, channels: c, size, mean, inverse, gamma, beta, sets }
    }

    fn ones(&self) -> Vec<f32> {
        vec![1.0; self.mean.len()]
    }

    fn each_cell(&self, f: impl FnMut(usize) -> f64) -> Vec<f64> {
        (0..self.mean.len()).map(f).collect()
    }

    fn list(&self, f: impl Fn(usize) -> f64) -> Vec<f32> {
        (0..self.mean.len()).map(|i| f(i) as f32).collect()
    }

    fn part<'x>(&self, x: &'x [f32], sample: usize) -> &'x [f32] {
        &x[sample * self.size..][..self.size]
    }

    fn factors<'s>(&'s self, sample: usize, scale: &'s [f32], slope: f32) -> Channels<'s> {
        let cells = sample * self.channels..(sample + 1) * self.channels;
        Channels { mean: &self.mean[cells.clone()], scale: &scale[cells.clone()], shift: &self.beta[cells], slope }
    }

    /// Calls `f` with each sample's number and its part of `to`.
    fn update(&self, to: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync + Send) {
        each_sample(self.samples, self.size, to, f);
    }

    /// Returns the numbers that `f` returns for the channels of each sample.
    fn concat(&self, f: impl Fn(usize) -> Vec<f64> + Sync + Send) -> Vec<f64> {
        parallel::map(self.samples, f).concat()
    }

    /// Computes u ← outer·r·P(inner·u′) with factors of each cell, where u′ is u before an activation of this slope.
    fn project(&self, x: &[f32], u: &mut [f32], [inner, outer]: [&[f32]; 2], slope: f32) -> Projection {
        let level = Level::current();
        let r = &self.inverse;
        let inside = |i: usize| f64::from(inner[i]);
        let outside = |i: usize| f64::from(outer[i]);
        let scale = self.list(|i| outside(i) * inside(i) * r[i]);
        let both = parallel::map(self.samples, |sample| {
            let by = self.factors(sample, &scale, slope);
            norm::gradient_sums(level, self.part(x, sample), self.part(u, sample), &by).into()
        });
        let (sums, with_x): (Vec<Vec<f64>>, Vec<_>) = both.into_iter().unzip();
        let [sums, with_x] = [sums.concat(), with_x.concat()];
        let even = self.each_cell(|i| inside(i) * sums[i]);
        let along = self.each_cell(|i| inside(i) * r[i] * with_x[i]);
        let [even, along] = self.means([&even, &along]);
        let subtracted = self.list(|i| outside(i) * r[i] * even[i]);
        let with_centred = self.list(|i| outside(i) * r[i] * r[i] * along[i]);
        self.update(u, |sample, u| {
            let cells = sample * self.channels..(sample + 1) * self.channels;
            let by = self.factors(sample, &scale, slope);
            let [even, along] = [&subtracted, &with_centred].map(|list| &list[cells.clone()]);
            norm::backward(level, self.part(x, sample), &by, even, along, u);
        });
        Projection { sums, with_x, even, along }
    }

    /// Returns, for each cell, the means over its set of two quantities of which the sums over each cell are given.
    fn means(&self, [a, b]: [&[f64]; 2]) -> [Vec<f64>; 2] {
        let c = self.channels;
        match self.sets {
            Sets::Groups { width, count } => [a, b].map(|sums| {
                let mut means = sums.to_vec();
                means.chunks_mut(width).for_each(|group| group.fill(group.iter().sum::<f64>() / count));
                means
            }),
            Sets::Channels { count, ranks } => {
                let over_samples = |sums: &[f64]| -> Vec<f64> {
                    (0..c).map(|channel| sums.iter().skip(channel).step_by(c).sum()).collect()
                };
                // The parameters' gradients are summed later, with all others.
                let sums = ranks::both(ranks, &over_samples(a), &over_samples(b));
                sums.map(|sums| sums.iter().map(|sum| sum / count).collect::<Vec<f64>>().repeat(self.samples))
            }
            Sets::Given => [vec![0.0; a.len()], vec![0.0; b.len()]],
        }
    }
}

/// Returns μ and r of one sample's groups of `width` channels, for each of its `c` channels.
fn of_groups(x: &[f32], c: usize, width: usize, inverse: impl Fn(f64) -> f64) -> (Vec<f32>, Vec<f64>) {
    let (mut means, variances) = match x.len() == c {
        true => (x.to_vec(), vec![0.0; c]),
        false => norm::moments(Level::current(), x, c),
    };
    let mut inverses = vec![0.0; c];
    let groups = means.chunks_mut(width).zip(variances.chunks(width)).zip(inverses.chunks_mut(width));
    for ((means, variances), inverses) in groups {
        let mean = means.iter().map(|mean| f64::from(*mean)).sum::<f64>() / width as f64;
        let spread = |(m, v): (&f32, &f32)| f64::from(*v) + (f64::from(*m) - mean).powi(2);
        let variance = means.iter().zip(variances).map(spread).sum::<f64>() / width as f64;
        means.fill(mean as f32);
        inverses.fill(inverse(variance));
    }
    (means, inverses)
}

/// Adds a number of each cell to the row of γ or β that its sample uses.
fn write_rows(call: &SampleNormCall<Cpu>, of_cell: impl Fn(usize) -> f64, to: &mut [f32]) {
    let c = call.channels;
    let mut rows = vec![0f64; to.len()];
    for sample in 0..call.samples {
        let row = &mut rows[call.row(sample) * c..][..c];
        row.iter_mut().enumerate().for_each(|(channel, sum)| *sum += of_cell(sample * c + channel));
    }
    to.iter_mut().zip(rows).for_each(|(to, sum)| *to = sum as f32);
}
