//! The operations of layers that few networks have.

use super::{Case, Runner};
use gan_cuda::step::{StepBackend, spectral_values};
use gan_kernels::backend::{
    Activation, InputActivation, JvpAdjoints, NormGrads, PixelMap, SampleNormCall, SampleStatistics, size,
};
use gan_kernels::ops::{ImageLayout, ImageTransform};

pub(super) fn all<B: StepBackend>(r: &mut Runner<'_, B>) {
    classes(r);
    curves(r);
    scaled_samples(r);
    learned_slopes(r);
    gates(r);
    pixel_norms(r);
    sample_norms(r);
    minibatch_stds(r);
    image_transforms(r);
    attentions(r);
    spectral_norms(r);
}

/// Calls `run` with adjoints of `len` numbers before a layer and `after` numbers behind it, without and with those of the values.
fn adjoints<B: StepBackend>(
    r: &mut Runner<'_, B>,
    name: &str,
    x: &B::Buffer,
    after: usize,
    mut run: impl FnMut(&JvpAdjoints<B>, [B::SliceMut<'_>; 2]),
) {
    let b = r.backend;
    let len = b.len(b.slice(x));
    for has_values in [false, true] {
        let [t, h, g] = [len, after, after].map(|n| r.activations(n));
        let adjoints = JvpAdjoints {
            x: b.slice(x),
            tangent: b.slice(&t),
            of_values: has_values.then(|| b.slice(&g)),
            of_tangent: b.slice(&h),
        };
        let mut to = [b.uninit(len), b.uninit(len)];
        let [first, second] = to.each_mut().map(|to| b.slice_mut(to));
        run(&adjoints, [first, second]);
        let [values, tangents] = &to;
        r.put(format!("adjoints of {name}, values {has_values}"), &[values, tangents]);
    }
}

fn classes<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    // Two batches of samples with the same classes. One class has no sample.
    let n = 10;
    let known = 4;
    let classes = [2, 0, 2, 3, 2];
    for (sides, more) in [([3, 4, 5], 6), ([1, 1, 8], 3), ([2, 2, 8], 8)] {
        let [h, w, c] = sides;
        for embeds in [true, false] {
            let more = if embeds { more } else { known };
            let map = PixelMap { samples: n, input: sides, output: [h, w, c + more] };
            let x = r.activations(n * size(map.input));
            let g = r.activations(n * size(map.output));
            let rows = r.f32s(known * more);
            let mut y = b.uninit(n * size(map.output));
            let mut dx = b.uninit(n * size(map.input));
            let rows = embeds.then(|| b.slice(&rows));
            b.concat_class(&map, Some(&classes), rows, b.slice(&x), b.slice_mut(&mut y));
            b.concat_class_grad(&map, b.slice(&g), b.slice_mut(&mut dx));
            let mut drows = b.f32_zeros(known * more);
            b.class_rows_grad(&map, &classes, b.slice(&g), b.slice_mut(&mut drows));
            r.put(format!("concatenation of {more} to {sides:?}"), &[&y, &dx, &drows]);
            b.concat_class(&map, None, None, b.slice(&x), b.slice_mut(&mut y));
            r.put("concatenation of zeros", &[&y]);
        }
    }
    for features in [1, 7, 300] {
        let weight = r.f32s(features);
        let embed = r.f32s(known * features);
        let x = r.activations(n * features);
        let g = r.activations(n);
        let weights = [b.slice(&weight), b.slice(&embed)];
        let mut y = b.uninit(n);
        let mut dx = b.uninit(n * features);
        let mut dweight = b.f32_zeros(features);
        let mut dembed = b.f32_zeros(known * features);
        b.projection(&classes, weights, b.slice(&x), b.slice_mut(&mut y));
        b.projection_input_grad(&classes, weights, b.slice(&g), b.slice_mut(&mut dx));
        b.projection_grad(None, b.slice(&x), b.slice(&g), b.slice_mut(&mut dweight));
        b.projection_grad(Some(&classes), b.slice(&x), b.slice(&g), b.slice_mut(&mut dembed));
        r.put(format!("projection of {features}"), &[&y, &dx, &dweight, &dembed]);
    }
}

fn curves<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for n in [1, 1003, 4096] {
        for act in [
            InputActivation::LeakyRelu(-0.3),
            InputActivation::Sigmoid,
            InputActivation::Elu(0.7),
            InputActivation::Silu,
            InputActivation::Gelu,
        ] {
            let x = r.scaled(n, 5.0);
            let mut y = b.uninit(n);
            let mut g = r.activations(n);
            b.input_activation(act, b.slice(&x), b.slice_mut(&mut y));
            b.input_activation_grad(act, b.slice(&x), b.slice_mut(&mut g));
            r.put(format!("{act:?} of {n}"), &[&y, &g]);
            adjoints(r, &format!("{act:?} of {n}"), &x, n, |all, to| b.input_activation_jvp_grad(act, all, to));
        }
        let y = r.activations(n);
        adjoints(r, &format!("tanh of {n}"), &y, n, |all, to| b.activation_jvp_grad(Activation::Tanh, all, to));
    }
    let map = PixelMap { samples: 4, input: [3, 5, 6], output: [1, 1, 6] };
    let mut x = r.activations(4 * 90);
    // Ties.
    b.bias_activation(Activation::LeakyRelu(0.0), None, b.slice_mut(&mut x), 90);
    let t = r.activations(4 * 90);
    let mut y = [b.uninit(24), b.uninit(24)];
    let to = y.each_mut().map(|y| b.slice_mut(y));
    b.global_max_pool_jvp(&map, [b.slice(&x), b.slice(&t)], to);
    r.put("global max pool's derivative", &[&y[0], &y[1]]);
}

