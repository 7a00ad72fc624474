//! Every operation of a backend, for a comparison with the CPU.

use super::networks::random;
use gan_cuda::step::StepBackend;
use gan_kernels::backend::{
    Activation, ConvCall, InputActivation, JvpAdjoints, NormCall, NormGrads, PixelMap, Resample, size,
};
use gan_kernels::fused::Reuse;
use gan_kernels::update::{Epsilon, Step};
use gan_kernels::{ConvSpec, Padding, Precision, Problem};

pub use differences::{difference, distance};

#[path = "differences.rs"]
mod differences;
#[path = "layer_operations.rs"]
mod layer_operations;
#[path = "special_numbers.rs"]
pub mod special_numbers;

/// Results of one operation.
pub struct Case {
    pub name: String,
    pub results: Vec<Vec<f32>>,
}

/// Runs an operation on arrays of random numbers: those in the activations' format, then f32.
struct Runner<'a, B: StepBackend> {
    backend: &'a B,
    cases: Vec<Case>,
    state: u64,
}

impl<B: StepBackend> Runner<'_, B> {
    /// Returns numbers in the activations' format.
    fn activations(&mut self, n: usize) -> B::Buffer {
        let values = random(&mut self.state, n);
        let wide = self.f32_of(&values);
        self.backend.channels_last(self.backend.slice(&wide), n, 1)
    }

    fn f32s(&mut self, n: usize) -> B::Buffer {
        let values = random(&mut self.state, n);
        self.f32_of(&values)
    }

    fn f32_of(&self, values: &[f32]) -> B::Buffer {
        let mut buffer = self.backend.f32_zeros(values.len());
        self.backend.set(values, self.backend.slice_mut(&mut buffer));
        buffer
    }

    /// Returns numbers in the activations' format, this many times as large.
    fn scaled(&mut self, n: usize, by: f32) -> B::Buffer {
        let values: Vec<f32> = random(&mut self.state, n).into_iter().map(|v| by * v).collect();
        self.backend.channels_last(self.backend.slice(&self.f32_of(&values)), n, 1)
    }

    fn put(&mut self, name: impl Into<String>, results: &[&B::Buffer]) {
        let results = results.iter().map(|b| self.backend.get(self.backend.slice(b))).collect();
        self.cases.push(Case { name: name.into(), results });
    }
}

/// A convolution's sizes.
fn problem(n: usize, [c, o]: [usize; 2], input: [usize; 2], kernel: [usize; 2], spec: ConvSpec) -> Problem {
    let output = spec.output_size(input, kernel).unwrap();
    Problem { spec, samples: n, groups: 1, in_channels: c, out_channels: o, input, output, kernel }
}

fn grouped(groups: usize, problem: Problem) -> Problem {
    Problem { groups, ..problem }
}

/// Returns the convolutions to check.
pub fn problems() -> Vec<Problem> {
    let pads = |top, bottom, left, right| Padding { top, bottom, left, right };
    let spec = |stride, padding| ConvSpec { stride, padding, ..ConvSpec::default() };
    vec![
        problem(2, [8, 16], [8, 8], [4, 4], ConvSpec::square(2, 1)),
        problem(3, [3, 8], [9, 7], [4, 4], ConvSpec::square(2, 1)),
        problem(2, [5, 1], [6, 6], [3, 3], ConvSpec::square(1, 1)),
        problem(2, [1, 7], [28, 28], [3, 3], spec([2, 2], pads(0, 1, 0, 1))),
        problem(
            2,
            [6, 5],
            [7, 9],
            [3, 2],
            ConvSpec { stride: [2, 1], padding: pads(2, 0, 1, 3), dilation: [1, 2], ..ConvSpec::default() },
        ),
        problem(3, [12, 1], [4, 4], [4, 4], ConvSpec::square(1, 0)),
        problem(3, [9, 20], [7, 7], [7, 7], ConvSpec::square(1, 0)),
        problem(5, [13, 11], [1, 1], [1, 1], ConvSpec::square(1, 0)),
        problem(2, [13, 11], [3, 5], [1, 1], ConvSpec::square(1, 0)),
        problem(2, [4, 4], [8, 8], [1, 1], ConvSpec::square(2, 0)),
        problem(2, [1, 1], [9, 9], [7, 7], ConvSpec::square(1, 3)),
    ]
}

