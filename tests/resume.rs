//! `--resume` after SIGKILL: the run ends with the same bytes as an uninterrupted one.

use crate::common::{SMALL, WorkDir, assert_same, files, metrics, results, steps};
use std::fs;

/// Asserts that an uninterrupted run of `steps` and one that was killed after `killed_at` and resumed have the same files.
fn killed_equals_straight(settings: &str, steps: u64, killed_at: u64) {
    killed_equals_straight_at(&WorkDir::new(), settings, steps, killed_at);
}

fn killed_equals_straight_at(dir: &WorkDir, settings: &str, steps: u64, killed_at: u64) {
    dir.succeeds(&format!("train {settings} --steps {steps} --out straight"));
    let mut run = dir.start(&format!("train {settings} --steps {steps} --out killed"));
    run.reaches(&dir.path("killed"), killed_at);
    run.kill();
    assert!(!dir.path("killed/progress.gif").exists(), "the run was over before it was killed");
    let finished = dir.succeeds("train killed --resume");
    assert!(finished.stderr.contains("resuming after step"), "{}", finished.stderr);
    assert_same(&files(&dir.path("straight")), &files(&dir.path("killed")));
}

#[test]
fn a_killed_dcgan_resumes_to_the_same_bytes() {
    killed_equals_straight(&format!("{SMALL} --set checkpoint.every=40 --set samples.every=50"), 200, 100);
}

#[test]
fn a_killed_keras_mnist_resumes_to_the_same_bytes() {
    let settings =
        "keras-mnist --set train.batch=4 --set samples.rows=2 --set samples.columns=2 --set evaluate.every=0";
    killed_equals_straight(&format!("{settings} --set checkpoint.every=4 --set samples.every=5"), 12, 6);
}

#[test]
fn a_killed_run_with_rmsprop_and_several_d_steps_resumes_to_the_same_bytes() {
    let rmsprop = "--set optimizer.generator.kind=rmsprop --set optimizer.discriminator.kind=rmsprop";
    killed_equals_straight(&format!("{SMALL} {rmsprop} --set train.d_steps=2 --set checkpoint.every=7"), 50, 20);
}

#[test]
fn a_killed_run_with_dropout_resumes_to_the_same_bytes() {
    let layers =
        "discriminator.layers=[{conv=8,kernel=5,stride=4},{leaky_relu=0.2},{dropout=0.3},\"flatten\",{dense=1}]";
    let settings = format!("{SMALL} --set {layers} --set discriminator.input=[1,28,28] --set train.g_steps=2");
    killed_equals_straight(&format!("{settings} --set checkpoint.every=9"), 40, 15);
}

#[test]
fn a_killed_run_with_adaptive_augmentation_and_schedules_resumes_to_the_same_bytes() {
    let augment = "--set augment.cutout=0.5 --set augment.probability=0.2 --set augment.adaptive=0.6 --set augment.adaptive_images=100";
    let schedule =
        "--set schedule.lr_factor=0.1 --set schedule.beta2=0.9 --set schedule.images=300 --set train.ema_half_life=40";
    let reals = "--set loss.kind=relativistic_pairing --set train.reuse_reals=false --set train.reuse_fakes=false";
    killed_equals_straight(&format!("{SMALL} {augment} {schedule} {reals} --set checkpoint.every=7"), 50, 20);
}

#[test]
fn a_killed_run_over_many_epochs_resumes_to_the_same_bytes() {
    let dir = WorkDir::new();
    dir.first_digits("digits", 50);
    // An epoch has four batches, the last with two images.
    killed_equals_straight_at(&dir, &format!("{SMALL} --set data.dir=digits --set checkpoint.every=7"), 60, 30);
    assert_eq!(metrics(&dir.path("killed")).last().expect("a line")["epoch"], 14);
}

#[test]
fn a_run_by_epochs_can_be_extended() {
    let dir = WorkDir::new();
    dir.first_digits("digits", 64);
    let settings = format!("{SMALL} --set data.dir=digits --set checkpoint.every=4 --set samples.every=4");
    dir.succeeds(&format!("train {settings} --epochs 5 --out straight"));
    dir.succeeds(&format!("train {settings} --epochs 2 --out longer"));
    dir.succeeds("train longer --resume --epochs 5");
    assert_same(&files(&dir.path("straight")), &files(&dir.path("longer")));
}