fn scaled_samples<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (samples, len) in [(3, 35), (5, 64), (2, 1), (1, 3000)] {
        let scales = r.activations(samples);
        let x = r.activations(samples * len);
        let mut y = r.activations(samples * len);
        let mut z = b.copy(b.slice(&y));
        b.scale_samples(b.slice(&scales), Some(b.slice(&x)), b.slice_mut(&mut y));
        b.scale_samples(b.slice(&scales), None, b.slice_mut(&mut z));
        r.put(format!("scaled samples [{samples}, {len}]"), &[&y, &z]);
    }
}

fn learned_slopes<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for half in [7, 1024, 150_001] {
        let slope = r.f32_of(&[0.3]);
        let [side, x, g] = [half, 2 * half, 2 * half].map(|n| r.activations(n));
        for side in [None, Some(b.slice(&side)), Some(b.slice(&x))] {
            let mut y = b.uninit(2 * half);
            let mut sum = b.f32_zeros(1);
            b.learned_slope(b.slice(&slope), side, b.slice(&x), b.slice_mut(&mut y));
            b.learned_slope_grad(side, b.slice(&x), b.slice(&g), b.slice_mut(&mut sum));
            r.put(format!("slope of {half}, sides {}", side.map_or(0, |side| b.len(side))), &[&y]);
            // The sum is small, compared with what it is the sum of.
            let sum = b.get(b.slice(&sum))[0];
            let results = vec![vec![sum, (half as f32).sqrt()]];
            r.cases.push(Case { name: format!("slope's gradient of {half}"), results });
        }
    }
}

fn gates<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (pixels, c) in [(37, 5), (9, 8), (130, 16), (1, 1)] {
        let n = pixels * c;
        let x = r.scaled(2 * n, 4.0);
        let t = r.activations(2 * n);
        let g = r.activations(n);
        let mut y = b.uninit(n);
        let mut dx = b.uninit(2 * n);
        let mut tangent = b.uninit(n);
        b.glu(c, b.slice(&x), b.slice_mut(&mut y));
        b.glu_grad(c, b.slice(&x), b.slice(&g), b.slice_mut(&mut dx));
        b.glu_jvp(c, [b.slice(&x), b.slice(&t)], b.slice_mut(&mut tangent));
        let name = format!("gates [{pixels}, {c}]");
        r.put(&name, &[&y, &dx, &tangent]);
        adjoints(r, &name, &x, n, |all, to| b.glu_jvp_grad(c, all, to));
    }
}

fn pixel_norms<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (rows, c) in [(37, 5), (9, 64), (5, 1), (3, 700), (600, 24)] {
        let x = r.activations(rows * c);
        let mut y = b.uninit(rows * c);
        let mut g = r.activations(rows * c);
        b.pixel_norm(c, 1e-3, b.slice(&x), b.slice_mut(&mut y));
        b.pixel_norm_grad(c, 1e-3, b.slice(&x), b.slice_mut(&mut g));
        let name = format!("pixel norm [{rows}, {c}]");
        r.put(&name, &[&y, &g]);
        adjoints(r, &name, &x, rows * c, |all, to| b.pixel_norm_jvp_grad(c, 1e-3, all, to));
    }
}

