//! Compares several ranks with one process that trains with the same batch: the losses over twenty steps, and equal networks on all
//! ranks. Repeated runs must give the same bits. The ranks are threads here; other communicators run the same code.

use candle_core::Tensor;
use gan_comm::{Communicator, Single, threads};
use gan_core::Param;
use gan_kernels::testing::test_device;
use gan_train::{Error, Trainer, layering, presets};
use std::sync::Arc;

const STEPS: usize = 20;

/// The result of a rank: the losses of D and G in each step, and all values of both networks.
#[derive(Clone, Debug, PartialEq)]
struct Ended {
    losses: Vec<[f64; 2]>,
    numbers: Vec<f32>,
}

fn train(preset: &str, settings: &[&str], team: Arc<dyn Communicator>) -> Result<Ended, Error> {
    let mut table = layering::from_preset(presets::get(preset).unwrap()).unwrap();
    // GPUs do not support this setting and do not need it.
    let accurate: &[&str] = if test_device().is_cpu() { &["train.precision=f32-accurate"] } else { &[] };
    for setting in ["data.name=synthetic", "train.steps=100"].iter().chain(accurate).chain(settings) {
        layering::set(&mut table, setting).unwrap();
    }
    let plan = layering::read(table).unwrap().check().unwrap();
    let mut trainer = Trainer::new(plan, test_device())?.in_group(team)?;
    let mut losses = vec![];
    for _ in 0..STEPS {
        let report = trainer.advance()?;
        losses.push([report.loss_d.unwrap_or(0.0), report.loss_g.unwrap_or(0.0)]);
    }
    let params = [trainer.generator().params(), trainer.discriminator().params()].concat();
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let numbers = params.iter().flat_map(|param| flat(&param.tensor().unwrap())).collect();
    assert!(!Param::tensors(&params).unwrap().is_empty());
    Ok(Ended { losses, numbers })
}

fn together(ranks: usize, preset: &str, settings: &[&str]) -> Vec<Ended> {
    let one = |team: Arc<dyn Communicator>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| train(preset, settings, team))
    };
    threads::run(ranks, one).unwrap()
}

/// Returns the largest difference of the losses in the first `steps` steps, relative to the losses or to 0.1, if they are smaller.
fn apart(a: &Ended, b: &Ended, steps: usize) -> f64 {
    let differences = a.losses[..steps].iter().flatten().zip(b.losses.iter().flatten());
    differences.map(|(a, b)| (a - b).abs() / b.abs().max(0.1)).fold(0.0, f64::max)
}

fn same_mathematics(preset: &str, settings: &[&str], steps: usize) {
    let alone = train(preset, settings, Arc::new(Single)).unwrap();
    for ranks in 1..=4 {
        let ended = together(ranks, preset, settings);
        let apart = apart(&ended[0], &alone, steps);
        // GPUs sum in a different order and without the CPU's exact products.
        let limit = if test_device().is_cpu() { 1e-4 } else { 1e-3 };
        assert!(apart < limit, "{preset}, {ranks} ranks: losses {apart:e} apart");
        assert!(ended.iter().all(|rank| *rank == ended[0]), "{preset}: {ranks} ranks have not stayed alike");
        assert_eq!(ended, together(ranks, preset, settings), "{preset}, {ranks} ranks: other bits when repeated");
    }
}

#[test]
fn ranks_with_synchronized_batch_norm_equal_one_process() {
    same_mathematics("dcgan-mnist", &["generator.width=8", "discriminator.width=8", "train.batch=34"], STEPS);
}

/// The preset has classes, a penalty and an EMA. The penalty multiplies rounding errors by ten every four steps, so only the first steps
/// can be compared.
#[test]
fn ranks_with_classes_and_a_penalty_equal_one_process() {
    let rates = ["optimizer.generator.lr=2e-4", "optimizer.discriminator.lr=2e-4"];
    same_mathematics("mnist", &["train.batch=22", rates[0], rates[1]], 10);
}

#[test]
fn ranks_with_separate_batch_norm_stay_identical_but_differ_from_one_process() {
    let settings = ["generator.width=8", "discriminator.width=8", "train.batch=12", "train.sync_batch_norm=false"];
    let alone = train("dcgan-mnist", &settings, Arc::new(Single)).unwrap();
    let ended = together(3, "dcgan-mnist", &settings);
    assert!(ended.iter().all(|rank| *rank == ended[0]));
    assert!(apart(&ended[0], &alone, STEPS) > 1e-3);
    assert_eq!(ended, together(3, "dcgan-mnist", &settings));
}

/// D and G alternate for whole epochs of two batches each, so each network is updated alone and with its own noise.
#[test]
fn ranks_that_alternate_by_epochs_equal_one_process() {
    let settings = [
        "train.reuse_fakes=false",
        "train.alternate=epochs",
        "data.count=40",
        "train.batch=20",
        "generator.width=8",
        "discriminator.width=8",
    ];
    same_mathematics("dcgan-mnist", &settings, STEPS);
}

#[test]
fn batches_that_cannot_be_divided_among_ranks_are_refused() {
    let message = |ranks, settings: &[&str]| {
        threads::run(ranks, |team| train("dcgan-mnist", settings, team)).unwrap_err().to_string()
    };
    let few = message(3, &["train.batch=2"]);
    assert!(few.contains("train.batch: ") && few.contains("too few for 3 processes"), "{few}");
    let cut = message(3, &["train.batch=8", "train.pacgan=2", "data.last_batch=drop", "discriminator.width=8"]);
    assert!(cut.contains("packs of 2 on 3 processes do not divide train.batch = 8: choose a multiple of 6"), "{cut}");
}
