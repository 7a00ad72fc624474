//! Trains on the CUDA backend, over doubles of NVIDIA's libraries: as the CPU does, and with the same bits whether steps are captured or not.
#![allow(clippy::print_stdout, reason = "the device says why it is skipped")]

#[path = "../../gan-cuda/tests/common/device.rs"]
mod device;

use candle_core::{Device, Tensor};
use gan_core::{Labels, LossFunction, LossProperties, Param, Side, classes_in_turn, samples, weights};
use gan_cuda::{Cuda, Products};
use gan_data::Dataset;
use gan_train::{Plan, Trainer, layering, presets};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

const STEPS: u64 = 6;

/// Small networks for images of 8×8: a plain pair, one with classes, residual blocks that are linear around each sample, newer layers,
/// spectral norm in both networks.
const NETWORKS: [[&str; 2]; 5] = [
    [
        r#"[{ dense = 32, bias = false }, { reshape = [8, 2, 2] }, { batch_norm = {} }, "relu",
            { conv_transpose = 6, kernel = 4, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, "relu",
            { conv_transpose = 1, kernel = 4, stride = 2, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 6, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 },
            { conv = 8, kernel = 3, stride = 2, padding = 1, bias = false }, { batch_norm = {} }, { leaky_relu = 0.2 }, "flatten", { dense = 1 }]"#,
    ],
    [
        r#"[{ concat_class = 10 }, { dense = 32 }, { reshape = [8, 2, 2] }, { upsample = 2 }, { conv = 6, kernel = 3, padding = 1 },
            { batch_norm = {} }, "relu", { upsample = 2 }, { conv = 1, kernel = 3, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 6, kernel = 4, stride = 2, padding = 1 }, { leaky_relu = 0.2 }, "flatten", { dense = 8 }, { leaky_relu = 0.2 },
            { projection = 10 }]"#,
    ],
    [
        r#"[{ dense = 32 }, { reshape = [8, 2, 2] }, { bilinear = 2 }, { r3gan = 8, group_width = 4 }, { bilinear = 2 },
            { conv = 1, kernel = 1 }]"#,
        r#"[{ conv = 8, kernel = 1 }, { r3gan = 8, group_width = 4 }, { avg_pool = 2 }, "flatten", { dense = 1 }]"#,
    ],
    [
        r#"[{ dense = 64 }, { reshape = [16, 2, 2] }, "glu", { pixel_shuffle = 2 }, { conv = 16, kernel = 3, padding = 1 }, { instance_norm = {} },
            "silu", { pixel_shuffle = 2 }, { conv = 1, kernel = 3, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 8, kernel = 3, stride = 2, padding = 1 }, { group_norm = 2 }, "silu", { attention = 4 }, { minibatch_std = 2 },
            { blur_pool = 2 }, "flatten", { dense = 8 }, "gelu", { dense = 1 }]"#,
    ],
    [
        r#"[{ dense = 32, spectral_norm = true }, { reshape = [8, 2, 2] }, { batch_norm = {} }, "relu",
            { conv_transpose = 6, kernel = 4, stride = 2, padding = 1, spectral_norm = true }, { batch_norm = {} }, "relu",
            { conv_transpose = 1, kernel = 4, stride = 2, padding = 1 }, "tanh"]"#,
        r#"[{ conv = 6, kernel = 4, stride = 2, padding = 1, spectral_norm = true }, { leaky_relu = 0.2 },
            { residual = [{ conv = 6, kernel = 1, spectral_norm = true }, { leaky_relu = 0.2 }] }, "flatten",
            { dense = 1, spectral_norm = true }]"#,
    ],
];

/// Returns a trainer of small networks.
fn trainer(network: usize, settings: &[&str]) -> Trainer {
    Trainer::new(plan(network, settings), &Device::Cpu).unwrap()
}

fn plan(network: usize, settings: &[&str]) -> Plan {
    let [generator, discriminator] = NETWORKS[network];
    let text = format!(
        r#"data = {{ name = "synthetic", size = 8, workers = 0 }}
        latent = {{ dim = 8 }}
        generator = {{ input = [8], init = "dcgan", layers = {generator} }}
        discriminator = {{ input = [1, 8, 8], init = "he", layers = {discriminator} }}
        train = {{ batch = 6, ema = 0.9 }}
        penalties = []
        "#
    );
    // What is not written here is as in a preset whose networks are layer lists.
    let mut table = layering::from_preset(presets::get("mnist").unwrap()).unwrap();
    layering::overlay(&mut table, text.parse().unwrap());
    settings.iter().for_each(|setting| layering::set(&mut table, setting).unwrap());
    layering::read(table).unwrap().check().unwrap()
}

const R1: &str = r#"penalties=[{kind="r1",weight=1,every=2}]"#;
const BOTH: &str = r#"penalties=[{kind="r1",weight=1},{kind="r2",weight=1}]"#;

const AUGMENTED: &str = "augment={color=true,translation=0.25,cutout=0.5,probability=0.7}";