fn sample_norms<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    let classes = [2, 0, 2, 3, 2, 0];
    for (pixels, c) in [(35, 6), (20, 24), (900, 8), (1, 80)] {
        let x = r.activations(6 * pixels * c);
        for groups in [1, 2, c].into_iter().filter(|groups| pixels * (c / groups) > 1) {
            for affine in [false, true] {
                sample_norm(r, &x, c, SampleStatistics::Groups(groups), None, affine.then_some(1));
            }
        }
        let norms = [b.norm_of_batch(b.slice(&x), c, None, &None), b.norm_of(&vec![0.1; c], &vec![0.4; c], None)];
        for norm in &norms {
            sample_norm(r, &x, c, SampleStatistics::Batch(norm, &None), Some(&classes), Some(4));
        }
    }
}

/// Runs a norm of six samples with γ and β of `rows` classes.
fn sample_norm<B: StepBackend>(
    r: &mut Runner<'_, B>,
    x: &B::Buffer,
    channels: usize,
    statistics: SampleStatistics<'_, B>,
    classes: Option<&[u32]>,
    rows: Option<usize>,
) {
    let b = r.backend;
    let n = b.len(b.slice(x));
    let (of, is_given) = match &statistics {
        SampleStatistics::Groups(groups) => (format!("{groups} groups"), false),
        SampleStatistics::Batch(norm, _) => ("a batch".into(), b.norm_count(norm).is_none()),
    };
    let affine = rows.map(|rows| [r.f32s(rows * channels), r.f32s(rows * channels)]);
    let affine = affine.as_ref().map(|affine| affine.each_ref().map(|rows| b.slice(rows)));
    let mut call = SampleNormCall { samples: 6, channels, statistics, affine, classes, eps: 1e-4, slope: 0.2 };
    let name = format!("norm of {of}, given {is_given}, [{n}, {channels}], rows {rows:?}");
    let mut y = b.uninit(n);
    b.sample_norm(&call, b.slice(x), b.slice_mut(&mut y));
    r.put(&name, &[&y]);
    let zeros = || rows.map(|rows| [b.f32_zeros(rows * channels), b.f32_zeros(rows * channels)]);
    for slope in [0.2, 1.0] {
        call.slope = slope;
        let mut g = r.activations(n);
        let mut alone = b.copy(b.slice(&g));
        let mut of_rows = zeros();
        b.sample_norm_grad(&call, b.slice(x), b.slice_mut(&mut g), grads(b, &mut of_rows));
        let results: Vec<&B::Buffer> = std::iter::once(&g).chain(of_rows.iter().flatten()).collect();
        r.put(format!("gradient of {name}, slope {slope}"), &results);
        b.sample_norm_grad(&call, b.slice(x), b.slice_mut(&mut alone), None);
        r.put(format!("gradient by x of {name}, slope {slope}"), &[&alone]);
    }
    let mut t = r.activations(n);
    b.sample_norm_jvp(&call, b.slice(x), b.slice_mut(&mut t));
    r.put(format!("tangent of {name}"), &[&t]);
    let mut all_rows = vec![];
    adjoints(r, &name, x, n, |all, to| {
        let mut of_rows = zeros();
        b.sample_norm_jvp_grad(&call, all, to, grads(b, &mut of_rows));
        all_rows.extend(of_rows.into_iter().flatten());
    });
    r.put(format!("rows' adjoints of {name}"), &all_rows.iter().collect::<Vec<_>>());
}

/// Returns the places of the gradients by γ and β.
fn grads<'a, B: StepBackend>(b: &B, to: &'a mut Option<[B::Buffer; 2]>) -> Option<NormGrads<'a, B>> {
    to.as_mut().map(|[gamma, beta]| NormGrads { gamma: b.slice_mut(gamma), beta: b.slice_mut(beta) })
}

