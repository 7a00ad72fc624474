//! Safe functions return an error if tensors do not have the required lengths, and never read outside of them.

use candle_core::{Device, Result, Tensor, Var};
use gan_kernels::fused::{
    Activation, BatchNorm, Conv, Dropout, FusedLayer, FusedSequential, Layout, Resample, Reshape, Reuse, Run,
    Statistics, Weights,
};
use gan_kernels::ops::{conv_transpose2d, conv2d, upsample_nearest2d, zero_pad2d};
use gan_kernels::update::{self, Average, Epsilon, Step};
use gan_kernels::{ConvSpec, Padding, Precision};
use std::sync::Arc;

const WEIGHTS: usize = 33 * 2 * 9;
/// Number of parameters: kernel and bias of a convolution, scale and shift of a batch norm.
const PARAMETERS: usize = WEIGHTS + 3 * 33;

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap()
}

fn conv(outputs: usize, kernel: usize, weight: usize) -> FusedLayer {
    let weights = Weights { weight, bias: None };
    FusedLayer::Conv(Conv {
        weights,
        groups: 1,
        outputs,
        kernel: [kernel; 2],
        spec: ConvSpec::square(1, 1),
        transposed: None,
    })
}

fn planned(input: &[usize], layers: Vec<FusedLayer>) -> Result<Arc<FusedSequential>> {
    FusedSequential::new(input, layers, Precision::F32, Reuse::Never).map(Arc::new)
}

/// Returns a network of a convolution with bias, a batch norm with activation, and dropout.
fn network() -> Arc<FusedSequential> {
    let weights = Weights { weight: 0, bias: Some(WEIGHTS) };
    let layers = vec![
        FusedLayer::Conv(Conv {
            weights,
            groups: 1,
            outputs: 33,
            kernel: [3, 3],
            spec: ConvSpec::square(1, 1),
            transposed: None,
        }),
        FusedLayer::BatchNorm(BatchNorm { scale: WEIGHTS + 33, shift: WEIGHTS + 66, eps: 1e-5 }),
        FusedLayer::Activation(Activation::LeakyRelu(0.2)),
        FusedLayer::Dropout(Dropout(0.5)),
    ];
    planned(&[2, 5, 5], layers).unwrap()
}

fn run<'a>(statistics: Statistics<'a>, noise: &[&[usize]]) -> Run<'a> {
    let noise = noise.iter().map(|shape| zeros(shape)).collect();
    Run { statistics, noise, classes: None, from: Layout::ChannelsFirst, to: Layout::ChannelsFirst }
}

#[test]
fn given_statistics_must_be_those_of_each_norm() {
    let network = network();
    let (x, theta) = (zeros(&[3, 2, 5, 5]), zeros(&[PARAMETERS]));
    let given = |sides: &[[usize; 2]]| {
        let all: Vec<[Tensor; 2]> =
            sides.iter().map(|[mean, variance]| [zeros(&[*mean]), zeros(&[*variance])]).collect();
        network.apply(&x, &theta, run(Statistics::Given(&all), &[])).map(|_| ()).map_err(|e| e.to_string())
    };
    given(&[[33, 33]]).unwrap();
    for sides in [&[[1, 1]][..], &[[32, 33]], &[[33, 32]], &[[33, 34]], &[[0, 0]]] {
        let error = given(sides).unwrap_err();
        assert!(error.contains("a batch norm of 33 channels was given a mean"), "{error}");
    }
    for sides in [&[][..], &[[33, 33], [33, 33]]] {
        let error = given(sides).unwrap_err();
        assert!(error.contains("batch norms were given, this network has 1"), "{error}");
    }
    let two_sided = [[zeros(&[11, 3]), zeros(&[33])]];
    assert!(network.apply(&x, &theta, run(Statistics::Given(&two_sided), &[])).is_err());
}

