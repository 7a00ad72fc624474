//! `train-judge`: trains the digit classifier that evaluates generated digits.
//!
//! It trains on all 60,000 training digits, randomly rotated, stretched and shifted each time, with cross-entropy, Adam, and a learning rate that
//! rises and falls. The 10,000 test digits are used once, at the end. The same seed gives the same file for any number of threads.

use crate::runs;
use anyhow::{Context, Result};
use candle_core::{D, Device, Tensor};
use gan_base::Rng;
use gan_core::layers::{BatchNorm, GlobalAvgPool, LeakyRelu};
use gan_core::weights::{Classifier, Resize};
use gan_core::weights::{FORMAT, to_bytes};
use gan_core::{ForwardContext, Init, Layer, Network};
use gan_data::{Dataset, DatasetSpec, LastBatch, Loader, Mnist, OpenOptions, Order, Sampler, Sampling, Split};
use gan_kernels::fused::Reuse;
use gan_train::optimizers::{Adam, Optimizer, Rates};
use std::path::PathBuf;
use std::sync::Arc;

const SIDE: usize = 28;
const BATCH: usize = 128;
const RATE: f64 = 3e-3;

/// Random changes of a digit, uniform between ± these.
const SHIFT: f32 = 2.0; // pixels
const ROTATION: f32 = 0.2; // radians
const STRETCH: f32 = 0.12; // of each side by itself
const SHEAR: f32 = 0.15;

