//! A full disk while saving, simulated by a limit on the size of files: the error names the file, and no data are lost.
#![cfg(unix)]

use crate::common::{Finished, SMALL, WorkDir, assert_same, files};
use std::fs;
use std::path::Path;

const RUN: &str = "--set checkpoint.every=3 --set samples.every=4";

/// Runs `gan` with a limit of `blocks` blocks of 512 bytes for each file, as if the disk were full.
fn limited(dir: &WorkDir, blocks: usize, line: &str) -> Finished {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {line}", env!("CARGO_BIN_EXE_gan"));
    Finished::of(&mut dir.program("sh", ["-c", &script]))
}

/// Returns the files under final names, without metrics and events, which may have grown.
fn saved(run: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut all = files(run);
    all.retain(|name, _| name.starts_with("checkpoints/") || name == "generator.safetensors");
    all
}

#[test]
fn a_failed_save_names_the_file_and_keeps_the_last_checkpoint() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} {RUN} --steps 12 --out straight"));
    dir.succeeds(&format!("train {SMALL} {RUN} --steps 3 --out run"));
    dir.succeeds("generate run --count 1 --out before.npy");
    // The limits are too small for the settings, the metrics, the events, which hold sheets of samples, and a checkpoint.
    for (blocks, file) in [(1, "config.toml"), (5, "run"), (12, "events.out"), (1000, "tensors.safetensors")] {
        let before = saved(&dir.path("run"));
        let finished = limited(&dir, blocks, "train run --resume --steps 12");
        finished.expect(1, &["error: ", "run/", file]);
        assert_same(&before, &saved(&dir.path("run")));
        let left: Vec<_> = files(&dir.path("run")).into_keys().filter(|name| name.contains(".tmp")).collect();
        assert!(left.is_empty(), "{left:?}");
        dir.succeeds("generate run --count 1 --out after.npy");
    }
    dir.succeeds("train run --resume --steps 12");
    let (straight, mut run) = (files(&dir.path("straight")), files(&dir.path("run")));
    run.remove("samples/step-0000003.png").expect("the sheet of the first end");
    run.insert("progress.gif".into(), straight["progress.gif"].clone());
    assert_same(&straight, &run);
}

#[test]
fn a_failed_first_checkpoint_leaves_a_run_that_can_resume() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} {RUN} --steps 5 --out straight"));
    limited(&dir, 1000, &format!("train {SMALL} {RUN} --steps 5 --out run")).expect(1, &["tensors.safetensors"]);
    let finished = dir.succeeds("train run --resume");
    assert!(finished.stderr.contains("starting from the beginning"), "{}", finished.stderr);
    assert_same(&files(&dir.path("straight")), &files(&dir.path("run")));
}

#[test]
fn a_failed_output_is_named_and_leaves_no_file() {
    let dir = WorkDir::with_generator();
    for (blocks, command, out) in [
        (1, "generate", "s.png"),
        (1, "generate", "s.npy"),
        (0, "generate", "images"),
        (1, "interpolate", "w.gif"),
        (1, "interpolate", "w.png"),
    ] {
        let line = format!("{command} generator.safetensors --out {out}");
        limited(&dir, blocks, &line).expect(1, &["error: ", out]);
        assert_eq!(fs::read_dir(dir.path("")).expect("a folder").count(), 1);
    }
}
