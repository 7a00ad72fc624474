//! Effects of settings of a step, with very small networks: warm-up, instance noise, clipped gradients, flipped labels.

use super::*;
use crate::ema::Decay;
use crate::{data, layering, presets};
use candle_core::{Tensor, Var};
use gan_core::{DiscriminatorOutput, ForwardContext, Param, Role};
use gan_data::SyntheticSamples;
use gan_kernels::testing::test_device;
use std::sync::Mutex;

const PIXELS: usize = 784;
const BATCH: usize = 1000;

/// A generator whose samples all equal its bias, which starts at 0.
struct Constant(Var);

impl Generator for Constant {
    fn forward(&self, z: &Tensor, _: &mut ForwardContext) -> candle_core::Result<Tensor> {
        self.0.broadcast_as((z.dim(0)?, PIXELS))?.reshape(((), 1, 28, 28))
    }

    fn params(&self) -> Vec<Param> {
        vec![Param::whole("bias", self.0.clone(), Role::Weight)]
    }
}

type Batches = Arc<Mutex<Vec<Vec<Vec<f32>>>>>;

/// A linear discriminator that records its inputs: f(x) = scale · 0.01 · Σx, or ±1 depending on whether a sample is all
/// zeros.
struct Recorder {
    scale: Var,
    batches: Batches,
    kind: Answers,
}

#[derive(Clone, Copy, PartialEq)]
enum Answers {
    Linear,
    IsZero,
}

impl Discriminator for Recorder {
    fn forward(&self, x: &Tensor, _: &mut ForwardContext) -> candle_core::Result<DiscriminatorOutput> {
        let rows = x.flatten_from(1)?;
        self.batches.lock().unwrap().push(rows.detach().to_vec2()?);
        let answers = match self.kind {
            Answers::Linear => (rows.sum(1)? * 0.01)?,
            Answers::IsZero => {
                let is_not = rows.detach().abs()?.sum(1)?.gt(0f32)?.to_dtype(candle_core::DType::F32)?;
                ((is_not * 2.0)? - 1.0)?
            }
        };
        Ok(DiscriminatorOutput::of(answers.broadcast_mul(&self.scale)?))
    }

    fn params(&self) -> Vec<Param> {
        vec![Param::whole("scale", self.scale.clone(), Role::Weight)]
    }
}

/// Returns a trainer of both, in which D is constant.
fn trainer(kind: Answers, settings: &[&str]) -> (Trainer, Batches) {
    let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
    let batch = format!("train.batch={BATCH}");
    let still = "optimizer.discriminator.lr=1e-30";
    for setting in ["data.name=synthetic", "data.workers=0", "train.steps=8", &batch, still].iter().chain(settings) {
        layering::set(&mut table, setting).unwrap();
    }
    let plan = layering::read(table).unwrap().check().unwrap();
    let images = SyntheticSamples::new(1, 2 * BATCH, [1, 28, 28]).unwrap();
    let loader = data::loader(&plan, Arc::new(images)).unwrap();
    let batches = Batches::default();
    let bias = Var::zeros(PIXELS, candle_core::DType::F32, test_device()).unwrap();
    let scale = Var::ones(1, candle_core::DType::F32, test_device()).unwrap();
    let d = Recorder { scale, batches: Arc::clone(&batches), kind };
    (Trainer::with_networks(plan, Box::new(Constant(bias)), Box::new(d), loader, test_device()).unwrap(), batches)
}

fn bias(trainer: &Trainer) -> f64 {
    let values: Vec<f32> = trainer.generator().params()[0].tensor().unwrap().to_vec1().unwrap();
    assert!(values.iter().all(|value| (value - values[0]).abs() <= 1e-6 * values[0].abs()));
    values[0].into()
}

