//! Runs that begin with the weights of another, and frozen layers.

use candle_core::Device;
use gan_core::Param;
use gan_train::{Trainer, checkpoint, layering, presets};
use std::path::Path;

/// Returns a trainer of very small networks with these settings.
fn trainer(settings: &[&str]) -> gan_train::Result<Trainer> {
    let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
    let small = [
        "data.name=synthetic",
        "data.count=64",
        "data.workers=0",
        "generator.width=4",
        "discriminator.width=4",
        "train.batch=8",
        "train.steps=8",
    ];
    small.iter().chain(settings).for_each(|setting| layering::set(&mut table, setting).unwrap());
    Trainer::new(layering::read(table)?.check()?, &Device::Cpu)
}

fn values(params: &[Param]) -> Vec<(String, Vec<f32>)> {
    let one = |p: &Param| (p.name.clone(), p.tensor().unwrap().flatten_all().unwrap().to_vec1().unwrap());
    params.iter().map(one).collect()
}

/// Trains a run in `dir` for three steps.
fn run(dir: &Path) -> Trainer {
    let mut trainer = trainer(&["train.ema=0.5"]).unwrap();
    for _ in 0..3 {
        trainer.advance().unwrap();
    }
    checkpoint::save(&trainer, &dir.join("checkpoints"), 1).unwrap();
    std::fs::write(dir.join("generator.safetensors"), trainer.generator_file().unwrap()).unwrap();
    std::fs::write(dir.join("config.toml"), toml::to_string(trainer.plan().config()).unwrap()).unwrap();
    trainer
}

#[test]
fn a_run_begins_with_the_weights_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let old = run(dir.path());
    let from = format!("train.from={}", dir.path().display());
    let new = trainer(&[&from, "train.ema=0.9", "train.seed=5"]).unwrap();
    assert_eq!(values(&new.discriminator().params()), values(&old.discriminator().params()));
    let averaged =
        |trainer: &Trainer| trainer.with_ema_weights::<_, gan_train::Error>(|g| Ok(values(&g.params()))).unwrap();
    assert_eq!(values(&new.generator().params()), averaged(&old), "G begins with the other's average");
    assert_eq!(averaged(&new), averaged(&old), "and so does its average");
    // A network for images of twice the size has the same last layers.
    let mut larger = trainer(&["data.size=56"]).unwrap();
    let start = larger.start_from(dir.path()).unwrap();
    assert!(start.generator.transferred > 0 && start.generator.transferred < start.generator.all, "{start:?}");
}

#[test]
fn weights_that_are_missing_matter_only_to_a_run_that_begins() {
    let mut lost = trainer(&["train.from=/nowhere/at/all"]).unwrap();
    let problem = lost.advance().unwrap_err().to_string();
    assert!(problem.contains("train.from: /nowhere/at/all does not exist"), "{problem}");
    let dir = tempfile::tempdir().unwrap();
    run(dir.path());
    let from = format!("train.from={}", dir.path().display());
    let mut begun = trainer(&[&from]).unwrap();
    begun.advance().unwrap();
    let saved = tempfile::tempdir().unwrap();
    checkpoint::save(&begun, saved.path(), 1).unwrap();
    std::fs::remove_dir_all(dir.path()).unwrap();
    let mut resumed = trainer(&[&from]).unwrap();
    checkpoint::restore(&mut resumed, saved.path(), None).unwrap();
    resumed.advance().unwrap();
}

#[test]
fn frozen_layers_keep_their_weights() {
    let mut trainer = trainer(&["discriminator.freeze=2"]).unwrap();
    let before = values(&trainer.discriminator().params());
    for _ in 0..2 {
        trainer.advance().unwrap();
    }
    let after = values(&trainer.discriminator().params());
    let layer = |name: &str| name.rsplit_once('.').unwrap().0.to_string();
    let frozen = [layer(&before[0].0), layer(&before[1].0)];
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        let is_running = name.contains("running");
        assert_eq!(before == after, frozen.contains(&layer(name)) && !is_running, "{name}");
    }
}
