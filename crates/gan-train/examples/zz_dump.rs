//! Ten whole training steps against PyTorch and Keras, from the same weights, noise and MNIST images.
//!
//! The fixtures hold results only; both sides make the starting weights and the noise from one integer formula
//! (tests/fixtures/README.md). Each fixture also says how far its own framework moves when the starting weights move by
//! 1e-7: no comparison can be tighter than that.

use candle_core::{Device, Tensor};
use gan_core::{LayeredDiscriminator, LayeredGenerator, Param, Rng, params};
use gan_data::{LastBatch, Loader, Mnist, MnistOptions, Order, Sampler, Sampling};
use gan_train::{Plan, Trainer, layering, presets};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Number `i` of `stream`, in [−1, 1): SplitMix64's mix, the upper 24 bits.
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
    Tensor::from_vec(all, shape, &Device::Cpu).unwrap()
}

/// Sets the trained parameters to the fixture's starting values; running averages keep theirs.
fn start_from(own: &[Param], records: &Value) {
    let mut tensors: BTreeMap<String, Tensor> = params::named_tensors(own);
    for record in records.as_array().unwrap() {
        let Some(initial) = record.get("initial") else { continue };
        let (scale, stream) = (initial["scale"].as_f64().unwrap() as f32, initial["stream"].as_u64().unwrap());
        let name = record["name"].as_str().unwrap().to_string();
        let shape = tensors[&name].dims().to_vec();
        let offset = if initial["kind"] == "bn_weight" { 1.0 } else { 0.0 };
        tensors.insert(name, values(stream, &shape, |v| offset + scale * v));
    }
    params::load(own, &tensors, Path::new("fixture")).unwrap();
}

fn plan(preset: &str) -> Plan {
    let mut table = layering::from_preset(presets::get(preset).unwrap()).unwrap();
    layering::set(&mut table, &format!("train.batch={}", std::env::var("B").unwrap())).unwrap();
    layering::read(table).unwrap().check().unwrap()
}

/// A trainer of `preset` that starts where the fixture does and sees MNIST in the order of its files.
fn trainer(preset: &str, fixture: &Value) -> Trainer {
    let plan = plan(preset);
    let (device, rng) = (&Device::Cpu, &mut Rng::new(0));
    let (g, d) = (plan.generator.clone(), plan.discriminator.clone());
    let g = LayeredGenerator::new(&plan.config().latent, &g.input, &g.layers, g.init, rng, device).unwrap();
    let d = LayeredDiscriminator::new(&d.input, &d.layers, d.init, rng, device).unwrap();
    start_from(g.network().params(), &fixture["generator"]);
    start_from(d.network().params(), &fixture["discriminator"]);
    let mnist = Arc::new(Mnist::load(&MnistOptions::default()).unwrap());
    let sampling = Sampling {
        len: 60_000,
        batch: std::env::var("B").unwrap().parse().unwrap(),
        seed: 0,
        order: Order::Sequential,
        last: LastBatch::Keep,
    };
    let loader = Loader::new(mnist, Sampler::new(sampling).unwrap(), 0).unwrap();
    Trainer::with_networks(plan, Box::new(g), Box::new(d), loader, device).unwrap()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(&args[1]).unwrap()).unwrap();
    let b: usize = std::env::var("B").unwrap().parse().unwrap();
    let mut trainer = trainer("dcgan-mnist", &fixture);
    for step in 0..10u64 {
        let (base, s) = (fixture["noise"].as_u64().unwrap(), fixture["noise_scale"].as_f64().unwrap() as f32);
        trainer.queue_latents(values(base + 2 * step, &[b, 100], |v| s * v));
        let r = trainer.advance().unwrap();
        println!(
            "[{},{},{},{},{}]",
            r.loss_d.unwrap(),
            r.loss_g.unwrap(),
            r.d_real.unwrap(),
            r.d_fake_before.unwrap(),
            r.d_fake_after.unwrap()
        );
        if args.len() > 2 {
            gan_train::checkpoint::save(&trainer, Path::new(&args[2]), 20).unwrap();
        }
    }
}
