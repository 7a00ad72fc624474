//! Work that does not fit into memory is refused with advice: before it starts if that is certain, otherwise when the system refuses memory.

use crate::bad_input::weights::without_tensors;
use crate::common::{Finished, WorkDir};
use serde_json::json;
use std::fs;

/// Runs `gan` with the arguments of `line` and an address space of `megabytes`.
fn limited(dir: &WorkDir, megabytes: u64, line: &str) -> Finished {
    let script = format!("ulimit -v {} && exec \"$0\" \"$@\"", megabytes * 1024);
    let args = ["-c", &script, env!("CARGO_BIN_EXE_gan")].into_iter().chain(line.split_whitespace());
    // Each thread needs its own address space.
    Finished::of(dir.program("sh", args).env("RAYON_NUM_THREADS", "1"))
}

#[test]
fn a_batch_that_does_not_fit_into_memory_is_refused_before_the_first_step() {
    let dir = WorkDir::new();
    let line = "train dcgan-mnist --out run --set train.batch=60000 --set train.threads=1";
    let finished = limited(&dir, 4000, line);
    finished
        .expect(2, &["error: train.batch: for training on 60000 samples of shape [1, 28, 28]", "lower train.batch"]);
    assert!(!dir.path("run/metrics.jsonl").exists());
}

#[test]
fn a_failed_allocation_ends_with_advice() {
    let dir = WorkDir::new();
    // A sample takes 512 MiB and is copied before it is written.
    let large = without_tensors(|d| {
        d["layers"] = json!([{"upsample": [8192, 16384]}]);
        d["input"] = json!([1, 1, 1]);
        d["latent"]["dim"] = 1.into();
        d["data"]["shape"] = json!([1, 8192, 16384]);
    });
    fs::write(dir.path("large.safetensors"), large).expect("a file");
    for megabytes in [300, 900] {
        let finished = limited(&dir, megabytes, "generate large.safetensors --count 1 --out sheet.png");
        finished.expect(1, &["error: ", "of memory"]);
        assert!(!finished.stderr.contains("panicked") && !dir.path("sheet.png").exists(), "{}", finished.stderr);
    }
}
