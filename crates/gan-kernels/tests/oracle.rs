//! Compares every function with its reference in plain loops, over random shapes.

mod common;

use candle_core::{DType, Device, Result, Tensor};
use common::{largest_difference, made, plain_loops, samples_within_reach, values, within_reach};
use gan_kernels::fused::{BatchNorm, FusedLayer, FusedSequential, Layout, Reuse, Run, Statistics};
use gan_kernels::testing::test_device;
use gan_kernels::{BatchStatistics, ConvSpec, Padding, Precision};
use proptest::prelude::*;
use std::sync::Arc;

fn spec() -> impl Strategy<Value = ConvSpec> {
    (1..4usize, 1..4usize, 0..3usize, 0..3usize, 0..3usize, 0..3usize, 1..3usize, 1..3usize).prop_map(
        |(sy, sx, top, bottom, left, right, dy, dx)| {
            within_reach(ConvSpec {
                stride: [sy, sx],
                padding: Padding { top, bottom, left, right },
                dilation: [dy, dx],
                ..ConvSpec::default()
            })
        },
    )
}

fn scaled_difference(ours: &Tensor, reference: &[f64]) -> f64 {
    let scale = reference.iter().fold(1e-9f64, |m, x| m.max(x.abs()));
    largest_difference(&values(ours), reference) / scale
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conv2d_equals_the_loops(spec in spec(), n in (0..4usize).prop_map(samples_within_reach), c in 1..4usize, o in 1..5usize, h in 1..10usize, w in 1..10usize, kh in 1..6usize, kw in 1..6usize) {
        let (x, k) = (made(&[n, c, h, w], 1), made(&[o, c, kh, kw], 2));
        if spec.output_size([h, w], [kh, kw]).is_err() {
            prop_assert!(gan_kernels::ops::conv2d(&x, &k, None, &spec).is_err());
            return Ok(());
        }
        let (y, shape) = plain_loops::conv2d(&values(&x), [n, c, h, w], &values(&k), [o, c, kh, kw], &spec);
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let (x, k) = (x.to_dtype(dtype).unwrap(), k.to_dtype(dtype).unwrap());
            let ours = gan_kernels::ops::conv2d(&x, &k, None, &spec).unwrap();
            prop_assert_eq!(ours.dims(), &shape);
            prop_assert!(scaled_difference(&ours, &y) < tolerance);
        }
    }

    #[test]
    fn convolutions_with_few_channels_on_one_side_equal_the_loops(n in 1..4usize, c in 2..9usize, o in 1..5usize, h in 4..9usize, w in 4..9usize, k in 1..5usize, d in 1..3usize, before in 0..5usize, after in 0..5usize) {
        let padding = Padding { top: before, bottom: after, left: after, right: before };
        let spec = ConvSpec { padding, dilation: [d, d], ..ConvSpec::default() };
        let (x, kernel) = (made(&[n, c, h, w], 1), made(&[o, c, k, k], 2));
        if spec.output_size([h, w], [k, k]).is_err() {
            return Ok(());
        }
        let (y, _) = plain_loops::conv2d(&values(&x), [n, c, h, w], &values(&kernel), [o, c, k, k], &spec);
        prop_assert!(scaled_difference(&gan_kernels::ops::conv2d(&x, &kernel, None, &spec).unwrap(), &y) < 1e-12);
    }

    #[test]
    fn conv_transpose2d_equals_the_loops(spec in spec(), n in (0..4usize).prop_map(samples_within_reach), i in 1..4usize, o in 1..5usize, h in 1..7usize, w in 1..7usize, kh in 1..6usize, kw in 1..6usize, extra in 0..3usize) {
        let (y, k) = (made(&[n, i, h, w], 3), made(&[i, o, kh, kw], 4));
        let output_padding = spec.stride.map(|s| extra.min(s - 1));
        let Ok(size) = spec.transposed_size([h, w], [kh, kw], output_padding) else { return Ok(()) };
        let expected = plain_loops::conv_transpose2d(&values(&y), [n, i, h, w], &values(&k), [i, o, kh, kw], &spec, size);
        for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let (y, k) = (y.to_dtype(dtype).unwrap(), k.to_dtype(dtype).unwrap());
            let ours = gan_kernels::ops::conv_transpose2d(&y, &k, None, &spec, output_padding).unwrap();
            prop_assert_eq!(ours.dims(), &[n, o, size[0], size[1]]);
            prop_assert!(scaled_difference(&ours, &expected) < tolerance);
        }
    }

    #[test]
    fn batch_norm_equals_the_loops(n in 2..5usize, c in 1..4usize, h in 1..5usize, w in 1..5usize) {
        let (x, gamma, beta) = (made(&[n, c, h, w], 5), made(&[c], 6), made(&[c], 7));
        let (y, mean, variance) =
            plain_loops::batch_norm(&values(&x), [n, c, h * w], &values(&gamma), &values(&beta), 1e-3);
        let (ours, statistics) = batch_norm(&x, &gamma, &beta, Statistics::Batch(&None)).unwrap();
        prop_assert!(scaled_difference(&ours, &y) < 1e-5);
        prop_assert!(scaled_difference(&statistics[0].mean, &mean) < 1e-5);
        prop_assert!(scaled_difference(&statistics[0].variance, &variance) < 1e-5);
        prop_assert_eq!(statistics[0].count, n * h * w);
        let given = [[statistics[0].mean.clone(), statistics[0].variance.clone()]];
        let (again, _) = batch_norm(&x, &gamma, &beta, Statistics::Given(&given)).unwrap();
        prop_assert!(scaled_difference(&again, &y) < 1e-5);
    }

    #[test]
    fn resampling_and_pooling_equal_the_loops(n in 1..3usize, c in 1..3usize, h in 1..7usize, w in 1..7usize, a in 1..4usize, b in 1..4usize) {
        let x = made(&[n, c, h, w], 8);
        let up = gan_kernels::ops::upsample_nearest2d(&x, [a, b]).unwrap();
        prop_assert_eq!(up.dims(), &[n, c, h * a, w * b]);
        prop_assert_eq!(values(&up), plain_loops::upsample_nearest2d(&values(&x), [n * c, h, w], [a, b]));
        let largest = gan_kernels::ops::global_max_pool2d(&x).unwrap();
        prop_assert_eq!(values(&largest), plain_loops::global_max_pool2d(&values(&x), h * w));
        let mean = gan_kernels::ops::global_avg_pool2d(&x).unwrap();
        let expected = plain_loops::avg_pool2d(&values(&x), [n * c, h, w], [h, w]);
        prop_assert!(largest_difference(&values(&mean), &expected) < 1e-12);
        if a <= h && b <= w {
            let mean = gan_kernels::ops::avg_pool2d(&x, [a, b]).unwrap();
            let expected = plain_loops::avg_pool2d(&values(&x), [n * c, h, w], [a, b]);
            prop_assert!(largest_difference(&values(&mean), &expected) < 1e-12);
        }
    }
}

