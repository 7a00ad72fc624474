//! Devices that have too little memory or are lost, over doubles of NVIDIA's libraries: the run ends with an error that says what to do, and its
//! last checkpoint goes on elsewhere.
#![allow(clippy::print_stdout, reason = "the device says why it is skipped")]

#[path = "../../gan-cuda/tests/common/device.rs"]
mod device;

use candle_core::Device;
use device::NO_LIMIT;
use gan_cuda::Products;
use gan_cuda::step::StepBackend;
use gan_train::{Error, Trainer, checkpoint, layering, presets};

fn trainer(batch: usize) -> Trainer {
    wide(batch, 64)
}

/// Returns a trainer whose generator has a layer of this width.
fn wide(batch: usize, width: usize) -> Trainer {
    let text = format!(
        r#"data = {{ name = "synthetic", size = 8, workers = 0 }}
        latent = {{ dim = 8 }}
        generator = {{ input = [8], layers = [{{ dense = {width} }}, "relu", {{ dense = 64 }}, {{ reshape = [1, 8, 8] }}, "tanh"] }}
        discriminator = {{ input = [1, 8, 8], layers = [{{ conv = 8, kernel = 3, padding = 1 }}, {{ leaky_relu = 0.2 }}, "flatten", {{ dense = 1 }}] }}
        train = {{ batch = {batch}, ema = 0.9 }}
        penalties = []
        "#
    );
    // What is not written here is as in a preset whose networks are layer lists.
    let mut table = layering::from_preset(presets::get("mnist").unwrap()).unwrap();
    layering::overlay(&mut table, text.parse().unwrap());
    Trainer::new(layering::read(table).unwrap().check().unwrap(), &Device::Cpu).unwrap()
}

/// Advances until a step fails, and returns the number of steps and the message.
fn fails(trainer: &mut Trainer) -> (u64, String) {
    loop {
        match trainer.advance() {
            Ok(_) => assert!(trainer.step() < 50, "no step fails"),
            Err(error) => {
                assert!(matches!(error, Error::Device { .. }) && !error.is_usage(), "{error}");
                return (trainer.step(), error.to_string());
            }
        }
    }
}

#[test]
fn too_little_memory_is_an_error_that_names_a_batch() {
    let Some(cuda) = device::device(Products::F32) else { return };
    let mut small = trainer(8);
    small.move_to(&*cuda).unwrap();
    small.advance().unwrap();
    let needed = small.device_memory().unwrap();
    drop(small);
    if !cuda.limit(needed + (64 << 10), None) {
        return;
    }
    let mut large = trainer(128);
    large.move_to(&*cuda).unwrap();
    let (step, message) = fails(&mut large);
    println!("{message}");
    assert_eq!(step, 0);
    let (_, rest) = message.split_once("try train.batch=").expect("a batch that may fit");
    let batch: usize = rest.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    assert!(message.contains("train.batch=128") && (8..128).contains(&batch) && batch.is_multiple_of(8), "{message}");
    // Nothing is asked of the device any more, and its memory serves others.
    assert_eq!(large.advance().unwrap_err().to_string(), message);
    drop(large);
    let mut small = trainer(8);
    small.move_to(&*cuda).unwrap();
    small.advance().unwrap();
    drop(small);
    cuda.limit(0, None);
    let message = wide(8, 4096).move_to(&*cuda).unwrap_err().to_string();
    assert!(message.contains("both networks"), "{message}");
    cuda.limit(NO_LIMIT, None);
}

#[test]
fn memory_that_is_given_back_before_a_step_is_recorded_does_no_harm() {
    let Some(cuda) = device::device(Products::F32) else { return };
    let losses = |samples: usize| {
        let mut run = trainer(8);
        run.move_to(&*cuda).unwrap();
        let mut losses = vec![];
        for step in 0..6 {
            losses.push(run.advance().unwrap().loss_d);
            let held = run.device_memory().unwrap();
            // Memory for the samples only if all unused blocks are given back.
            if step == 1 && samples > 0 && cuda.limit(held + 512, None) {
                run.progress_samples(samples).unwrap();
                cuda.limit(NO_LIMIT, None);
            }
        }
        losses
    };
    let before = cuda.releases();
    assert_eq!(losses(0), losses(40));
    assert!(cuda.name() != "double" || cuda.releases() > before, "no memory was given back");
}

#[test]
fn a_lost_device_ends_the_run_and_its_checkpoint_goes_on_elsewhere() {
    let Some(cuda) = device::device(Products::F32) else { return };
    // In the middle of the first step, of a recorded one, and of a replayed one.
    for launches in [20, 150, 190] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = trainer(8);
        run.move_to(&*cuda).unwrap();
        checkpoint::save(&run, folder.path(), 2).unwrap();
        if !cuda.limit(NO_LIMIT, Some(launches)) {
            return;
        }
        let mut saved = 0;
        let message = loop {
            match run.advance() {
                Ok(step) => {
                    if checkpoint::save(&run, folder.path(), 2).is_ok() {
                        saved = step.step;
                    }
                }
                Err(error) => break error.to_string(),
            }
            assert!(run.step() < 50, "the device is not lost");
        };
        println!("after step {} and {launches} launches: {message}", run.step());
        assert!(message.contains("--resume") && message.contains("--device cpu"), "{message}");
        assert!(checkpoint::save(&run, folder.path(), 2).is_err() && run.generator_file().is_err());
        drop(run);
        cuda.limit(NO_LIMIT, None);
        let mut on_cpu = trainer(8);
        assert_eq!(checkpoint::restore(&mut on_cpu, folder.path(), None).unwrap(), Some(saved));
        on_cpu.advance().unwrap();
    }
}
