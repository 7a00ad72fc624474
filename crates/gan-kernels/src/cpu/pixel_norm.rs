//! Pixel norm: y = x·r with r = 1/√(E[x²] + ε), where the mean E is taken over the channels of a pixel.
//!
//! With P(u) = u − r²·E[xu]·x, dx = r·P(g) and the tangent is r·P(t). For an adjoint τ̄ of the tangent, with a = r·E[xt], b = r·E[xτ̄] and
//! K = E[τ̄t] − ab: t̄ = r·P(τ̄) and x̄ = −r²·(a·τ̄ + b·t) + r³·(2ab − K)·x. An adjoint of the values adds the ordinary gradient.

use super::buffer::Shared;
use super::rows::{dot, parts, rows};
use crate::backend::JvpAdjoints;
use crate::cpu::Cpu;

/// Computes y = x·r.
pub(super) fn forward(channels: usize, eps: f64, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "a norm's output is as large as its input");
    each_row(channels, y, |row, y| {
        let x = &x[row * channels..][..channels];
        combine([x], [inverse(x, eps)], y);
    });
}

/// Computes u ← r·P(u), from gradients or from tangents.
pub(super) fn project(channels: usize, eps: f64, x: &[f32], u: &mut [f32]) {
    assert_eq!(x.len(), u.len(), "a gradient has the size of its values");
    each_row(channels, u, |row, u| {
        let x = &x[row * channels..][..channels];
        let r = inverse(x, eps);
        let along = (r.powi(3) * mean(x, u)) as f32;
        let r = r as f32;
        u.iter_mut().zip(x).for_each(|(u, x)| *u = r * *u - along * x);
    });
}

/// Computes adjoints of values and tangents.
pub(super) fn jvp_grad(channels: usize, eps: f64, adjoints: &JvpAdjoints<Cpu>, to: [&mut [f32]; 2]) {
    let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
    let [to_values, to_tangents] = to;
    assert!([tangent, of_tangent, of_values.unwrap_or(x)].iter().all(|all| all.len() == x.len()), "adjoints fit");
    to_tangents.copy_from_slice(of_tangent);
    project(channels, eps, x, to_tangents);
    each_row(channels, to_values, |row, to| {
        let [x, t, h, g] =
            [x, tangent, of_tangent, of_values.unwrap_or(x)].map(|all| &all[row * channels..][..channels]);
        let r = inverse(x, eps);
        let [a, b] = [r * mean(x, t), r * mean(x, h)];
        let k = mean(h, t) - a * b;
        let r2 = r * r;
        let (of_g, along_g) = if of_values.is_some() { (r, r2 * r * mean(x, g)) } else { (0.0, 0.0) };
        combine([x, t, h, g], [r2 * r * (2.0 * a * b - k) - along_g, -r2 * b, -r2 * a, of_g], to);
    });
}

/// Returns r of a pixel.
fn inverse(x: &[f32], eps: f64) -> f64 {
    1.0 / (mean(x, x) + eps).sqrt()
}

fn mean(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / a.len() as f64
}

/// Writes Σ factor·row.
fn combine<const N: usize>(rows: [&[f32]; N], factors: [f64; N], to: &mut [f32]) {
    let factors = factors.map(|factor| factor as f32);
    for (i, to) in to.iter_mut().enumerate() {
        *to = rows.iter().zip(factors).map(|(row, factor)| factor * row[i]).sum();
    }
}

/// Calls `f(row, its numbers in `to`)` for each row, over all threads.
fn each_row(channels: usize, to: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let count = rows(to.len(), channels);
    let to = Shared::new(to);
    parts(count, channels, |rows| {
        for row in rows {
            // SAFETY: each row lies inside `to`, and only this task uses it.
            f(row, unsafe { std::slice::from_raw_parts_mut(to.ahead(row * channels).get(), channels) });
        }
    });
}
