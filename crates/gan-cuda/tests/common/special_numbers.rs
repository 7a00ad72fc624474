//! Operations on numbers that break careless sums, large means and NaN, and on batches of several groups.

use super::{Case, Runner};
use gan_cuda::step::{StepBackend, spectral_values};
use gan_kernels::backend::{InputActivation, JvpAdjoints, NormGrads, PixelMap, SampleNormCall, SampleStatistics};

fn call<'a, B: StepBackend>(channels: usize, groups: usize) -> SampleNormCall<'a, B> {
    let statistics = SampleStatistics::Groups(groups);
    SampleNormCall { samples: 3, channels, statistics, affine: None, classes: None, eps: 1e-5, slope: 1.0 }
}

/// Returns norms of numbers with a mean of a thousand times their spread, and of the same numbers without it.
pub fn large_means<B: StepBackend>(backend: &B) -> [Vec<Vec<f32>>; 2] {
    let mut r = Runner { backend, cases: vec![], state: 88_172_645_463_325_252 };
    let [pixels, channels] = [200, 12];
    // Exact in f32 with and without the mean.
    let random = r.f32s(3 * pixels * channels);
    let values = backend.get(backend.slice(&random)).into_iter().map(|v| (v * 1024.0).round() / 1024.0);
    let values: Vec<f32> = values.collect();
    [500.0, 0.0].map(|mean| {
        let x: Vec<f32> = values.iter().map(|v| v + mean).collect();
        let x = r.f32_of(&x);
        let norm = |groups| {
            let mut y = backend.f32_zeros(values.len());
            backend.sample_norm(&call(channels, groups), backend.slice(&x), backend.slice_mut(&mut y));
            backend.get(backend.slice(&y))
        };
        [1, 3, 12].map(norm).to_vec()
    })
}

/// Runs layers on numbers of which one is NaN.
pub fn with_nan<B: StepBackend>(backend: &B) -> Vec<Case> {
    let b = backend;
    let mut r = Runner { backend, cases: vec![], state: 88_172_645_463_325_252 };
    let [samples, pixels, channels] = [3, 20, 12];
    let n = samples * pixels * channels;
    let random = r.f32s(n);
    let mut values = b.get(b.slice(&random));
    values[pixels * channels + 5 * channels + 4] = f32::NAN;
    let kernel = r.f32_of(&values);
    let wide = r.f32_of(&values);
    let x = b.channels_last(b.slice(&wide), n, 1);
    let x = b.slice(&x);
    let mut run = |name: String, len: usize, compute: &dyn Fn(B::SliceMut<'_>)| {
        let mut y = b.uninit(len);
        compute(b.slice_mut(&mut y));
        r.put(name, &[&y]);
    };
    for act in [InputActivation::Sigmoid, InputActivation::Elu(0.5), InputActivation::Silu, InputActivation::Gelu] {
        run(format!("{act:?}"), n, &|y| b.input_activation(act, x, y));
    }
    for groups in [1, 3, 12] {
        run(format!("norm of {groups} groups"), n, &|y| b.sample_norm(&call(channels, groups), x, y));
    }
    run("pixel norm".into(), n, &|y| b.pixel_norm(channels, 1e-5, x, y));
    run("gates".into(), n / 2, &|y| b.glu(channels / 2, x, y));
    let map = |wide| PixelMap { samples, input: [4, 5, channels], output: [4, 5, wide] };
    let wide = channels + 1;
    run("deviation".into(), samples * pixels * wide, &|y| b.minibatch_std(&map(wide), 3, x, y));
    run("attention".into(), samples * pixels * 4, &|y| b.attention(&map(4), 4, x, y));
    let sides = [samples, pixels, channels];
    let [mut direction, mut to, mut found] = [pixels, n, spectral_values(sides)].map(|len| b.f32_zeros(len));
    let [u, quotient, values] = [&mut direction, &mut to, &mut found].map(|buffer| b.slice_mut(buffer));
    b.spectral_norm(sides, b.slice(&kernel), u, true, quotient, values);
    r.put("spectral norm", &[&to, &direction, &found]);
    r.cases
}

/// Returns what norms with classes make of a batch of two groups, at once or in two parts.
pub fn two_groups<B: StepBackend>(backend: &B, parts: usize) -> Vec<Vec<f32>> {
    let b = backend;
    let mut r = Runner { backend, cases: vec![], state: 88_172_645_463_325_252 };
    let [pixels, channels, known] = [20, 12, 3];
    let half = 3 * pixels * channels;
    let classes = [2, 0, 2];
    let all = [(); 4].map(|()| r.f32s(2 * half));
    let affine = [r.f32s(known * channels), r.f32s(known * channels)];
    let mut results = vec![];
    let n = 2 * half / parts;
    for part in (0..parts).map(|i| i * n..(i + 1) * n) {
        let [x, t, g, h] = all.each_ref().map(|of| b.part(b.slice(of), part.clone()));
        let norm = b.norm_of_groups(x, channels, None, n / half);
        let statistics = SampleStatistics::Batch(&norm, &None);
        let affine = affine.each_ref().map(|rows| b.slice(rows));
        let classes = classes.repeat(n / half);
        let classes = Some(&classes[..]);
        let call = SampleNormCall {
            samples: 3 * n / half,
            channels,
            statistics,
            affine: Some(affine),
            classes,
            eps: 1e-4,
            slope: 0.2,
        };
        let mut y = b.f32_zeros(n);
        b.sample_norm(&call, x, b.slice_mut(&mut y));
        let mut to = [b.copy(g), b.copy(t), b.f32_zeros(n), b.f32_zeros(n)];
        let mut rows = [(); 4].map(|()| b.f32_zeros(known * channels));
        let [dx, tangent, xbar, tbar] = to.each_mut().map(|to| b.slice_mut(to));
        let [gamma, beta, gamma_bar, beta_bar] = rows.each_mut().map(|rows| b.slice_mut(rows));
        b.sample_norm_grad(&call, x, dx, Some(NormGrads { gamma, beta }));
        b.sample_norm_jvp(&call, x, tangent);
        let adjoints = JvpAdjoints { x, tangent: t, of_values: Some(g), of_tangent: h };
        let grads = NormGrads { gamma: gamma_bar, beta: beta_bar };
        b.sample_norm_jvp_grad(&call, &adjoints, [xbar, tbar], Some(grads));
        let found = std::iter::once(&y).chain(&to).chain(&rows).map(|buffer| b.get(b.slice(buffer)));
        results.push(found.collect::<Vec<_>>());
    }
    let first = results.remove(0);
    let Some(second) = results.pop() else { return first };
    // The gradients by the rows are sums over both groups.
    let join = |(i, (mut a, b)): (usize, (Vec<f32>, Vec<f32>))| match i < 5 {
        true => [a, b].concat(),
        false => {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        }
    };
    first.into_iter().zip(second).enumerate().map(join).collect()
}