/// Returns the convolutions of several groups to check.
fn grouped_problems() -> Vec<Problem> {
    let spec =
        ConvSpec { stride: [2, 2], padding: Padding { top: 0, bottom: 1, left: 1, right: 2 }, ..ConvSpec::default() };
    vec![
        grouped(2, problem(2, [4, 3], [7, 6], [3, 3], ConvSpec::square(1, 1))),
        grouped(6, problem(2, [1, 1], [8, 8], [4, 4], ConvSpec::square(2, 1))),
        grouped(3, problem(2, [1, 2], [7, 7], [3, 3], spec)),
        grouped(2, problem(3, [8, 4], [4, 4], [4, 4], ConvSpec::square(1, 0))),
        grouped(4, problem(3, [2, 4], [3, 5], [1, 1], ConvSpec::square(1, 0))),
    ]
}

/// Runs every operation.
pub fn all<B: StepBackend>(backend: &B, precision: Precision) -> Vec<Case> {
    let mut cases = basics(backend, precision);
    cases.extend(layers(backend));
    cases
}

/// Runs the operations of layers that most networks have.
pub fn basics<B: StepBackend>(backend: &B, precision: Precision) -> Vec<Case> {
    let mut r = Runner { backend, cases: vec![], state: 88_172_645_463_325_252 };
    convolutions(&mut r, precision, problems());
    activations(&mut r);
    batch_norms(&mut r);
    pixels(&mut r);
    layouts(&mut r);
    optimizers(&mut r);
    // Add others at the end, so that those above keep their random numbers: results on the two sides of an activation's kink differ.
    convolutions(&mut r, precision, grouped_problems());
    weighted_sums(&mut r);
    r.cases
}

/// Runs the operations of layers that few networks have.
pub fn layers<B: StepBackend>(backend: &B) -> Vec<Case> {
    let mut r = Runner { backend, cases: vec![], state: 88_172_645_463_325_252 };
    layer_operations::all(&mut r);
    r.cases
}

fn convolutions<B: StepBackend>(r: &mut Runner<'_, B>, precision: Precision, problems: Vec<Problem>) {
    let b = r.backend;
    for (i, problem) in problems.into_iter().enumerate() {
        let p = problem;
        let weights = r.f32s(p.weights());
        let x = r.activations(p.samples * p.input_len());
        let dy = r.activations(p.samples * p.output_len());
        let cache = b.weight_cache(Reuse::UntilChanged);
        let weights_slice = b.slice(&weights);
        let call = ConvCall::<B> { problem, precision, weights: weights_slice, cache: &cache, layer: 0, trains: true };
        let mut y = b.uninit(p.samples * p.output_len());
        b.conv(&call, b.slice(&x), b.slice_mut(&mut y));
        let mut dx = b.uninit(p.samples * p.input_len());
        b.conv_input_grad(&call, b.slice(&dy), b.slice_mut(&mut dx));
        let mut dw = b.f32_zeros(b.len(weights_slice));
        b.conv_weight_grad(&problem, precision, b.slice(&x), b.slice(&dy), b.slice_mut(&mut dw));
        let name = format!("{i} {:?}x{}->{} k{:?} g{}", p.input, p.in_channels, p.out_channels, p.kernel, p.groups);
        r.put(format!("conv {name}"), &[&y]);
        r.put(format!("conv input grad {name}"), &[&dx]);
        r.put(format!("conv weight grad {name}"), &[&dw]);
    }
}

fn activations<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (rows, channels) in [(6, 8), (37, 5), (300, 24), (3, 700), (9, 1)] {
        for act in [Activation::Identity, Activation::LeakyRelu(0.2), Activation::LeakyRelu(0.0), Activation::Tanh] {
            let bias = r.f32s(channels);
            let mut x = r.activations(rows * channels);
            let mut g = r.activations(rows * channels);
            b.bias_activation(act, Some(b.slice(&bias)), b.slice_mut(&mut x), channels);
            b.activation_grad(act, b.slice(&x), b.slice_mut(&mut g));
            r.put(format!("bias and {act:?}, [{rows}, {channels}]"), &[&x, &g]);
        }
        let mut x = r.activations(rows * channels);
        b.bias_activation(Activation::LeakyRelu(0.1), None, b.slice_mut(&mut x), channels);
        r.put("activation without bias", &[&x]);
        for act in [InputActivation::Sigmoid, InputActivation::LeakyRelu(-0.3)] {
            let x = r.activations(rows * channels);
            let mut y = b.uninit(rows * channels);
            let mut g = r.activations(rows * channels);
            b.input_activation(act, b.slice(&x), b.slice_mut(&mut y));
            b.input_activation_grad(act, b.slice(&x), b.slice_mut(&mut g));
            r.put(format!("{act:?}"), &[&y, &g]);
        }
        let x = r.activations(rows * channels);
        let step = r.f32_of(&[3.0]);
        let mut noise = b.uninit(rows * channels);
        b.uniform(b.slice_mut(&mut noise), 7, 5, b.slice(&step));
        r.put("uniform", &[&noise]);
        let mut y = b.uninit(rows * channels);
        b.dropout(0.25, b.slice(&noise), b.slice(&x), b.slice_mut(&mut y));
        r.put("dropout", &[&y]);
        let mut sums = b.f32_zeros(channels);
        b.column_sums(b.slice(&x), channels, b.slice_mut(&mut sums));
        r.put("column sums", &[&sums]);
    }
}

