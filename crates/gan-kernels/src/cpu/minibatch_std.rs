//! Minibatch standard deviation: one more channel, with the standard deviation σ = √(variance + ε) of each number over the samples of a
//! group, averaged over all F numbers of a sample.
//!
//! With the mean μ of a number over the s samples of its group, d = (x − μ)/(σ·s·F) and the sum δ of the new channel's gradients over the
//! group, dx = g + δ·d. The tangent is the mean of a/σ with a = E[(x − μ)·t]. For the sum δ of its adjoints, t̄ = τ̄ + δ·d, and x̄ gets
//! δ·((t − E[t])/σ − a·(x − μ)/σ³)/(s·F).

use super::Cpu;
use super::parallel::{self, each_sample};
use crate::backend::{JvpAdjoints, MinibatchStds, PixelMap, size};
use std::ops::Range;

/// Added to the variance.
const EPS: f32 = 1e-8;
/// Number of values of a sample per task.
const PART: usize = 1 << 12;

impl MinibatchStds for Cpu {
    fn minibatch_std(&self, map: &PixelMap, group: usize, x: &[f32], y: &mut [f32]) {
        let groups = Groups::new(map, group);
        let moments = groups.moments(x, None);
        concat(map, x, &groups.averages(&moments, |part, i| 1.0 / part.inverse[i]), y);
    }

    fn minibatch_std_grad(&self, map: &PixelMap, group: usize, x: &[f32], g: &[f32], dx: &mut [f32]) {
        let groups = Groups::new(map, group);
        let moments = groups.moments(x, None);
        let factors = groups.factors(map, g);
        groups.update(map, &moments, Some(g), dx, |part, sample, i, at| {
            factors[sample % groups.count] * part.direction(x[at], i)
        });
    }

    fn minibatch_std_jvp(&self, map: &PixelMap, group: usize, [x, t]: [&[f32]; 2], y: &mut [f32]) {
        let groups = Groups::new(map, group);
        let moments = groups.moments(x, Some(t));
        concat(map, t, &groups.averages(&moments, |part, i| part.along[i] * part.inverse[i]), y);
    }

    fn minibatch_std_jvp_grad(
        &self,
        map: &PixelMap,
        group: usize,
        adjoints: &JvpAdjoints<Self>,
        [of_values, of_tangents]: [&mut [f32]; 2],
    ) {
        let JvpAdjoints { x, tangent: t, of_tangent, .. } = *adjoints;
        let groups = Groups::new(map, group);
        let moments = groups.moments(x, Some(t));
        let factors = groups.factors(map, of_tangent);
        let of_value = adjoints.of_values.map(|g| groups.factors(map, g));
        groups.update(map, &moments, Some(of_tangent), of_tangents, |part, sample, i, at| {
            factors[sample % groups.count] * part.direction(x[at], i)
        });
        groups.update(map, &moments, adjoints.of_values, of_values, |part, sample, i, at| {
            let group = sample % groups.count;
            let direction = part.direction(x[at], i);
            let r = part.inverse[i];
            let bend = (t[at] - part.mean_t[i]) * r - part.along[i] * r * r * direction;
            factors[group] * bend + of_value.as_ref().map_or(0.0, |of| of[group] * direction)
        });
    }
}

/// Groups of samples: sample i belongs to group i modulo their `count`.
struct Groups {
    samples: usize,
    count: usize,
    /// Number of samples of a group.
    size: usize,
    /// Number of values of a sample.
    len: usize,
}

/// Statistics of some numbers over the samples of a group.
struct Moments {
    mean: Vec<f32>,
    /// 1/σ
    inverse: Vec<f32>,
    /// E[t]
    mean_t: Vec<f32>,
    /// a = E[(x − μ)·t]
    along: Vec<f32>,
}

impl Moments {
    /// Returns (x − μ)/σ.
    #[inline(always)]
    fn direction(&self, x: f32, i: usize) -> f32 {
        (x - self.mean[i]) * self.inverse[i]
    }
}

impl Groups {
    fn new(map: &PixelMap, group: usize) -> Self {
        assert!(map.samples.is_multiple_of(group), "{} samples are no groups of {group}", map.samples);
        Self { samples: map.samples, count: map.samples / group, size: group, len: size(map.input) }
    }

    fn parts(&self) -> usize {
        self.len.div_ceil(PART)
    }

    fn range(&self, part: usize) -> Range<usize> {
        part * PART..self.len.min((part + 1) * PART)
    }

