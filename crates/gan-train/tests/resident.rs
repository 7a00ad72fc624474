//! Compares training on a device that keeps everything, for which the CPU stands here, with the ordinary step: every preset that can run there,
//! and settings that change what a step does.

use candle_core::{Device, Tensor};
use gan_core::Param;
use gan_kernels::Cpu;
use gan_train::{Trainer, checkpoint, layering, presets};
use std::collections::BTreeMap;

const STEPS: u64 = 5;

/// Learning rates so small that rounding errors do not grow. Adam turns even a gradient that consists of rounding errors into a full step.
const STILL: [&str; 2] = ["optimizer.generator.lr=1e-7", "optimizer.discriminator.lr=1e-7"];

/// Returns a trainer of a preset, on synthetic images if it is for images.
fn trainer(preset: &str, settings: &[&str]) -> Trainer {
    let mut table = layering::from_preset(presets::get(preset).unwrap()).unwrap();
    let mut set = |setting: &&str| layering::set(&mut table, setting).unwrap();
    let is_of_points = preset.ends_with("2d");
    let images: &[&str] = if is_of_points { &[] } else { &["data.name=synthetic"] };
    images
        .iter()
        .chain(&["data.workers=0", "train.batch=12", "train.steps=50"])
        .chain(&STILL)
        .chain(settings)
        .for_each(&mut set);
    let plan = layering::read(table).unwrap().check().unwrap();
    Trainer::new(plan, &Device::Cpu).unwrap()
}

fn numbers(trainer: &Trainer) -> BTreeMap<String, Tensor> {
    let of = |owner: &str, params: Vec<Param>| -> Vec<(String, Tensor)> {
        let tensors = Param::tensors(&params).unwrap();
        tensors.into_iter().map(|(name, t)| (format!("{owner}.{name}"), t.copy().unwrap())).collect()
    };
    let averaged = trainer.with_ema_weights::<_, gan_train::Error>(|g| Ok(of("average", g.params()))).unwrap();
    let both = [of("g", trainer.generator().params()), of("d", trainer.discriminator().params()), averaged];
    both.concat().into_iter().collect()
}

fn root_mean_square(values: &[f32]) -> f32 {
    (values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32).sqrt()
}