#[test]
fn a_finished_run_can_be_extended() {
    let dir = WorkDir::new();
    let settings = format!("{SMALL} --set checkpoint.every=10 --set samples.every=10");
    dir.succeeds(&format!("train {settings} --steps 40 --out straight"));
    dir.succeeds(&format!("train {settings} --steps 20 --out longer"));
    dir.succeeds("train longer --resume --steps 40");
    assert_same(&files(&dir.path("straight")), &files(&dir.path("longer")));
}

#[test]
fn threads_workers_and_intervals_may_change_when_resuming() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 30 --out straight"));
    dir.succeeds(&format!("train {SMALL} --steps 12 --out changed"));
    let changes = "--threads 2 --set data.workers=3 --set checkpoint.every=5 --set samples.every=1000";
    dir.succeeds(&format!("train changed --resume --steps 30 {changes}"));
    let (straight, mut changed) = (results(&dir.path("straight")), results(&dir.path("changed")));
    changed.remove("samples/step-0000012.png").expect("the sheet of the first end");
    assert_same(&straight, &changed);
}

#[test]
fn settings_that_affect_steps_may_not_change() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 2 --out run"));
    let before = files(&dir.path("run"));
    for change in ["--set train.batch=8", "--seed 9", "--set optimizer.generator.lr=1e-3"] {
        dir.gan(&format!("train run --resume --steps 4 {change}")).expect(2, &["other settings", "now"]);
    }
    assert_same(&before, &files(&dir.path("run")));
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 4 --out run"));
    let before = files(&dir.path("run"));
    dir.succeeds("train run --resume");
    assert_same(&before, &files(&dir.path("run")));
    assert_eq!(steps(&dir.path("run")), [1, 2, 3, 4]);
}

#[test]
fn a_weight_file_older_than_the_checkpoint_is_updated() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --set checkpoint.every=2 --steps 2 --out run"));
    let old = fs::read(dir.path("run/generator.safetensors")).unwrap();
    dir.succeeds("train run --resume --steps 4");
    let before = files(&dir.path("run"));
    // As if the process had been killed between its last checkpoint and its weight file.
    fs::write(dir.path("run/generator.safetensors"), old).unwrap();
    dir.succeeds("train run --resume");
    assert_same(&before, &files(&dir.path("run")));
}

#[test]
fn resume_without_a_folder_continues_the_newest_run_of_the_preset() {
    let dir = WorkDir::new();
    dir.gan("train dcgan-mnist --resume")
        .expect(2, &["no run of \"dcgan-mnist\" in runs/", "gan train FOLDER --resume"]);
    dir.succeeds(&format!("train {SMALL} --steps 1 --out runs/dcgan-mnist-20200101-000000"));
    dir.succeeds(&format!("train {SMALL} --steps 1"));
    let finished = dir.succeeds("train dcgan-mnist --resume --steps 2");
    assert!(finished.stderr.contains("resuming after step 1 of 2"), "{}", finished.stderr);
    assert_eq!(steps(&dir.path("runs/dcgan-mnist-20200101-000000")), [1]);
}

#[test]
fn a_folder_without_a_run_is_refused() {
    let dir = WorkDir::new();
    dir.gan("train dcgan-mnist --resume --out nowhere").expect(2, &["nowhere", "holds no run"]);
    assert!(!dir.path("nowhere").exists());
}

#[test]
fn a_run_cannot_end_before_its_current_step() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 3 --out run"));
    let before = files(&dir.path("run"));
    dir.gan("train run --resume --steps 2").expect(2, &["3 steps are done", "the 2 requested"]);
    assert_same(&before, &files(&dir.path("run")));
}

#[test]
fn a_run_of_another_preset_is_not_resumed() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 1 --out run"));
    dir.gan("train keras-mnist --resume --out run").expect(2, &["run", "a run of dcgan-mnist", "keras-mnist"]);
    dir.succeeds("train dcgan-mnist --resume --out run --steps 2");
}

#[test]
fn the_size_of_sample_sheets_may_change_when_resuming() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 4 --set samples.every=2 --out grid"));
    fs::write(dir.path("grid/samples/step-0000003.png"), "not a picture").unwrap();
    dir.succeeds("train grid --resume --steps 6 --set samples.rows=2");
    assert!(dir.path("grid/progress.gif").exists());
}

#[test]
fn alternation_by_epochs_resumes_exactly() {
    let turns =
        "--set train.alternate=epochs --set train.reuse_fakes=false --set train.batch=600 --set train.log_every=2";
    // An epoch is ten batches.
    let data = "--set data.limit=6000 --set generator.width=1 --set discriminator.width=1 --set evaluate.every=0";
    killed_equals_straight(&format!("dcgan-mnist {data} {turns} --set checkpoint.every=3"), 24, 13);
}
