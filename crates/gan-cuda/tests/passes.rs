//! Compares the passes of whole networks with the CPU backend, over doubles of NVIDIA's libraries.

#![allow(clippy::print_stdout)]

mod common;

use common::networks::layers::{everything, piecewise_linear};
use common::networks::{Net, conditional, dcgan, random};
use common::operations::distance;
use gan_cuda::Products;
use gan_cuda::step::StepBackend;
use gan_kernels::backend::Memory;
use gan_kernels::fused::{FusedSequential, NeedsGrad, PassContext, Reuse};
use gan_kernels::{Cpu, Precision};
use std::sync::Arc;

/// Samples of each pass.
const SAMPLES: usize = 4;

/// A network with its parameters' values.
struct Case<'a, B: StepBackend> {
    backend: &'a B,
    network: FusedSequential<B>,
    values: &'a [f32],
}

impl<'a, B: StepBackend> Case<'a, B> {
    fn new(backend: &'a B, side: usize, net: &'a Net) -> Self {
        let layers = net.layers.clone();
        let network = FusedSequential::on(backend.clone(), &[3, side, side], layers, Precision::F32, Reuse::Never);
        Self { backend, network: network.unwrap(), values: &net.values }
    }

    fn context(&self) -> PassContext<B> {
        let mut cx = PassContext::new(self.network.len(), NeedsGrad { input: true, parameters: true });
        // Samples share a class, and a class has no sample.
        cx.classes = Some(Arc::new(vec![2, 0, 2, 0]));
        cx
    }

    fn parameters(&self) -> B::Buffer {
        let mut buffer = self.backend.f32_zeros(self.values.len());
        self.backend.set(self.values, self.backend.slice_mut(&mut buffer));
        buffer
    }

    /// Returns numbers in the activations' format.
    fn put(&self, values: &[f32]) -> B::Buffer {
        let b = self.backend;
        let mut wide = b.f32_zeros(values.len());
        b.set(values, b.slice_mut(&mut wide));
        b.channels_last(b.slice(&wide), values.len(), 1)
    }

    fn random(&self, seed: u64, n: usize) -> B::Buffer {
        self.put(&random(&mut { seed }, n))
    }

    fn input_len(&self) -> usize {
        SAMPLES * self.network.input().iter().product::<usize>()
    }

    fn get(&self, buffers: &[&B::Buffer]) -> Vec<Vec<f32>> {
        buffers.iter().map(|buffer| self.backend.get(self.backend.slice(buffer))).collect()
    }
}

/// Returns the outputs of a network, and the gradients of its input and parameters.
fn gradients<B: StepBackend>(case: &Case<'_, B>) -> Vec<Vec<f32>> {
    let Case { backend: b, network, values } = case;
    let theta = case.parameters();
    let mut cx = case.context();
    let x = case.random(3, case.input_len());
    let y = network.forward(x, SAMPLES, b.slice(&theta), &mut cx).unwrap();
    let mut gradient = b.f32_zeros(values.len());
    let g = case.random(9, SAMPLES);
    let dx = network.backward(cx, SAMPLES, b.slice(&theta), g, Some(b.slice_mut(&mut gradient))).unwrap();
    b.join();
    case.get(&[&y, &dx, &gradient])
}

/// Returns a network's derivative in a direction, and the parameters' gradient of a sum of it.
fn derivative<B: StepBackend>(case: &Case<'_, B>) -> Vec<Vec<f32>> {
    let Case { backend: b, network, values } = case;
    assert!(network.has_jvp());
    let theta = case.parameters();
    let both = case.random(3, 2 * case.input_len());
    let (t, cx) = network.jvp_forward(both, SAMPLES, b.slice(&theta), case.context()).unwrap();
    let mut gradient = b.f32_zeros(values.len());
    let g = case.random(9, SAMPLES);
    network.jvp_backward(cx, SAMPLES, b.slice(&theta), g, b.slice_mut(&mut gradient));
    b.join();
    case.get(&[&t, &gradient])
}