    /// Returns the statistics of each part of each group.
    fn moments(&self, x: &[f32], t: Option<&[f32]>) -> Vec<Moments> {
        parallel::map(self.count * self.parts(), |task| {
            let group = task / self.parts();
            let range = self.range(task % self.parts());
            let len = range.len();
            let scale = 1.0 / self.size as f32;
            let members = |of| (0..self.size).map(move |i| self.member(of, group + i * self.count, range.start, len));
            let mean = |of| {
                let mut mean = vec![0f32; len];
                for x in members(of) {
                    mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += x * scale);
                }
                mean
            };
            let mean_x = mean(x);
            let mut inverse = vec![0f32; len];
            let mut along = vec![0f32; t.map_or(0, |_| len)];
            for x in members(x) {
                let all = inverse.iter_mut().zip(x.iter().zip(&mean_x));
                all.for_each(|(sum, (x, mean))| *sum += (x - mean) * (x - mean) * scale);
            }
            inverse.iter_mut().for_each(|variance| *variance = 1.0 / (*variance + EPS).sqrt());
            if let Some(t) = t {
                for (x, t) in members(x).zip(members(t)) {
                    let all = along.iter_mut().zip(x.iter().zip(&mean_x)).zip(t);
                    all.for_each(|((sum, (x, mean)), t)| *sum += (x - mean) * t * scale);
                }
            }
            Moments { mean_t: t.map_or(vec![], mean), mean: mean_x, inverse, along }
        })
    }

    fn member<'x>(&self, of: &'x [f32], sample: usize, start: usize, len: usize) -> &'x [f32] {
        &of[sample * self.len + start..][..len]
    }

    /// Returns the average of a quantity over the numbers of each group.
    fn averages(&self, moments: &[Moments], of: impl Fn(&Moments, usize) -> f32) -> Vec<f32> {
        let sum = |part: &Moments| (0..part.mean.len()).map(|i| f64::from(of(part, i))).sum::<f64>();
        let average = |parts: &[Moments]| (parts.iter().map(sum).sum::<f64>() / self.len as f64) as f32;
        moments.chunks(self.parts()).map(average).collect()
    }

    /// Returns δ/(s·F) of each group, from the gradients of all channels.
    fn factors(&self, map: &PixelMap, g: &[f32]) -> Vec<f32> {
        let [_, _, wide] = map.output;
        let of_sample = |sample: usize| {
            let g = &g[sample * size(map.output)..][..size(map.output)];
            g.chunks_exact(wide).map(|g| f64::from(g[wide - 1])).sum::<f64>()
        };
        let sum = |group: usize| (group..self.samples).step_by(self.count).map(of_sample).sum::<f64>();
        (0..self.count).map(|group| (sum(group) / (self.size * self.len) as f64) as f32).collect()
    }

    /// Writes the gradients `g` of the old channels, or zeros, plus `f(statistics, sample, index there, index in the batch)`.
    fn update(
        &self,
        map: &PixelMap,
        moments: &[Moments],
        g: Option<&[f32]>,
        to: &mut [f32],
        f: impl Fn(&Moments, usize, usize, usize) -> f32 + Sync + Send,
    ) {
        let [c, wide] = [map.input[2], map.output[2]];
        each_sample(self.samples, self.len, to, |sample, to| {
            match g {
                Some(g) => {
                    let g = &g[sample * size(map.output)..][..size(map.output)];
                    let pixels = to.chunks_exact_mut(c).zip(g.chunks_exact(wide));
                    pixels.for_each(|(to, g)| to.copy_from_slice(&g[..c]));
                }
                None => to.fill(0.0),
            }
            for part in 0..self.parts() {
                let range = self.range(part);
                let moments = &moments[sample % self.count * self.parts() + part];
                let at = sample * self.len + range.start;
                let numbers = to[range].iter_mut().enumerate();
                numbers.for_each(|(i, to)| *to += f(moments, sample, i, at + i));
            }
        });
    }
}

/// Writes x with one more channel, which has one value for each group.
fn concat(map: &PixelMap, x: &[f32], values: &[f32], y: &mut [f32]) {
    let [c, wide] = [map.input[2], map.output[2]];
    each_sample(map.samples, size(map.output), y, |sample, y| {
        let x = &x[sample * size(map.input)..][..size(map.input)];
        for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(wide)) {
            y[..c].copy_from_slice(x);
            y[c] = values[sample % values.len()];
        }
    });
}