/// Returns the largest root mean square of a tensor's differences.
fn difference(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> (f32, String) {
    let mut worst = (0.0, String::new());
    for (name, a) in a {
        let differences: Vec<f32> = (a - &b[name]).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let found = root_mean_square(&differences);
        if found.is_nan() || found > worst.0 {
            worst = (found, name.clone());
        }
    }
    worst
}

fn check(preset: &str, settings: &[&str]) {
    let mut here = trainer(preset, settings);
    let mut there = trainer(preset, settings);
    let start = numbers(&here);
    there.move_to(&Cpu).unwrap();
    for step in 0..STEPS {
        let (a, b) = (here.advance().unwrap(), there.advance().unwrap());
        let pairs = [
            (a.loss_d, b.loss_d),
            (a.loss_g, b.loss_g),
            (a.d_real, b.d_real),
            (a.d_fake_before, b.d_fake_before),
            (a.d_fake_after, b.d_fake_after),
            (a.accuracy_d, b.accuracy_d),
            (a.penalty_d, b.penalty_d),
            (a.grad_norm_d, b.grad_norm_d),
            (a.grad_norm_g, b.grad_norm_g),
        ];
        for (i, (a, b)) in pairs.into_iter().enumerate() {
            assert_eq!(a.is_some(), b.is_some(), "{preset} {settings:?}: figure {i} of step {step}");
            let (a, b) = (a.unwrap_or(0.0), b.unwrap_or(0.0));
            // A bias whose gradient is nothing but noise moves by whole steps nevertheless.
            assert!(
                (a - b).abs() <= 1e-4 * a.abs() + 3e-5,
                "{preset} {settings:?}: figure {i} of step {step}: {a} and {b}"
            );
        }
    }
    let (a, b) = (numbers(&here), numbers(&there));
    for owner in ["g.", "d.", "average."] {
        let of = |all: &BTreeMap<String, Tensor>| {
            let own = all.iter().filter(|(name, _)| name.starts_with(owner));
            let flat: Vec<Tensor> = own.map(|(_, t)| t.flatten_all().unwrap()).collect();
            BTreeMap::from([(owner.to_string(), Tensor::cat(&flat, 0).unwrap())])
        };
        let (error, moved) = (difference(&of(&a), &of(&b)).0, difference(&of(&a), &of(&start)).0);
        assert!(error < 0.02 * moved, "{preset} {settings:?}: {owner} differs by {error:e}, it moved by {moved:e}");
    }
}

#[test]
fn presets_train_as_on_the_cpu() {
    for preset in [
        "dcgan-mnist",
        "keras-mnist",
        "mnist",
        "acgan-mnist",
        "cgan-mnist",
        "lsgan-mnist",
        "stacked-mnist",
        "upsample-mnist",
        "mlp-mnist",
        "wgan-mnist",
        "wgan-gp-mnist",
        "r3gan-mnist",
        "hinge-sn-mnist",
        "curve2d",
        "ring2d",
    ] {
        check(preset, &[]);
    }
}

#[test]
fn settings_of_a_step_have_the_same_effect() {
    for settings in [
        &["train.ema=0.9"][..],
        &["train.joint_batch=true", "train.d_steps=2"],
        &["train.reuse_fakes=false", "train.fakes_mode=eval"],
        &["loss.kind=relativistic_average"],
        &["optimizer.generator.kind=rmsprop"],
        &["penalties=[{kind=\"r1\",weight=5,every=2,share=0.5},{kind=\"gp_zero\",weight=1}]"],
        &["penalties=[{kind=\"dragan\",weight=10}]"],
        &["augment.color=true", "augment.translation=0.2", "augment.cutout=0.5", "augment.probability=0.7"],
        &[
            "train.pacgan=2",
            "data.last_batch=drop",
            "augment.translation=0.2",
            "train.reuse_fakes=false",
            "train.fakes_mode=eval",
        ],
        &["augment.cutout=0.5", "loss.kind=relativistic_pairing", "penalties=[{kind=\"r1\",weight=1}]"],
    ] {
        check("dcgan-mnist", settings);
    }
}

#[test]
fn spectral_norm_has_the_same_effect_in_all_passes() {
    let curved = r#"discriminator.layers=[{conv=6,kernel=4,stride=2,padding=1,spectral_norm=true},"silu","flatten",{dense=1,spectral_norm=true}]"#;
    for settings in [
        &["generator.spectral_norm=true", "train.ema=0.9", "train.reuse_fakes=false", "train.fakes_mode=eval"][..],
        &["penalties=[{kind=\"r1\",weight=1},{kind=\"r2\",weight=1}]", "loss.kind=relativistic_pairing"],
        &["penalties=[{kind=\"r1\",weight=5,share=0.5},{kind=\"gp\",weight=1}]", "train.joint_batch=true"],
        &[curved, "penalties=[{kind=\"r1\",weight=1}]"],
    ] {
        check("hinge-sn-mnist", settings);
    }
}

#[test]
fn checkpoints_go_from_one_to_the_other() {
    checkpoints_go_on("dcgan-mnist", &["train.ema=0.9"]);
    checkpoints_go_on("hinge-sn-mnist", &["train.ema=0.9", "generator.spectral_norm=true"]);
}

fn checkpoints_go_on(preset: &str, settings: &[&str]) {
    let mut straight = trainer(preset, settings);
    straight.move_to(&Cpu).unwrap();
    (0..6).for_each(|_| _ = straight.advance().unwrap());
    // Three times: on the device all the way, from the device to the CPU, and from the CPU to the device.
    for [first, second] in [[true, true], [true, false], [false, true]] {
        let folder = tempfile::tempdir().unwrap();
        let mut one = trainer(preset, settings);
        if first {
            one.move_to(&Cpu).unwrap();
        }
        (0..3).for_each(|_| _ = one.advance().unwrap());
        checkpoint::save(&one, folder.path(), 1).unwrap();
        let mut other = trainer(preset, settings);
        if second {
            other.move_to(&Cpu).unwrap();
        }
        // What it has learned until then is replaced.
        other.advance().unwrap();
        assert_eq!(checkpoint::restore(&mut other, folder.path(), None).unwrap(), Some(3));
        (0..3).for_each(|_| _ = other.advance().unwrap());
        let (error, name) = difference(&numbers(&straight), &numbers(&other));
        let most = if first && second { 0.0 } else { 1e-6 };
        assert!(error <= most, "{preset} {first} {second}: {name} differs by {error:e}");
    }
}

#[test]
fn what_a_device_cannot_do_is_refused() {
    for (preset, setting, named) in [
        ("dcgan-mnist", "train.instance_noise={sigma=0.1}", "instance noise"),
        ("dcgan-mnist", "train.accumulate=2", "train.accumulate"),
    ] {
        let mut here = trainer(preset, &[setting]);
        let message = here.move_to(&Cpu).unwrap_err().to_string();
        assert!(message.contains(named), "{preset} {setting}: {message}");
        here.advance().unwrap();
    }
}