#[test]
fn bias_is_added_to_every_pixel_of_its_channel() -> Result<()> {
    let (x, k, bias) = (made(&[2, 3, 5, 5], 1), made(&[4, 3, 3, 3], 2), made(&[4], 3));
    let spec = ConvSpec::square(1, 1);
    let plain = gan_kernels::ops::conv2d(&x, &k, None, &spec)?;
    let with_bias = gan_kernels::ops::conv2d(&x, &k, Some(&bias), &spec)?;
    let b = values(&bias);
    let expected: Vec<f64> = values(&plain).iter().enumerate().map(|(i, v)| v + b[i / 25 % 4]).collect();
    assert!(largest_difference(&values(&with_bias), &expected) < 1e-14);
    Ok(())
}

#[test]
fn views_that_are_not_contiguous_are_read_correctly() -> Result<()> {
    let (x, k) = (made(&[5, 5, 3, 2], 1), made(&[4, 3, 3, 3], 2));
    let view = x.permute((3, 2, 0, 1))?;
    let spec = ConvSpec::square(2, 1);
    let ours = gan_kernels::ops::conv2d(&view, &k, None, &spec)?;
    let copied = gan_kernels::ops::conv2d(&view.contiguous()?, &k, None, &spec)?;
    assert_eq!(values(&ours), values(&copied));
    let small = gan_kernels::ops::leaky_relu(&view, 0.1)?;
    assert_eq!(values(&small), values(&gan_kernels::ops::leaky_relu(&view.contiguous()?, 0.1)?));
    Ok(())
}

