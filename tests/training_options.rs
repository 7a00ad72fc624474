//! Classes, spectral norm, augmentation, PacGAN, EMA and schedules: runs with them resume exactly, and invalid uses are
//! refused.

use crate::bad_input::refused;
use crate::common::{SMALL, WorkDir, assert_same, metrics, results};

/// Small class-conditional networks: concatenated classes in G, projection in D.
const CLASSES: &str = "--set generator.input=[8] --set generator.layers=[{concat_class=10,embedding=4},{dense=49},{reshape=[1,7,7]},{conditional_batch_norm=10},\"silu\",{upsample=4},{conv=1,kernel=3,padding=1},\"tanh\"] \
     --set latent.dim=8 --set discriminator.input=[1,28,28] --set discriminator.layers=[{conv=4,kernel=4,stride=4},{leaky_relu=0.2},\"flatten\",{projection=10}]";

/// Asserts that an uninterrupted run and one that resumed after half of its steps have the same files.
fn survives_a_stop(settings: &str) -> WorkDir {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} {settings} --set samples.every=4 --steps 8 --out straight"));
    dir.succeeds(&format!("train {SMALL} {settings} --set samples.every=4 --steps 4 --out parts"));
    dir.succeeds("train parts --resume --steps 8");
    assert_same(&results(&dir.path("straight")), &results(&dir.path("parts")));
    dir
}

#[test]
fn spectral_norm_ema_and_augmentation_resume_exactly() {
    let dir = survives_a_stop(
        "--set discriminator.spectral_norm=true --set loss.kind=hinge --set train.ema=0.9 --set augment.color=true --set augment.translation=0.2 \
         --set augment.cutout=0.3 --set loss.flip=0.1 --set train.clip_norm=0.5 --set penalties=[{kind=\"feature_matching\",weight=0.1}]",
    );
    let norms: Vec<f64> =
        metrics(&dir.path("straight")).iter().filter_map(|line| line["grad_norm_d"].as_f64()).collect();
    assert_eq!(norms.len(), 8);
}

#[test]
fn class_conditional_runs_resume_exactly_and_generate_the_requested_class() {
    let dir = survives_a_stop(&format!("{CLASSES} --set train.reuse_fakes=false --set train.g_steps=2"));
    dir.succeeds("generate straight --count 4 --class 3 --out three.npy");
    dir.succeeds("generate straight --count 4 --out turns.npy");
    let samples = |name: &str| std::fs::read(dir.path(name)).expect("a .npy file")[128..].to_vec();
    let (three, turns) = (samples("three.npy"), samples("turns.npy"));
    // Both have the same noise; one has the classes 0, 1, 2, 3, and the other only 3.
    let part = three.len() / 4;
    assert!(three[3 * part..] == turns[3 * part..] && three[..part] != turns[..part]);
}

#[test]
fn pacgan_and_gradient_accumulation_train() {
    survives_a_stop("--set train.pacgan=2 --set data.replacement=true --set train.accumulate=2");
}

#[test]
fn an_unknown_class_is_refused() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} {CLASSES} --steps 1 --out run"));
    dir.succeeds(&format!("train {SMALL} --steps 1 --out plain"));
    refused(&dir, "generate run --class 10 --out x.png", 2, &["--class 10", "0 to 9"]);
    refused(&dir, "generate plain --class 1 --out x.png", 2, &["--class 1", "knows no classes"]);
}

#[test]
fn accumulated_gradients_equal_those_of_the_whole_batch() {
    // Without batch norm, the mean gradient of the micro-batches equals that of the whole batch, up to rounding.
    let dir = WorkDir::new();
    let plain = "--set generator.family=mlp --set generator.hidden=[16] --set discriminator.family=mlp --set discriminator.hidden=[16]";
    for parts in [1, 2] {
        dir.succeeds(&format!("train {SMALL} {plain} --set train.accumulate={parts} --steps 3 --out by-{parts}"));
    }
    let [whole, parts] = ["by-1", "by-2"].map(|run| metrics(&dir.path(run)));
    for (a, b) in whole.iter().zip(&parts) {
        for key in ["loss_d", "loss_g", "grad_norm_d", "grad_norm_g", "d_real"] {
            let (a, b) = (a[key].as_f64().expect("a number"), b[key].as_f64().expect("a number"));
            assert!((a - b).abs() < 1e-4 * a.abs().max(0.1), "{key}: {a} {b}");
        }
    }
}

#[test]
fn clipped_weights_stay_within_the_limit() {
    let dir = WorkDir::new();
    dir.succeeds(&format!(
        "train {SMALL} --set loss.kind=wasserstein --set penalties=[{{kind=\"clip\",weight=0.01}}] --steps 3 --out run"
    ));
    let path = dir.path("run/checkpoints/step-0000003/tensors.safetensors");
    let bytes = std::fs::read(path).expect("a checkpoint");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("tensors");
    let mut seen = 0;
    for (name, tensor) in
        tensors.tensors().iter().filter(|(name, _)| name.starts_with("discriminator.") && !name.contains("running"))
    {
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
        let largest = values.fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(largest <= 0.01, "{name}: {largest}");
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn a_run_ends_when_it_reaches_its_target_figure() {
    let dir = WorkDir::new();
    let points = "ring2d --set evaluate.every=5 --set evaluate.samples=200 --set samples.rows=4 --set samples.columns=4 --threads 1";
    let finished = dir.succeeds(&format!("train {points} --set train.until={{energy=1e9}} --steps 40 --out soon"));
    assert!(
        finished.text().contains("after step 0 of 40: train.until is reached (energy 1000000000)"),
        "{}",
        finished.text()
    );
    dir.succeeds(&format!("train {points} --set train.until={{energy=1e-9}} --steps 10 --out late"));
    let last = |run: &str| metrics(&dir.path(run)).iter().filter_map(|line| line["step"].as_u64()).max();
    assert_eq!((last("soon"), last("late")), (Some(0), Some(10)));
}

#[test]
fn a_sample_is_projected_to_its_latent_vector() {
    let dir = WorkDir::with_generator();
    dir.succeeds("generate generator.safetensors --count 2 --out two.npy");
    dir.succeeds("generate generator.safetensors --count 2 --out two");
    let finished = dir.succeeds(
        "project generator.safetensors two.npy two/0000.png --starts 4 --steps 60 --out pairs.png --latents-out z.npy",
    );
    let difference = |line: &str| line.split_once("difference ")?.1.split(',').next()?.parse().ok();
    let differences: Vec<f64> = finished.text().lines().filter_map(difference).collect();
    // Samples of an untrained generator differ little from each other.
    assert!(differences.len() == 3 && differences.iter().all(|d| *d < 0.05), "{}", finished.text());
    assert!(dir.path("pairs.png").exists());
    dir.succeeds("generate generator.safetensors --latents z.npy --out again.png");
    refused(&dir, "project generator.safetensors none.png --out x.png", 1, &["none.png", "cannot be read"]);
    refused(&dir, "project generator.safetensors z.npy --out x.png", 1, &["z.npy", "expected [N, 1, 28, 28]"]);
    refused(&dir, "generate generator.safetensors --truncation 0 --out x.png", 2, &["--truncation", "0.01 to 1000"]);
    dir.succeeds("generate generator.safetensors --count 2 --truncation 0.5 --out within.png");
}
