//! Shared by the tests: pseudorandom numbers and gradients by finite differences.
#![allow(dead_code)]

use candle_core::{DType, Result, Tensor, Var};
use gan_kernels::ConvSpec;
use gan_kernels::testing::test_device;

pub mod plain_loops;

/// Returns pseudorandom f64 numbers in [-1, 1).
pub fn made(shape: &[usize], seed: u64) -> Tensor {
    let n: usize = shape.iter().product();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let values: Vec<f64> = (0..n)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, test_device()).unwrap()
}

/// Restricts a convolution to what the tested device supports: candle's kernels for GPUs have one stride and one dilation for both sides.
pub fn within_reach(spec: ConvSpec) -> ConvSpec {
    let ([stride, _], [dilation, _]) = (spec.stride, spec.dilation);
    match test_device().is_cpu() {
        true => spec,
        false => ConvSpec { stride: [stride; 2], dilation: [dilation; 2], ..spec },
    }
}

/// Returns a number of samples that the tested device supports: candle has no empty tensors on CUDA.
pub fn samples_within_reach(n: usize) -> usize {
    if test_device().is_cpu() { n } else { n.max(1) }
}

pub fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Returns a scalar that weights every output differently, so that errors of gradients cannot cancel.
pub fn weigh(y: &Tensor) -> Result<Tensor> {
    (y * made(y.dims(), 99).to_dtype(y.dtype())?)?.sum_all()
}

/// Checks the gradients of `f` with respect to every input (f64) against central differences.
pub fn check_gradients(name: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars: Vec<Var> = inputs.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = f(&tensors).unwrap().backward().unwrap();
    for (i, var) in vars.iter().enumerate() {
        let ours = values(grads.get(var).unwrap_or_else(|| panic!("{name}: no gradient for input {i}")));
        let expected = differences(inputs, i, &f);
        let scale = expected.iter().fold(1.0f64, |m, x| m.max(x.abs()));
        let error = largest_difference(&ours, &expected) / scale;
        assert!(error < 1e-7, "{name}: gradient of input {i} is off by {error:e}");
    }
}

fn differences(inputs: &[Tensor], i: usize, f: &impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<f64> {
    let h = 1e-5;
    let base = values(&inputs[i]);
    let at = |k: usize, delta: f64| -> f64 {
        let mut moved = base.clone();
        moved[k] += delta;
        let mut args = inputs.to_vec();
        args[i] = Tensor::from_vec(moved, inputs[i].dims(), test_device()).unwrap();
        f(&args).unwrap().to_scalar::<f64>().unwrap()
    };
    (0..base.len()).map(|k| (at(k, h) - at(k, -h)) / (2.0 * h)).collect()
}
