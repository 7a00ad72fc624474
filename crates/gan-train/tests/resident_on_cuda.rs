//! Trains on the CUDA backend, over doubles of NVIDIA's libraries: as the CPU does, and with the same bits whether steps are captured or not.
#![allow(clippy::print_stdout, reason = "the device says why it is skipped")]

#[path = "../../gan-cuda/tests/common/device.rs"]
mod device;

use candle_core::Device;
use gan_core::Param;
use gan_cuda::{Cuda, Products};
use gan_train::{Trainer, layering, presets};

const STEPS: u64 = 6;

/// Returns a trainer of a preset with narrow networks and few samples.
fn trainer(preset: &str, settings: &[&str]) -> Trainer {
    let mut table = layering::from_preset(presets::get(preset).unwrap()).unwrap();
    let mut set = |setting: &&str| layering::set(&mut table, setting).unwrap();
    let is_of_points = preset.ends_with("2d");
    let images: &[&str] = if is_of_points { &[] } else { &["data.name=synthetic"] };
    images.iter().chain(&["data.workers=0", "train.batch=6", "train.steps=50"]).chain(settings).for_each(&mut set);
    Trainer::new(layering::read(table).unwrap().check().unwrap(), &Device::Cpu).unwrap()
}

/// Returns the losses of some steps, and all numbers after them as bits.
fn results(trainer: &mut Trainer) -> (Vec<[f64; 2]>, Vec<u32>) {
    let losses = (0..STEPS).map(|_| trainer.advance().unwrap()).map(|step| [step.loss_d.unwrap(), step.loss_g.unwrap()]);
    let losses = losses.collect();
    let params = [trainer.generator().params(), trainer.discriminator().params()].concat();
    let bits = |param: &Param| -> Vec<u32> {
        let values: Vec<f32> = param.tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    (losses, params.iter().flat_map(bits).collect())
}

fn on(cuda: &Cuda, preset: &str, settings: &[&str]) -> (Vec<[f64; 2]>, Vec<u32>) {
    let mut trainer = trainer(preset, settings);
    trainer.move_to(cuda).unwrap();
    results(&mut trainer)
}

const SMALL: &[&str] = &["generator.width=4", "discriminator.width=4"];

/// Presets without dropout, whose random numbers are the device's own.
const PRESETS: [(&str, &[&str]); 5] =
    [("dcgan-mnist", SMALL), ("acgan-mnist", &[]), ("wgan-mnist", SMALL), ("mnist", &[]), ("ring2d", &[])];

#[test]
fn presets_train_as_on_the_cpu() {
    let Some(cuda) = device::device(Products::F32) else { return };
    for (preset, settings) in PRESETS {
        // Small rates: rounding noise, of which Adam makes whole steps, does not grow.
        let settings = [settings, &["optimizer.generator.lr=1e-6", "optimizer.discriminator.lr=1e-6"]].concat();
        let (expected, _) = results(&mut trainer(preset, &settings));
        let (found, _) = on(&cuda, preset, &settings);
        for (step, (a, b)) in expected.iter().zip(&found).enumerate() {
            let is_close = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs() + 1e-4);
            assert!(is_close, "{preset}, step {step}: {a:?} on the CPU, {b:?} there");
        }
    }
}

#[test]
fn captured_steps_have_the_same_bits() {
    let Some(cuda) = device::device(Products::Tf32) else { return };
    let with_dropout = [("mlp-mnist", &["train.ema=0.9"][..]), ("dcgan-mnist", &["train.d_steps=2", "train.joint_batch=true"])];
    for products in [Products::Tf32, Products::Bf16] {
        let cuda = cuda.with_products(products);
        for (preset, settings) in PRESETS.into_iter().chain(with_dropout) {
            let captured = on(&cuda, preset, settings);
            let run = on(&cuda.with_captures(false), preset, settings);
            assert_eq!(captured.0, run.0, "{preset} {products:?}: losses");
            assert_eq!(captured.1, run.1, "{preset} {products:?}: parameters");
        }
    }
}