#[test]
fn warmup_and_schedules_change_the_learning_rate_in_equal_steps() {
    // G's gradient is the same in every step, so Adam moves by exactly its learning rate.
    let steps = |settings: &[&str]| {
        let (mut trainer, _) = trainer(Answers::Linear, &[&["loss.kind=wasserstein"], settings].concat());
        let mut before = bias(&trainer);
        let mut steps = vec![];
        for _ in 0..6 {
            trainer.advance().unwrap();
            steps.push(bias(&trainer) - before);
            before = bias(&trainer);
        }
        steps
    };
    let plain = steps(&[]);
    let warm = steps(&["train.warmup=4"]);
    for (share, (warm, plain)) in [0.25, 0.5, 0.75, 1.0, 1.0, 1.0].into_iter().zip(warm.iter().zip(&plain)) {
        // f32 keeps seven digits of the bias.
        assert!(*plain > 0.0 && (warm / plain - share).abs() < 1e-3, "{share}: {warm:e} of {plain:e}");
    }
    let scheduled = steps(&["schedule.lr_factor=0.2", &format!("schedule.images={}", 4 * BATCH)]);
    for (share, (scheduled, plain)) in [1.0, 0.8, 0.6, 0.4, 0.2, 0.2].into_iter().zip(scheduled.iter().zip(&plain)) {
        assert!((scheduled / plain - share).abs() < 1e-3, "{share}: {scheduled:e} of {plain:e}");
    }
}

#[test]
fn a_schedule_changes_everything_that_it_names_over_images_seen() {
    let images = format!("schedule.images={}", 4 * BATCH);
    let settings = [
        "schedule.curve=cosine",
        &images,
        "schedule.lr_factor=0.25",
        "schedule.beta2=0.99",
        "optimizer.generator.betas=[0,0.9]",
        "schedule.augment=0.5",
        "augment.color=true",
        "augment.probability=0.1",
        "train.ema_half_life=0",
        "schedule.ema_half_life=1500",
        "loss.kind=wasserstein",
        "penalties=[{kind=\"clip\",weight=2,end=1}]",
    ];
    let (mut trainer, _) = trainer(Answers::Linear, &settings);
    for at in [0.0, 0.146_446_609_406_726_24, 0.5, 0.853_553_390_593_273_8, 1.0, 1.0] {
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        let step = trainer.step() as f64;
        let rates = trainer.rates(Some(0.9));
        close(rates.lr_factor, 1.0 - 0.75 * at);
        close(rates.beta2.unwrap(), 0.9 + 0.09 * at);
        close(trainer.run_progress().augment, 0.1 + 0.4 * at);
        let Decay::HalfLife { images, half_life } = trainer.decay() else { panic!("no half-life") };
        close(images, BATCH as f64);
        close(half_life, (1500.0 * at).min(0.05 * (step + 1.0) * BATCH as f64));
        let objective = trainer.plan().objective(&trainer.loss, 0, trainer.run_progress());
        close(objective.penalties[0].weight, 2.0 - at);
        close(objective.view.augment.probability, 0.1 + 0.4 * at);
        let report = trainer.advance().unwrap();
        close(report.augment.unwrap(), 0.1 + 0.4 * at);
    }
    assert_eq!(trainer.images_seen(), 6 * BATCH as u64);
}

#[test]
fn r_t_is_the_mean_sign_of_real_samples_and_moves_the_augmentation() {
    // D answers 1 for every real sample, except where cutout leaves only zeros.
    let settings =
        ["augment.cutout=1", "augment.probability=0", "augment.adaptive=0.6", "augment.adaptive_images=8000"];
    let (mut trainer, _) = trainer(Answers::IsZero, &settings);
    let seen: Vec<(f64, f64)> = (0..8)
        .map(|_| {
            let report = trainer.advance().unwrap();
            (report.rt.unwrap(), report.augment.unwrap())
        })
        .collect();
    // After four updates on 1,000 images each, the probability rises by 4,000 / 8,000.
    assert_eq!(seen[..4], [(1.0, 0.0); 4]);
    // A square as large as the image covers all of it only where its center is the image's.
    assert!(seen[4..].iter().all(|(_, p)| *p == 0.5) && seen[4..].iter().any(|(rt, _)| *rt < 1.0), "{seen:?}");
}

