//! SIGKILL at any moment, from the start to the last picture: no incomplete file is used, and the run resumes.

use crate::common::{SMALL, WorkDir, assert_same, files, steps};
use gan_report::Picture;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const RUN: &str = "--steps 14 --set checkpoint.every=3 --set checkpoint.keep=2 --set samples.every=4";
const KILLS: u64 = 20;

/// Returns reproducible numbers in [0, 1): the high bits of a linear congruential generator.
fn random() -> impl Iterator<Item = f64> {
    let step = |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    std::iter::successors(Some(step(2026)), move |s| Some(step(*s))).map(|s| (s >> 11) as f64 / (1u64 << 53) as f64)
}

#[test]
fn a_run_killed_at_any_moment_resumes_to_the_same_bytes() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} {RUN} --out straight"));
    let start = Instant::now();
    dir.succeeds(&format!("train {SMALL} {RUN} --out timed"));
    let length = start.elapsed().as_secs_f64();
    let straight = files(&dir.path("straight"));
    let mut random = random();
    for kill in 0..KILLS {
        let (name, mut lives) = (format!("killed-{kill}"), 0);
        // Every fourth run is killed again after it has resumed.
        while lives < if kill % 4 == 0 { 2 } else { 1 } {
            let run = dir.start(&go_on(&dir, &name));
            // One kill in each part of the run, at a random moment.
            let moment = (kill as f64 + random.next().expect("endless")) / KILLS as f64;
            sleep(Duration::from_secs_f64(length * moment));
            run.kill();
            nothing_is_half_there(&dir.path(&name));
            lives += 1;
        }
        dir.succeeds(&go_on(&dir, &name));
        assert_same(&straight, &files(&dir.path(&name)));
    }
}

/// Continues as a user would: repeats the first command if no run has started, and resumes otherwise.
fn go_on(dir: &WorkDir, name: &str) -> String {
    if dir.path(&format!("{name}/config.toml")).exists() {
        format!("train {name} --resume")
    } else {
        format!("train {SMALL} {RUN} --out {name}")
    }
}

/// Asserts that every file under a final name is complete.
fn nothing_is_half_there(run: &Path) {
    let found = if run.exists() { files(run) } else { BTreeMap::new() };
    for (name, bytes) in found.iter().filter(|(name, _)| !name.split('/').any(|part| part.ends_with(".tmp"))) {
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("safetensors") => drop(SafeTensors::deserialize(bytes).expect(name)),
            Some("png") => drop(Picture::open_png(&run.join(name)).expect(name)),
            Some("json") => checkpoint_is_whole(&found, name, bytes),
            _ if name == "checkpoints/latest" => {
                let named = std::str::from_utf8(bytes).expect("a name");
                assert!(run.join("checkpoints").join(named).is_dir(), "latest names {named}");
            }
            _ => {}
        }
    }
    let steps = if run.exists() { steps(run) } else { Vec::new() };
    assert!(steps.iter().copied().eq(1..=steps.len() as u64), "{steps:?}");
}

fn checkpoint_is_whole(found: &BTreeMap<String, Vec<u8>>, name: &str, state: &[u8]) {
    let state: serde_json::Value = serde_json::from_slice(state).expect(name);
    let tensors = &found[&name.replace("state.json", "tensors.safetensors")];
    assert_eq!(state["tensors_len"], tensors.len(), "{name}");
}

#[test]
fn incomplete_files_of_a_killed_run_are_removed() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 2 --out run"));
    let before = files(&dir.path("run"));
    let left =
        [".generator.safetensors.77-3.tmp", "samples/.step-0000002.png.77-4.tmp", "checkpoints/.latest.77-5.tmp"];
    for name in left {
        fs::write(dir.path("run").join(name), "half").unwrap();
    }
    fs::create_dir(dir.path("run/checkpoints/.step-0000004.tmp")).unwrap();
    dir.succeeds("train run --resume");
    assert_same(&before, &files(&dir.path("run")));
}