fn minibatch_stds<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    let samples = 6;
    // A deviation of few numbers may be tiny, where its second derivative is nothing but the noise of bf16.
    for ([h, w, c], group) in [([3, 4, 5], 3), ([3, 4, 5], 6), ([1, 1, 8], 3), ([20, 20, 3], 6), ([2, 2, 3], 1)] {
        let map = PixelMap { samples, input: [h, w, c], output: [h, w, c + 1] };
        let [before, after] = [map.input, map.output].map(|sides| samples * size(sides));
        let [x, t] = [before; 2].map(|n| r.activations(n));
        let g = r.activations(after);
        let mut y = b.uninit(after);
        let mut dx = b.uninit(before);
        let mut tangent = b.uninit(after);
        b.minibatch_std(&map, group, b.slice(&x), b.slice_mut(&mut y));
        b.minibatch_std_grad(&map, group, b.slice(&x), b.slice(&g), b.slice_mut(&mut dx));
        b.minibatch_std_jvp(&map, group, [b.slice(&x), b.slice(&t)], b.slice_mut(&mut tangent));
        let name = format!("deviation [{h}, {w}, {c}] of {group}");
        r.put(&name, &[&y, &dx, &tangent]);
        adjoints(r, &name, &x, after, |all, to| b.minibatch_std_jvp_grad(&map, group, all, to));
    }
}

fn image_transforms<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    let colors =
        ImageTransform { pixel: 0.5, gray: -0.25, mean: 0.75, alpha: 0.375, bias: 0.125, ..ImageTransform::IDENTITY };
    let moved = ImageTransform { down: 2, across: -1, cut: [[-1, 2], [1, 9]], ..colors };
    let all = [ImageTransform::IDENTITY, colors, moved, ImageTransform { down: -9, mean: 0.0, ..moved }];
    let numbers: Vec<f32> = all.iter().flat_map(ImageTransform::numbers).collect();
    let by = r.f32_of(&numbers);
    for (sides, colors) in [([5, 7, 3], 3), ([20, 20, 4], 3), ([1, 3, 1], 1), ([8, 8, 2], 1)] {
        let layout = ImageLayout { sides, colors, is_channels_last: true };
        let n = all.len() * size(sides);
        let x = r.activations(n);
        let [mut y, mut dx] = [n; 2].map(|n| b.uninit(n));
        b.transform_images(&layout, b.slice(&by), b.slice(&x), b.slice_mut(&mut y));
        b.transform_images_grad(&layout, b.slice(&by), b.slice(&x), b.slice_mut(&mut dx));
        r.put(format!("transformed {sides:?} with {colors} colors"), &[&y, &dx]);
    }
}

fn attentions<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (samples, [h, w], keys, values) in
        [(2, [3, 3], 2, 5), (1, [9, 13], 1, 3), (3, [4, 4], 4, 20), (1, [1, 1], 1, 1), (2, [8, 8], 8, 16)]
    {
        let map = PixelMap { samples, input: [h, w, 2 * keys + values], output: [h, w, values] };
        let [before, after] = [map.input, map.output].map(|sides| samples * size(sides));
        let x = r.scaled(before, 1.5);
        let t = r.activations(before);
        let g = r.activations(after);
        let mut y = b.uninit(after);
        let mut dx = b.uninit(before);
        let mut tangent = b.uninit(after);
        b.attention(&map, keys, b.slice(&x), b.slice_mut(&mut y));
        b.attention_grad(&map, keys, b.slice(&x), b.slice(&g), b.slice_mut(&mut dx));
        b.attention_jvp(&map, keys, [b.slice(&x), b.slice(&t)], b.slice_mut(&mut tangent));
        let name = format!("attention of {samples} samples [{h}, {w}], {keys} keys, {values} values");
        r.put(&name, &[&y, &dx, &tangent]);
        adjoints(r, &name, &x, after, |all, to| b.attention_jvp_grad(&map, keys, all, to));
    }
}

fn spectral_norms<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for sides in [[1, 5, 7], [1, 64, 27], [3, 8, 16], [1, 1, 300], [1, 33, 1], [2, 70, 35], [1, 12, 1000]] {
        let [kernel, zeros] = [r.f32s(size(sides)), b.f32_zeros(size(sides))];
        let mut direction = r.f32s(sides[1]);
        for (kernel, iterates) in [(&kernel, true), (&kernel, false), (&zeros, true)] {
            let kernel = b.slice(kernel);
            let mut to = b.f32_zeros(size(sides));
            let mut values = b.f32_zeros(spectral_values(sides));
            let mut gradient = r.f32s(size(sides));
            let of_direction = b.slice_mut(&mut direction);
            b.spectral_norm(sides, kernel, of_direction, iterates, b.slice_mut(&mut to), b.slice_mut(&mut values));
            b.spectral_norm_grad(sides, kernel, b.slice(&values), b.slice_mut(&mut gradient));
            r.put(format!("spectral norm of {sides:?}, iterates {iterates}"), &[&to, &values, &direction, &gradient]);
        }
    }
}