/// Returns convolutions at three scales with a mean over all positions at the end, so that the 96 features hardly depend on positions. All
/// activations are leaky, because a feature that is 0 for most digits would not distinguish distributions well.
fn layers() -> Result<Vec<Layer>> {
    let mut layers = vec![];
    for conv in [
        r#"{"conv": 32, "kernel": 3, "padding": 1, "bias": false}"#,
        r#"{"conv": 48, "kernel": 4, "stride": 2, "padding": 1, "bias": false}"#,
        r#"{"conv": 64, "kernel": 3, "padding": 1, "bias": false}"#,
        r#"{"conv": 96, "kernel": 4, "stride": 2, "padding": 1, "bias": false}"#,
        r#"{"conv": 96, "kernel": 3, "padding": 1, "bias": false}"#,
    ] {
        layers.extend([serde_json::from_str(conv)?, BatchNorm::default().into(), LeakyRelu { leaky_relu: 0.1 }.into()]);
    }
    layers.extend([GlobalAvgPool.into(), serde_json::from_str(r#"{"dense": 10}"#)?]);
    Ok(layers)
}

/// Trains into `out`, or the shipped file.
pub fn run(out: Option<PathBuf>, epochs: u64, seed: u64) -> Result<()> {
    let out = std::path::absolute(
        out.unwrap_or_else(|| runs::root().join("crates/gan-metrics/src/embed/digits.safetensors")),
    )?;
    // The data are found from there.
    std::env::set_current_dir(runs::root())?;
    let network = network(seed)?;
    let data = Mnist::default().open(&OpenOptions::default())?;
    let classes = data.classes().to_vec();
    train(&network, data, epochs, seed)?;
    let accuracy = accuracy(&network)?;
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    let description = Classifier {
        format: FORMAT,
        network: "classifier".into(),
        input: network.input().to_vec(),
        layers: network.layers().to_vec(),
        features_before: None,
        resize: Resize::Bilinear,
        classes,
        data: "mnist".into(),
        accuracy,
        seed,
        library: env!("CARGO_PKG_VERSION").into(),
    };
    let bytes = to_bytes(network.params(), &description)?;
    gan_base::atomic::write(&out, &bytes)?;
    println!("{}: {} bytes, {} features", out.display(), bytes.len(), network.features()[0]);
    Ok(())
}

fn network(seed: u64) -> Result<Network> {
    let mut rng = Rng::stream(seed, "init");
    Ok(Network::new("classifier", &[1, SIDE, SIDE], &layers()?, Init::He, Reuse::Never, &mut rng, &Device::Cpu)?)
}

fn train(network: &Network, data: Arc<dyn Dataset>, epochs: u64, seed: u64) -> Result<()> {
    let sampling = Sampling { len: data.len(), batch: BATCH, seed, order: Order::Shuffled, last: LastBatch::Drop };
    let mut loader = Loader::new(data, Sampler::new(sampling)?, 1)?;
    let mut optimizer = Optimizer::new(Adam::new(RATE, [0.9, 0.999]), network.params())?;
    let per_epoch = loader.batches_per_epoch();
    // The network has no dropout.
    let mut unused = Rng::new(seed);
    let steps = epochs * per_epoch;
    let mut sum = 0.0;
    for step in 0..steps {
        let batch = loader.next_batch()?;
        let images = varied(&batch.images, &mut Rng::numbered(seed, "augment", step))?;
        let labels = batch.labels.context("training needs labels")?;
        let loss = cross_entropy(&network.forward(&images, &mut ForwardContext::train(&mut unused))?, &labels)?;
        optimizer.set_rates(Rates { lr_factor: schedule(step as f64 / steps as f64), ..Rates::default() });
        optimizer.step(&loss.backward()?)?;
        sum += f64::from(loss.to_scalar::<f32>()?);
        if (step + 1) % per_epoch == 0 {
            println!("epoch {}: loss {:.4}", (step + 1) / per_epoch, sum / per_epoch as f64);
            sum = 0.0;
        }
    }
    Ok(())
}

/// Returns the learning rate as a fraction of its maximum: it rises for a tenth of the steps, then falls along a cosine.
fn schedule(done: f64) -> f64 {
    const RISE: f64 = 0.1;
    let fall = ((done - RISE) / (1.0 - RISE)).max(0.0);
    (done / RISE).min(1.0) * 0.5 * (1.0 + (std::f64::consts::PI * fall).cos())
}

/// Returns the mean of −ln softmax(logits)\[label\] for logits `[N, K]` and labels `[N]`.
fn cross_entropy(logits: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
    let right = logits.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?;
    (logits.log_sum_exp(1)? - right)?.mean_all()
}

/// Maps each of the images `[N, 1, H, W]` by a random affine transformation.
fn varied(images: &Tensor, rng: &mut Rng) -> candle_core::Result<Tensor> {
    let values = images.flatten_all()?.to_vec1::<f32>()?;
    let mut out = vec![0.0; values.len()];
    for (from, to) in values.chunks_exact(SIDE * SIDE).zip(out.chunks_exact_mut(SIDE * SIDE)) {
        let mut draw = |most: f32| rng.uniform(-most, most);
        let (sin, cos) = draw(ROTATION).sin_cos();
        let shear = draw(SHEAR);
        let tall = 1.0 + draw(STRETCH);
        let wide = 1.0 + draw(STRETCH);
        let shift = [draw(SHIFT), draw(SHIFT)];
        warp(from, to, [[tall * cos, -tall * sin], [wide * (sin + shear * cos), wide * (cos - shear * sin)]], shift);
    }
    Tensor::from_vec(out, images.shape(), images.device())
}

/// Sets to(p) = from(map·(p − center) + center + shift), with bilinear interpolation and background beyond the edges.
fn warp(from: &[f32], to: &mut [f32], map: [[f32; 2]; 2], shift: [f32; 2]) {
    let middle = (SIDE - 1) as f32 / 2.0;
    let inside = 0.0..SIDE as f32;
    let at = |row: f32, column: f32| {
        let is_inside = inside.contains(&row) && inside.contains(&column);
        if is_inside { from[row as usize * SIDE + column as usize] } else { -1.0 }
    };
    for (i, value) in to.iter_mut().enumerate() {
        let p = [(i / SIDE) as f32 - middle, (i % SIDE) as f32 - middle];
        let [y, x] = [0, 1].map(|axis| map[axis][0] * p[0] + map[axis][1] * p[1] + middle + shift[axis]);
        let [top, left] = [y.floor(), x.floor()];
        let [down, right] = [y - top, x - left];
        let upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
        let lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
        *value = upper * (1.0 - down) + lower * down;
    }
}

/// Returns the fraction of the test digits that are classified correctly.
fn accuracy(network: &Network) -> Result<f64> {
    let data = Mnist { split: Some(Split::Test) }.open(&OpenOptions::default())?;
    let len = data.len();
    let sampling = Sampling { len, batch: 500, seed: 0, order: Order::Sequential, last: LastBatch::Keep };
    let mut loader = Loader::new(data, Sampler::new(sampling)?, 1)?;
    let mut right = 0;
    for _ in 0..loader.batches_per_epoch() {
        let batch = loader.next_batch()?;
        let found = network.forward(&batch.images, &mut ForwardContext::eval())?.argmax(D::Minus1)?.to_vec1::<u32>()?;
        let wanted = batch.labels.context("testing needs labels")?.to_vec1::<u32>()?;
        right += found.iter().zip(&wanted).filter(|(a, b)| a == b).count();
    }
    Ok(right as f64 / len as f64)
}
