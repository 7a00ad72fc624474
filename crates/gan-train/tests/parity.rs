//! Compares ten training steps with PyTorch and Keras, from the same weights, noise and MNIST images.
//!
//! The fixtures contain only results; both sides compute the initial weights and the noise from one integer formula
//! (tests/fixtures/README.md). Each fixture also records how much the framework's own results change if the initial weights change by
//! a relative 1e-7. No tolerance can be smaller than that.

#![allow(clippy::print_stdout, reason = "the figures, seen with --nocapture")]

use candle_core::Tensor;
use gan_base::Rng;
use gan_core::{ForwardContext, LayeredDiscriminator, LayeredGenerator, Param};
use gan_data::{DatasetSpec, LastBatch, Loader, Mnist, OpenOptions, Order, Sampler, Sampling};
use gan_kernels::Precision;
use gan_kernels::testing::test_device;
use gan_train::{Plan, Trainer, layering, presets};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Returns number `i` of `stream`, in [−1, 1): the upper 24 bits of SplitMix64's mix.
fn value(stream: u64, i: u64) -> f32 {
    let x = i.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((stream + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let x = x ^ (x >> 31);
    (x >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}

fn values(stream: u64, shape: &[usize], map: impl Fn(f32) -> f32) -> Tensor {
    let n: usize = shape.iter().product();
    let all: Vec<f32> = (0..n as u64).map(|i| map(value(stream, i))).collect();
    Tensor::from_vec(all, shape, test_device()).unwrap()
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/fixtures/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Sets the trained parameters to the fixture's initial values; running averages keep theirs.
fn start_from(own: &[Param], records: &Value) {
    let mut tensors: BTreeMap<String, Tensor> = Param::tensors(own).unwrap();
    for record in records.as_array().unwrap() {
        let Some(initial) = record.get("initial") else { continue };
        let (scale, stream) = (initial["scale"].as_f64().unwrap() as f32, initial["stream"].as_u64().unwrap());
        let name = record["name"].as_str().unwrap().to_string();
        let shape = tensors[&name].dims().to_vec();
        let offset = if initial["kind"] == "bn_weight" { 1.0 } else { 0.0 };
        tensors.insert(name, values(stream, &shape, |v| offset + scale * v));
    }
    Param::load(own, &tensors, Path::new("fixture")).unwrap();
}

fn plan(preset: &str) -> Plan {
    let mut table = layering::from_preset(presets::get(preset).unwrap()).unwrap();
    layering::set(&mut table, "train.batch=64").unwrap();
    layering::read(table).unwrap().check().unwrap()
}

/// Returns a trainer of `preset` that starts from the fixture's weights and reads MNIST in file order.
fn trainer(preset: &str, precision: Precision, fixture: &Value) -> Trainer {
    let plan = plan(preset);
    let (device, rng) = (test_device(), &mut Rng::new(0));
    let (g, d) = (plan.generator.clone(), plan.discriminator.clone());
    let g = LayeredGenerator::new(&plan.config().latent, &g.input, &g.layers, g.init, rng, device).unwrap();
    let g = g.with_precision(precision).unwrap();
    let d = LayeredDiscriminator::new(&d.input, &d.layers, d.init, rng, device).unwrap();
    let d = d.with_precision(precision).unwrap();
    start_from(g.network().params(), &fixture["generator"]);
    start_from(d.network().params(), &fixture["discriminator"]);
    let mnist = Mnist::default().open(&OpenOptions::default()).unwrap();
    let sampling = Sampling { len: 60_000, batch: 64, seed: 0, order: Order::Sequential, last: LastBatch::Keep };
    let loader = Loader::new(mnist, Sampler::new(sampling).unwrap(), 0).unwrap();
    Trainer::with_networks(plan, Box::new(g), Box::new(d), loader, device).unwrap()
}

/// Returns the tolerance of losses in multiples of the fixture's perturbation, because this project's convolutions round more than a
/// perturbation of 1e-7. A relative difference of 1e-4 is always allowed.
fn roundings(precision: Precision) -> f64 {
    if precision == Precision::F32 { 20.0 } else { 8.0 }
}

/// Compares the losses and mean probabilities of one step.
fn check_losses(step: usize, roundings: f64, ours: &[(&str, Option<f64>)], expected: &Value) {
    for (name, ours) in ours {
        let (ours, theirs) = (ours.unwrap(), expected[*name].as_f64().unwrap());
        let difference = (ours - theirs).abs() / theirs.abs();
        // The tolerance cannot be smaller than the effect of the framework's own rounding.
        let rounding = expected["perturbation"][*name].as_f64().unwrap_or(0.0) / theirs.abs();
        println!("step {step} {name}: {ours:.7} against {theirs:.7}, relative {difference:.1e}");
        assert!(difference <= f64::max(1e-4, roundings * rounding), "step {step}, {name}: {ours} against {theirs}");
    }
}

/// Compares every parameter and running average after the steps: each value to 1e-3 (variances to a relative 2e-4), and the root mean
/// square to a small fraction of the change that training made.
fn check_weights(precision: Precision, own: &[Param], records: &Value) {
    let share = if precision == Precision::F32 { 0.15 } else { 0.1 };
    let tensors = Param::tensors(own).unwrap();
    let records = records.as_array().unwrap();
    assert_eq!(records.len(), tensors.len());
    for record in records {
        let name = record["name"].as_str().unwrap();
        let ours: Vec<f32> = tensors[name].flatten_all().unwrap().to_vec1().unwrap();
        let every = record["every"].as_u64().unwrap() as usize;
        let sampled = ours.iter().step_by(every).map(|v| f64::from(*v));
        let theirs = record["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
        let differences: Vec<f64> = sampled.zip(theirs).map(|(a, b)| (a - b).abs()).collect();
        let largest = differences.iter().copied().fold(0.0, f64::max);
        let rms = (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt();
        let moved = record.get("moved_rms").and_then(Value::as_f64);
        let size = record["norm"].as_f64().unwrap() / (ours.len() as f64).sqrt();
        println!("{name}: largest {largest:.1e}, rms {rms:.1e}, moved {moved:?}");
        // A variance that is divided by the wrong count has a relative error of 3e-4.
        let tolerance = if name.ends_with("running_var") { 2e-4 * size } else { 1e-3 };
        assert!(largest < tolerance, "{name}: off by {largest:e}");
        if let Some(moved) = moved
            && record.get("ill_conditioned").is_none()
        {
            assert!(rms < share * moved, "{name}: rms difference {rms:e} of a movement of {moved:e}");
        }
    }
}

fn check_images(trainer: &Trainer, expected: &Value) {
    let z = values(expected["stream"].as_u64().unwrap(), &[4, 100], |v| 1.7 * v);
    let images = trainer.generator().forward(&z, &mut ForwardContext::eval()).unwrap();
    let ours: Vec<f32> = images.flatten_all().unwrap().to_vec1().unwrap();
    let every = expected["every"].as_u64().unwrap() as usize;
    let theirs = expected["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
    let largest = ours.iter().step_by(every).zip(theirs).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    println!("images: largest difference {largest:.1e}");
    assert!(largest < 5e-3, "images differ by {largest:e}");
}

fn noise(draw: u64) -> Tensor {
    values(1000 + draw, &[64, 100], |v| 1.7 * v)
}

#[test]
fn dcgan_mnist_trains_as_in_pytorch() {
    [Precision::F32Accurate, Precision::F32].into_iter().for_each(dcgan_mnist);
}

#[test]
fn keras_mnist_trains_as_in_keras() {
    [Precision::F32Accurate, Precision::F32].into_iter().for_each(keras_mnist);
}

fn dcgan_mnist(precision: Precision) {
    let fixture = fixture("dcgan_mnist");
    let mut trainer = trainer("dcgan-mnist", precision, &fixture);
    for (step, expected) in fixture["steps"].as_array().unwrap().iter().enumerate() {
        trainer.queue_latents(noise(2 * step as u64));
        let r = trainer.advance().unwrap();
        let ours = [
            ("loss_d", r.loss_d),
            ("loss_g", r.loss_g),
            ("d_real", r.d_real),
            ("d_fake_before", r.d_fake_before),
            ("d_fake_after", r.d_fake_after),
        ];
        check_losses(step, roundings(precision), &ours, expected);
    }
    check_weights(precision, &trainer.generator().params(), &fixture["generator"]);
    check_weights(precision, &trainer.discriminator().params(), &fixture["discriminator"]);
    check_images(&trainer, &fixture["images"]);
}

fn keras_mnist(precision: Precision) {
    let fixture = fixture("keras_mnist");
    let mut trainer = trainer("keras-mnist", precision, &fixture);
    for (step, expected) in fixture["steps"].as_array().unwrap().iter().enumerate() {
        trainer.queue_latents(noise(2 * step as u64));
        trainer.queue_latents(noise(2 * step as u64 + 1));
        let r = trainer.advance().unwrap();
        check_losses(step, roundings(precision), &[("loss_d", r.loss_d), ("loss_g", r.loss_g)], expected);
    }
    check_weights(precision, &trainer.generator().params(), &fixture["generator"]);
    check_weights(precision, &trainer.discriminator().params(), &fixture["discriminator"]);
    check_images(&trainer, &fixture["images"]);
}