/// Returns the input's gradient of a network that is linear around each sample, and the parameters' gradient of the outputs' weighted sum and
/// of the derivatives in some directions.
fn linearized<B: StepBackend>(case: &Case<'_, B>) -> Vec<Vec<f32>> {
    let Case { backend: b, network, values } = case;
    assert!(network.linearizes());
    let theta = case.parameters();
    let mut results = vec![];
    for has_output in [false, true] {
        let mut cx = case.context();
        let x = case.random(3, case.input_len());
        network.forward(x, SAMPLES, b.slice(&theta), &mut cx).unwrap();
        let ones = case.put(&[1.0; SAMPLES]);
        let dx = network.adjoints(&mut cx, SAMPLES, b.slice(&theta), ones).unwrap();
        let directions = case.random(5, case.input_len());
        let weights = case.random(9, SAMPLES);
        let mut gradient = b.f32_zeros(values.len());
        let of_output = has_output.then_some(&weights);
        let to = b.slice_mut(&mut gradient);
        network.linear_grads(cx, SAMPLES, b.slice(&theta), directions, of_output, to).unwrap();
        b.join();
        results.extend(case.get(&[&dx, &gradient]));
    }
    results
}

/// Compares what `run` returns on the doubles, in f32 and bf16, with the CPU's.
macro_rules! compare {
    ($run:ident, $side:expr, $net:expr, $f32:expr, $bf16:expr) => {
        let Some(cuda) = common::device(Products::F32) else { return };
        let net = $net;
        let expected = $run(&Case::new(&Cpu, $side, &net));
        for (products, most) in [(Products::F32, $f32), (Products::Bf16, $bf16)] {
            for beside in [false, true] {
                let cuda = cuda.with_products(products).with_weights_beside(beside);
                let found = $run(&Case::new(&cuda, $side, &net));
                let error = distance(&found, &expected);
                println!("{products:?}: {error:e}");
                assert!(error < most, "{products:?}: {error:e}");
                // The same bits when repeated.
                assert_eq!(found, $run(&Case::new(&cuda, $side, &net)));
            }
        }
    };
}

#[test]
fn gradients_equal_the_cpus() {
    compare!(gradients, 8, conditional(3), 1e-4, 0.1);
}

#[test]
fn gradients_of_all_layers_equal_the_cpus() {
    compare!(gradients, 8, everything(Some(3)), 1e-4, 0.15);
}

#[test]
fn directional_derivatives_equal_the_cpus() {
    compare!(derivative, 8, conditional(3), 1e-4, 0.15);
}

#[test]
fn directional_derivatives_of_a_dcgan_equal_the_cpus() {
    compare!(derivative, 16, dcgan(8, 2), 1e-4, 0.15);
}

#[test]
fn directional_derivatives_of_all_layers_equal_the_cpus() {
    compare!(derivative, 8, everything(Some(3)), 1e-4, 0.15);
}

#[test]
fn passes_of_all_layers_can_be_captured() {
    let Some(cuda) = common::device(Products::Tf32) else { return };
    let net = everything(None);
    for products in [Products::Tf32, Products::Bf16] {
        let cuda = &cuda.with_products(products);
        let case = Case::new(cuda, 8, &net);
        let theta = case.parameters();
        let x = Arc::new(case.random(3, case.input_len()));
        let both = case.random(4, 2 * case.input_len());
        let g = case.random(9, SAMPLES);
        let mut gradients = [cuda.f32_zeros(net.values.len()), cuda.f32_zeros(net.values.len())];
        let mut run = || {
            let Case { network, .. } = &case;
            let theta = cuda.slice(&theta);
            let [first, second] = gradients.each_mut().map(|to| cuda.slice_mut(to));
            let mut cx = case.context();
            network.forward(Arc::clone(&x), SAMPLES, theta, &mut cx).unwrap();
            network.backward(cx, SAMPLES, theta, cuda.copy(cuda.slice(&g)), Some(first));
            let both = cuda.copy(cuda.slice(&both));
            let (_, cx) = network.jvp_forward(both, SAMPLES, theta, case.context()).unwrap();
            network.jvp_backward(cx, SAMPLES, theta, cuda.copy(cuda.slice(&g)), second);
        };
        run();
        run();
        let (_, requests) = cuda.allocated();
        let (graph, ()) = cuda.capture(&mut run);
        assert_eq!(cuda.allocated().1, requests, "a captured pass requested memory");
        let [first, second] = &gradients;
        let expected = case.get(&[first, second]);
        gradients.each_mut().into_iter().for_each(|to| cuda.set(&vec![0.0; net.values.len()], cuda.slice_mut(to)));
        graph.launch();
        let [first, second] = &gradients;
        assert_eq!(case.get(&[first, second]), expected, "{products:?}");
    }
}

#[test]
fn linearized_passes_equal_the_cpus() {
    compare!(linearized, 8, piecewise_linear(3), 1e-4, 0.1);
}