#[test]
fn linear_equals_the_definition() -> Result<()> {
    let (x, w, b) = (made(&[3, 4], 1), made(&[2, 4], 2), made(&[2], 3));
    let expected = x.matmul(&w.t()?)?.broadcast_add(&b)?;
    assert!(largest_difference(&values(&gan_kernels::ops::linear(&x, &w, Some(&b))?), &values(&expected)) < 1e-14);
    assert!(gan_kernels::ops::linear(&x, &made(&[2, 5], 2), None).is_err());
    Ok(())
}

#[test]
fn softplus_and_sigmoid_are_finite_for_any_logit() -> Result<()> {
    let x = Tensor::new(&[-1e30f32, -200.0, -17.0, 0.0, 17.0, 200.0, 1e30], test_device())?;
    let y: Vec<f32> = gan_kernels::ops::softplus(&x)?.to_vec1()?;
    let close = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-6 * b.abs();
    assert_eq!((y[0], y[1]), (0.0, 0.0));
    assert!(close(y[2], 4.139_937_631_1e-8) && close(y[3], std::f64::consts::LN_2) && close(y[4], 17.000_000_041));
    assert_eq!((y[5], y[6]), (200.0, 1e30));
    let s: Vec<f32> = gan_kernels::ops::sigmoid(&x)?.to_vec1()?;
    assert_eq!((s[0], s[3], s[6]), (0.0, 0.5, 1.0));
    let nan = gan_kernels::ops::softplus(&Tensor::new(&[f32::NAN], test_device())?)?;
    assert!(nan.to_vec1::<f32>()?[0].is_nan());
    Ok(())
}

#[test]
fn dropout_is_decided_by_the_given_numbers() -> Result<()> {
    let device = test_device();
    let x = Tensor::new(&[1f32, 2.0, 3.0, 4.0], device)?;
    let numbers = Tensor::new(&[0.1f32, 0.25, 0.9, 0.2], device)?;
    let y: Vec<f32> = gan_kernels::ops::dropout(&x, &numbers, 0.25)?.to_vec1()?;
    let kept = |v: f32| v / 0.75;
    assert!(y.iter().zip([0.0, kept(2.0), kept(3.0), 0.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{y:?}");
    assert!(gan_kernels::ops::dropout(&x, &numbers, 1.0).is_err());
    Ok(())
}

#[test]
fn batch_norm_refuses_a_single_number() {
    let one = made(&[1, 3, 1, 1], 1);
    let error = batch_norm(&one, &made(&[3], 2), &made(&[3], 3), Statistics::Batch(&None)).unwrap_err();
    assert!(error.to_string().contains("larger batch"));
}

/// Normalizes x with the fused engine and ε = 1e-3.
fn batch_norm(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    statistics: Statistics,
) -> Result<(Tensor, Vec<BatchStatistics>)> {
    let channels = gamma.elem_count();
    let norm = FusedLayer::BatchNorm(BatchNorm { scale: 0, shift: channels, eps: 1e-3 });
    let network = FusedSequential::new(&x.dims()[1..], vec![norm], Precision::F32, Reuse::Never)?;
    let single = |t: &Tensor| t.to_dtype(DType::F32)?.to_device(&Device::Cpu);
    let parameters = single(&Tensor::cat(&[gamma, beta], 0)?)?;
    let run = Run { statistics, noise: vec![], classes: None, from: Layout::ChannelsFirst, to: Layout::ChannelsFirst };
    Arc::new(network).apply(&single(x)?, &parameters, run)
}