#[test]
fn g_is_compared_with_new_reals_if_they_are_not_reused() {
    for (reuses, reals) in [(true, [0, 0]), (false, [0, 1])] {
        let setting = format!("train.reuse_reals={reuses}");
        let (mut trainer, batches) = trainer(Answers::Linear, &["loss.kind=relativistic_pairing", &setting]);
        trainer.advance().unwrap();
        let seen = batches.lock().unwrap();
        // D sees real and generated samples, then in G's update real and generated ones again.
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[0] == seen[2], reals[0] == reals[1], "reuse_reals = {reuses}");
        assert_eq!(trainer.steps_per_epoch(), if reuses { 2 } else { 1 });
    }
}

#[test]
fn instance_noise_has_the_configured_deviation_and_decreases_to_zero() {
    let (mut trainer, batches) = trainer(Answers::IsZero, &["train.instance_noise={sigma=0.5,until=0.5}"]);
    // Eight steps: the noise decreases to 0 over the first four.
    for expected in [0.5, 0.375, 0.25, 0.125, 0.0, 0.0] {
        batches.lock().unwrap().clear();
        trainer.advance().unwrap();
        let seen = batches.lock().unwrap();
        assert_eq!(seen.len(), 3, "D's real and generated samples, and G's");
        // G's samples are all one number, so all variation is noise.
        for generated in &seen[1..] {
            let values: Vec<f64> = generated.iter().flatten().map(|value| f64::from(*value)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            // With 784,000 values, the relative standard error of the deviation is 0.0008.
            assert!((deviation - expected).abs() <= 0.005 * expected + 1e-6, "{deviation} for {expected}");
        }
        let real = seen[0].iter().flatten();
        let outside = real.filter(|value| value.abs() > 1.0).count();
        assert_eq!(outside > 0, expected > 0.0, "real samples have noise too");
    }
}

#[test]
fn a_clipped_gradient_has_the_configured_norm() {
    // The norm of G's gradient: 784 pixels with 0.01 each.
    let whole = 0.01 * (PIXELS as f64).sqrt();
    for (setting, expected) in [("train.clip_norm=0.07", 0.07), ("train.clip_norm=5.0", whole)] {
        let (mut trainer, _) = trainer(Answers::Linear, &["loss.kind=wasserstein", setting]);
        let report = trainer.advance().unwrap();
        assert!((report.grad_norm_g.unwrap() / whole - 1.0).abs() < 1e-5, "the norm before clipping is reported");
        // After one step Adam's first moment is half of the gradient.
        let moment = &trainer.optimizer_g.averages.tensors().unwrap()["first.bias"];
        let stepped = 2.0 * f64::from(moment.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).sqrt();
        assert!((stepped / expected - 1.0).abs() < 1e-5, "{setting}: {stepped}");
    }
}

#[test]
fn flipped_labels_exchange_real_and_generated_samples() {
    let (mut trainer, batches) = trainer(Answers::IsZero, &["loss.flip=0.3"]);
    let report = trainer.advance().unwrap();
    let seen = batches.lock().unwrap();
    let zeros = |batch: &[Vec<f32>]| batch.iter().filter(|row| row.iter().all(|value| *value == 0.0)).count();
    let exchanged = zeros(&seen[0]);
    // Four standard deviations of a fraction of 0.3 among a thousand.
    assert!((242..=358).contains(&exchanged), "{exchanged}");
    assert_eq!(zeros(&seen[1]), BATCH - exchanged, "each real sample changes places with a generated one");
    // D outputs ±1 correctly, so ζ(−1) for a sample in its place and ζ(1) for an exchanged one, on both sides.
    let zeta = |l: f64| l.exp().ln_1p();
    let share = exchanged as f64 / BATCH as f64;
    let expected = 2.0 * ((1.0 - share) * zeta(-1.0) + share * zeta(1.0));
    assert!((report.loss_d.unwrap() - expected).abs() < 1e-4, "{} for {expected}", report.loss_d.unwrap());
    assert!((report.accuracy_d.unwrap() - (1.0 - share)).abs() < 1e-6);
    assert_eq!(zeros(&seen[2]), BATCH, "G's samples keep their places in its own update");
}