/// Runs the operations of batch norms.
pub fn norms<B: StepBackend>(backend: &B) -> Vec<Case> {
    let mut r = Runner { backend, cases: vec![], state: 88_172_645_463_325_252 };
    batch_norms(&mut r);
    r.cases
}

fn batch_norms<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (rows, c) in [(6, 8), (37, 5), (1000, 24), (64, 700), (5000, 3), (4, 16), (20_000, 64)] {
        let gamma = r.f32s(c);
        let beta = r.f32s(c);
        let bias = r.f32s(c);
        let x = r.activations(rows * c);
        for slope in [1.0, 0.0, 0.2] {
            let gamma = b.slice(&gamma);
            let beta = b.slice(&beta);
            let call = NormCall::<B> { gamma, beta, eps: 1e-5, slope };
            let norm = b.norm_of_batch(b.slice(&x), c, Some(b.slice(&bias)), &None);
            let mut y = b.uninit(rows * c);
            b.norm(&call, &norm, b.slice(&x), b.slice_mut(&mut y));
            let found = b.batch_statistics(&norm).unwrap();
            let mut mean = b.f32_zeros(c);
            let mut variance = b.f32_zeros(c);
            b.follow_norm(&norm, b.slice_mut(&mut mean), b.slice_mut(&mut variance), 0.1, 1.5);
            let name = format!("[{rows}, {c}] slope {slope}");
            r.put(format!("batch norm {name}"), &[&y]);
            r.put(format!("batch norm's running averages {name}"), &[&mean, &variance]);
            for has_values in [false, true] {
                let t = r.activations(rows * c);
                let adjoint = r.activations(rows * c);
                let of_values = r.activations(rows * c);
                let mut tangent = b.copy(b.slice(&t));
                b.norm_jvp(&call, &norm, b.slice(&x), b.slice_mut(&mut tangent));
                let adjoints = JvpAdjoints::<B> {
                    x: b.slice(&x),
                    tangent: b.slice(&t),
                    of_values: has_values.then(|| b.slice(&of_values)),
                    of_tangent: b.slice(&adjoint),
                };
                let mut to = [b.uninit(rows * c), b.uninit(rows * c)];
                let mut dgamma = b.f32_zeros(c);
                let mut dbeta = b.f32_zeros(c);
                let grads = NormGrads { gamma: b.slice_mut(&mut dgamma), beta: b.slice_mut(&mut dbeta) };
                let [first, second] = to.each_mut().map(|to| b.slice_mut(to));
                b.norm_jvp_grad(&call, &norm, &adjoints, [first, second], grads);
                r.put(format!("batch norm's derivative {name}"), &[&tangent]);
                r.put(format!("batch norm's derivative's gradient {name}"), &[&to[0], &to[1], &dgamma, &dbeta]);
            }
            let results = [found.mean, found.variance].map(|t| t.to_vec1::<f32>().unwrap()).to_vec();
            r.cases.push(Case { name: format!("batch norm's statistics {name}"), results });
            for given in [false, true] {
                let norm = match given {
                    true => b.norm_of(&vec![0.25; c], &vec![0.5; c], Some(b.slice(&bias))),
                    false => norm.clone(),
                };
                let mut g = r.activations(rows * c);
                let mut dgamma = b.f32_zeros(c);
                let mut dbeta = b.f32_zeros(c);
                let grads = NormGrads { gamma: b.slice_mut(&mut dgamma), beta: b.slice_mut(&mut dbeta) };
                b.norm_grad(&call, &norm, b.slice(&x), b.slice_mut(&mut g), Some(grads), &None);
                r.put(format!("batch norm's gradient {name} given {given}"), &[&g, &dgamma, &dbeta]);
                let mut g = r.activations(rows * c);
                b.norm_grad(&call, &norm, b.slice(&x), b.slice_mut(&mut g), None, &None);
                r.put(format!("batch norm's gradient by x {name} given {given}"), &[&g]);
            }
        }
    }
}