/// A discriminator with spectral norm that is not linear around each sample.
const CURVED: &str = r#"discriminator.layers=[{conv=6,kernel=3,stride=2,padding=1,spectral_norm=true},"silu","flatten",{dense=1,spectral_norm=true}]"#;

/// Networks and settings of steps without dropout, whose random numbers are the device's own.
const CASES: [(usize, &[&str]); 16] = [
    (0, &[]),
    (0, &["train.d_steps=2", "train.joint_batch=true", "loss.kind=wasserstein", "optimizer.generator.kind=rmsprop"]),
    (0, &["train.reuse_fakes=false", "train.fakes_mode=eval", "train.clip_norm=0.5", R1]),
    (0, &[r#"penalties=[{kind="gp",weight=10}]"#]),
    (1, &[R1]),
    (2, &["loss.kind=relativistic_pairing", BOTH]),
    (3, &["loss.kind=hinge", R1]),
    (3, &["loss.kind=relativistic_average"]),
    (4, &["loss.kind=hinge"]),
    (4, &["train.joint_batch=true", "train.reuse_fakes=false", "train.fakes_mode=eval", "train.d_steps=2"]),
    (4, &["loss.kind=relativistic_pairing", BOTH]),
    (4, &[r#"penalties=[{kind="r1",weight=1,share=0.5}]"#]),
    (4, &[CURVED, R1]),
    (0, &["train.pacgan=3", "data.last_batch=drop", "discriminator.input=[3,8,8]", AUGMENTED]),
    (0, &[AUGMENTED, "train.d_steps=2", R1]),
    (2, &["loss.kind=relativistic_pairing", BOTH, AUGMENTED]),
];

/// Losses of each step, and the parameters after them.
type Results = (Vec<[f64; 2]>, Vec<(String, Vec<f32>)>);

fn results(trainer: &mut Trainer) -> Results {
    let losses =
        (0..STEPS).map(|_| trainer.advance().unwrap()).map(|step| [step.loss_d.unwrap(), step.loss_g.unwrap()]);
    let losses = losses.collect();
    let params = [trainer.generator().params(), trainer.discriminator().params()].concat();
    let numbers = |param: &Param| {
        let values = param.tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (format!("{} {:?}", param.name, param.dims()), values)
    };
    (losses, params.iter().map(numbers).collect())
}

fn on(cuda: &Cuda, network: usize, settings: &[&str]) -> Results {
    let mut trainer = trainer(network, settings);
    trainer.move_to(cuda).unwrap();
    results(&mut trainer)
}

#[test]
fn networks_train_as_on_the_cpu() {
    let Some(cuda) = device::device(Products::F32) else { return };
    for (network, settings) in CASES {
        // With small learning rates, rounding errors do not grow. Adam turns even a gradient that consists of them into a full step.
        let settings = [settings, &["optimizer.generator.lr=1e-6", "optimizer.discriminator.lr=1e-6"]].concat();
        let (expected, _) = results(&mut trainer(network, &settings));
        let (found, _) = on(&cuda, network, &settings);
        for (step, (a, b)) in expected.iter().zip(&found).enumerate() {
            let is_close = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs() + 1e-4);
            assert!(is_close, "{network} {settings:?}, step {step}: {a:?} on the CPU, {b:?} there");
        }
    }
}

fn assert_same_bits(a: &Results, b: &Results, settings: &[&str]) {
    assert_eq!(a.0, b.0, "{settings:?}: losses");
    for ((name, a), (_, b)) in a.1.iter().zip(&b.1) {
        let differ = a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!(differ, 0, "{settings:?}: of {} numbers of {name}", a.len());
    }
}

#[test]
fn captured_steps_in_two_streams_and_with_sums_in_one_kernel_have_the_same_bits() {
    let Some(cuda) = device::device(Products::Tf32) else { return };
    for (network, settings) in [CASES[0], CASES[4], CASES[10]] {
        let cuda = cuda.with_sums_in_one_kernel(true);
        let plain = on(&cuda.with_captures(false), network, settings);
        for captures in [false, true] {
            let cuda = cuda.with_captures(captures).with_weights_beside(true);
            assert_same_bits(&on(&cuda, network, settings), &plain, settings);
        }
    }
}

#[test]
fn captured_steps_have_the_same_bits() {
    let Some(cuda) = device::device(Products::Tf32) else { return };
    let with_dropout = r#"discriminator.layers=["flatten",{dense=16},{leaky_relu=0.2},{dropout=0.5},{dense=1}]"#;
    for products in [Products::Tf32, Products::Bf16] {
        let cuda = cuda.with_products(products);
        for (network, settings) in CASES.into_iter().chain([(0, &[with_dropout, BOTH][..])]) {
            let captured = on(&cuda, network, settings);
            assert_same_bits(&captured, &on(&cuda.with_captures(false), network, settings), settings);
        }
    }
}

/// Learning rates with which weights do not change in f32.
const FROZEN: [&str; 2] = ["optimizer.generator.lr=1e-12", "optimizer.discriminator.lr=1e-12"];

/// White images.
struct White;

impl Dataset for White {
    fn len(&self) -> usize {
        60
    }

    fn shape(&self) -> Vec<usize> {
        vec![1, 8, 8]
    }

    fn write(&self, _: usize, out: &mut [f32]) -> Result<(), gan_data::Error> {
        out.fill(1.0);
        Ok(())
    }
}

/// A loss that keeps D's logits for real samples.
#[derive(Clone, Debug, Default)]
struct Logits(Arc<Mutex<Vec<Vec<u32>>>>);

impl LossFunction for Logits {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: false, g_may_be_negative: true }
    }

    fn discriminator_part(&self, side: Side, logits: &Tensor, _: Labels) -> candle_core::Result<Tensor> {
        if side == Side::Real {
            let values = logits.flatten_all()?.to_vec1::<f32>()?;
            self.0.lock().unwrap().push(values.into_iter().map(f32::to_bits).collect());
        }
        logits.sqr()
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> candle_core::Result<Tensor> {
        fake.mean_all()
    }
}

/// Returns the number of different outputs of D on the same real samples, and of all of them, in steps with two updates.
fn different_outputs(cuda: &Cuda, discriminator: &str) -> [usize; 2] {
    let settings = [&["train.d_steps=2", discriminator][..], &FROZEN].concat();
    let plan = plan(0, &settings);
    let loader = gan_train::data::loader(&plan, Arc::new(White)).unwrap();
    let mut trainer = Trainer::with_data(plan, loader, &Device::Cpu).unwrap();
    let logits = Logits::default();
    trainer.set_loss(logits.clone());
    trainer.move_to(cuda).unwrap();
    (0..STEPS).for_each(|_| _ = trainer.advance().unwrap());
    let seen = logits.0.lock().unwrap();
    [seen.iter().collect::<HashSet<_>>().len(), seen.len()]
}

#[test]
fn each_update_draws_other_dropout_masks() {
    let Some(cuda) = device::device(Products::F32) else { return };
    for cuda in [cuda.with_captures(false), cuda.with_captures(true)] {
        let same = r#"discriminator.layers=["flatten",{dense=16},{leaky_relu=0.2},{dense=1}]"#;
        assert_eq!(different_outputs(&cuda, same), [1, 2 * STEPS as usize]);
        let dropped = r#"discriminator.layers=["flatten",{dense=16},{leaky_relu=0.2},{dropout=0.5},{dense=1}]"#;
        assert_eq!(different_outputs(&cuda, dropped), [2 * STEPS as usize; 2]);
    }
}

#[test]
fn samples_equal_the_cpus() {
    let Some(cuda) = device::device(Products::F32) else { return };
    for network in 0..NETWORKS.len() {
        let mut trainer = trainer(network, &["optimizer.generator.lr=1e-3"]);
        trainer.move_to(&*cuda).unwrap();
        (0..3).for_each(|_| _ = trainer.advance().unwrap());
        let there = trainer.progress_samples(7).unwrap();
        let z = trainer.progress_noise(7).unwrap();
        let here = trainer.with_ema_weights(|generator| -> gan_train::Result<_> {
            let classes = classes_in_turn(generator, 7, &Device::Cpu)?;
            Ok(samples(generator, &z, classes.as_ref())?)
        });
        let most = largest_difference(&there, &here.unwrap());
        assert!(most < 1e-5, "{network}: {most:e}");
    }
}

#[test]
fn generators_of_weight_files_sample_there() {
    let Some(_cuda) = device::device(Products::F32) else { return };
    for network in [0, 1, 4] {
        let mut trainer = trainer(network, &[]);
        trainer.advance().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("generator.safetensors");
        std::fs::write(&path, trainer.generator_file().unwrap()).unwrap();
        let z = trainer.progress_noise(7).unwrap();
        let read = || weights::read_generator(&path, &Device::Cpu).unwrap().1;
        let [here, there] = ["cpu", "cuda"].map(|name| {
            let generator = gan_train::device::sampler(read(), name).unwrap();
            let classes = classes_in_turn(generator.as_ref(), 7, &Device::Cpu).unwrap();
            samples(generator.as_ref(), &z, classes.as_ref()).unwrap()
        });
        assert!(largest_difference(&here, &there) < 1e-3, "{network}");
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn samples_do_not_change_training() {
    let Some(cuda) = device::device(Products::Tf32) else { return };
    for (network, settings) in [(1, &[][..]), (1, &["train.reuse_fakes=false"]), (4, &[])] {
        let mut trainer = trainer(network, settings);
        trainer.move_to(&*cuda).unwrap();
        for _ in 0..STEPS {
            // As many as in a batch, and others.
            let look =
                &mut |_, trainer: &Trainer| [6, 4].iter().try_for_each(|n| trainer.progress_samples(*n).map(drop));
            trainer.advance_watched::<gan_train::Error>(look).unwrap();
        }
        let params = [trainer.generator().params(), trainer.discriminator().params()].concat();
        let (_, expected) = on(&cuda, network, settings);
        for (param, (name, expected)) in params.iter().zip(expected) {
            let found = param.tensor().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(found, expected, "{network} {settings:?}: {name}");
        }
    }
}