#[test]
fn parameters_and_noise_must_have_the_lengths_that_the_network_reads() {
    let network = network();
    let x = zeros(&[3, 2, 5, 5]);
    let apply = |parameters: &[usize], noise: &[&[usize]]| {
        network
            .apply(&x, &zeros(parameters), run(Statistics::Batch(&None), noise))
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let noise: &[&[usize]] = &[&[3, 5, 5, 33]];
    apply(&[PARAMETERS], noise).unwrap();
    for parameters in [&[0][..], &[PARAMETERS - 1], &[1, PARAMETERS]] {
        let error = apply(parameters, noise).unwrap_err();
        assert!(error.contains("this network needs parameters [693]"), "{error}");
    }
    for noise in [&[][..], &[&[3, 5, 5, 32][..]], &[&[2, 5, 5, 33]], &[&[3, 5, 5, 33], &[3, 5, 5, 33]]] {
        assert!(apply(&[PARAMETERS], noise).unwrap_err().contains("random numbers"));
    }
    for x in [&[3, 2, 5, 4][..], &[3, 3, 5, 5], &[3, 50], &[2, 5, 5]] {
        let run = run(Statistics::Batch(&None), noise);
        assert!(network.apply(&zeros(x), &zeros(&[PARAMETERS]), run).is_err(), "{x:?}");
    }
}

#[test]
fn a_derivative_needs_its_parameters_and_a_direction_of_the_samples_shape() {
    let network = planned(&[2, 5, 5], vec![conv(33, 3, 0)]).unwrap();
    let x = zeros(&[3, 2, 5, 5]);
    network.jvp(&x, &x, &zeros(&[WEIGHTS]), &vec![], None).unwrap();
    assert!(network.jvp(&x, &x, &zeros(&[WEIGHTS - 1]), &vec![], None).is_err());
    assert!(network.jvp(&x, &zeros(&[2, 2, 5, 5]), &zeros(&[WEIGHTS]), &vec![], None).is_err());
}

#[test]
fn networks_with_empty_or_oversized_outputs_are_refused() {
    let half = usize::MAX / 2;
    for layers in [
        vec![conv(0, 3, 0)],
        vec![conv(3, 0, 0)],
        vec![conv(usize::MAX, 3, 0)],
        vec![conv(3, 3, usize::MAX)],
        vec![conv(3, half, 0)],
        vec![FusedLayer::BatchNorm(BatchNorm { scale: usize::MAX, shift: 0, eps: 1e-5 })],
        vec![FusedLayer::Resample(Resample::Upsample([0, 1]))],
        vec![FusedLayer::Resample(Resample::Upsample([half, 3]))],
        vec![
            FusedLayer::Resample(Resample::Upsample([1 << 30, 1 << 30])),
            FusedLayer::Resample(Resample::Upsample([1 << 30, 1 << 30])),
        ],
        vec![
            FusedLayer::Resample(Resample::ZeroPad(Padding::all(half))),
            FusedLayer::Resample(Resample::ZeroPad(Padding::all(half))),
        ],
        vec![FusedLayer::Resample(Resample::AvgPool([0, 1]))],
        vec![FusedLayer::Reshape(Reshape(vec![half, 4, half]))],
        vec![FusedLayer::Reshape(Reshape(vec![]))],
    ] {
        assert!(planned(&[2, 5, 5], layers.clone()).is_err(), "{layers:?}");
    }
    for input in [&[0][..], &[2, 0, 5], &[half, half, 4], &[2, 5]] {
        assert!(planned(input, vec![]).is_err(), "{input:?}");
    }
}

#[test]
fn convolutions_beyond_any_memory_are_refused() {
    let (x, w) = (zeros(&[1, 2, 5, 5]), zeros(&[2, 2, 3, 3]));
    for padding in [1 << 40, 1 << 60, usize::MAX / 2, usize::MAX] {
        let spec = ConvSpec { padding: Padding::all(padding), ..ConvSpec::default() };
        assert!(conv2d(&x, &w, None, &spec).is_err(), "{padding}");
        assert!(zero_pad2d(&x, Padding::all(padding)).is_err(), "{padding}");
        assert!(upsample_nearest2d(&x, [padding; 2]).is_err(), "{padding}");
        let spec = ConvSpec { stride: [padding; 2], ..ConvSpec::default() };
        assert!(conv_transpose2d(&x, &w, None, &spec, [0, 0]).is_err(), "{padding}");
    }
    assert!(conv2d(&x, &zeros(&[2, 3, 3, 3]), None, &ConvSpec::default()).is_err());
    assert!(conv2d(&x, &w, Some(&zeros(&[3])), &ConvSpec::default()).is_err());
}

#[test]
fn optimizer_states_must_match_their_variable() -> Result<()> {
    let (var, other) = (Var::zeros(5, candle_core::DType::F32, &Device::Cpu)?, Var::from_tensor(&zeros(&[4]))?);
    let (own, foreign) = (Average::zeros_like(&var)?, Average::zeros_like(&other)?);
    let numbers = Step {
        first_decay: Some(0.9),
        second_decay: 0.9,
        scale: 0.1,
        root_scale: 1.0,
        epsilon: 1e-8,
        placement: Epsilon::OutsideRoot,
    };
    let gradient = zeros(&[5]);
    assert!(update::step(&var, &gradient, None, &foreign, numbers).is_err());
    assert!(update::step(&var, &gradient, Some(&foreign), &own, numbers).is_err());
    assert!(update::step(&var, &gradient, Some(&own), &own, numbers).is_err());
    assert!(update::step(&var, &zeros(&[4]), None, &own, numbers).is_err());
    assert!(foreign.follow(&var, 0.5).is_err());
    assert!(own.set(usize::MAX, &gradient).is_err() && own.set(1, &gradient).is_err());
    update::step(&var, &gradient, None, &own, numbers)
}