fn resample<B: StepBackend>(r: &mut Runner<'_, B>, by: Resample, input: [usize; 3], output: [usize; 3]) {
    let b = r.backend;
    let map = PixelMap { samples: 3, input, output };
    let x = r.activations(3 * size(input));
    let g = r.activations(3 * size(output));
    let mut y = b.uninit(3 * size(output));
    let mut dx = b.uninit(3 * size(input));
    b.resample(&map, by, b.slice(&x), b.slice_mut(&mut y));
    b.resample_grad(&map, by, b.slice(&g), b.slice_mut(&mut dx));
    r.put(format!("{by:?}"), &[&y, &dx]);
}

fn weighted_sums<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (by, input, output) in [
        (Resample::Bilinear([2, 3]), [3, 4, 5], [6, 12, 5]),
        (Resample::Bilinear([2, 2]), [1, 4, 16], [2, 8, 16]),
        (Resample::BlurPool(2), [5, 7, 5], [2, 3, 5]),
        (Resample::BlurPool(3), [6, 10, 8], [2, 3, 8]),
        (Resample::PixelShuffle(2), [3, 4, 12], [6, 8, 3]),
    ] {
        resample(r, by, input, output);
    }
    for n in [7, 1000] {
        let x = r.activations(n);
        let mut y = r.activations(n);
        b.add(b.slice(&x), b.slice_mut(&mut y));
        r.put("sum", &[&y]);
    }
}

fn pixels<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    let corner = Padding { top: 1, bottom: 0, left: 2, right: 1 };
    for (by, input, output) in [
        (Resample::Upsample([2, 3]), [3, 4, 5], [6, 12, 5]),
        (Resample::ZeroPad(corner), [3, 4, 5], [4, 7, 5]),
        (Resample::AvgPool([2, 3]), [5, 7, 6], [2, 2, 6]),
        (Resample::Upsample([2, 2]), [3, 4, 16], [6, 8, 16]),
        (Resample::ZeroPad(corner), [3, 4, 8], [4, 7, 8]),
        (Resample::AvgPool([2, 3]), [5, 7, 24], [2, 2, 24]),
    ] {
        resample(r, by, input, output);
    }
    let map = PixelMap { samples: 4, input: [3, 5, 6], output: [1, 1, 6] };
    let mut x = r.activations(4 * 90);
    // Ties.
    b.bias_activation(Activation::LeakyRelu(0.0), None, b.slice_mut(&mut x), 6);
    let g = r.activations(24);
    let mut y = b.uninit(24);
    let mut dx = b.uninit(4 * 90);
    b.global_max_pool(&map, b.slice(&x), b.slice_mut(&mut y));
    b.global_max_pool_grad(&map, b.slice(&x), b.slice(&y), b.slice(&g), b.slice_mut(&mut dx));
    r.put("global max pool", &[&y, &dx]);
}

fn layouts<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for (n, c, p) in [(2, 3, 35), (1, 33, 70), (3, 1, 7), (2, 5, 1), (4, 128, 49)] {
        let x = r.activations(n * c * p);
        let y = b.channels_last(b.slice(&x), c, p);
        let mut z = b.uninit(n * c * p);
        b.channels_first(b.slice(&x), c, p, b.slice_mut(&mut z));
        r.put(format!("layouts [{n}, {c}, {p}]"), &[&y, &z, &b.copy(b.slice(&x))]);
        let wide = r.f32s(n * c * p);
        r.put("channels last of f32", &[&b.channels_last(b.slice(&wide), c, p)]);
    }
}

fn optimizers<B: StepBackend>(r: &mut Runner<'_, B>) {
    let b = r.backend;
    for n in [1, 1003, 20_000] {
        for (placement, first_decay) in [(Epsilon::OutsideRoot, Some(0.5)), (Epsilon::InsideRoot, None)] {
            let step = Step { first_decay, second_decay: 0.9, scale: 0.01, root_scale: 1.5, epsilon: 1e-3, placement };
            let mut values = r.f32s(n);
            let gradient = r.f32s(n);
            let mut first = r.f32s(n);
            let mut second = r.f32_of(&vec![0.3; n]);
            let first_slice = first_decay.map(|_| b.slice_mut(&mut first));
            b.optimizer_step(
                &step,
                b.slice_mut(&mut values),
                b.slice(&gradient),
                first_slice,
                b.slice_mut(&mut second),
            );
            r.put(format!("optimizer {placement:?} of {n}"), &[&values, &first, &second]);
        }
        let x = r.f32s(n);
        let mut average = r.f32s(n);
        b.follow(0.1, b.slice(&x), b.slice_mut(&mut average));
        r.put("follow", &[&average]);
        let results = vec![vec![b.sum_of_squares(b.slice(&x)) as f32]];
        r.cases.push(Case { name: "sum of squares".into(), results });
    }
}
