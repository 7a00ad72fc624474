//! Invalid command lines (numbers, devices, sources, run folders, outputs), and a run that diverges.

use super::{TRAIN, refused, refused_args};
use crate::common::{WorkDir, files};
use std::fs;

#[test]
fn numbers_out_of_range_are_refused_with_their_range() {
    let dir = WorkDir::new();
    for (flag, words) in [
        ("--steps -1", ["'-1' for '--steps <N>'", "1 or more"]),
        ("--steps=-1", ["'-1' for '--steps <N>'", "1 or more"]),
        ("--steps 0", ["'0' for '--steps <N>'", "1 or more"]),
        ("--steps x", ["'x' for '--steps <N>'", "a whole number"]),
        ("--steps 1.5", ["'1.5' for '--steps <N>'", "a whole number"]),
        ("--epochs 0", ["'0' for '--epochs <N>'", "1 or more"]),
        ("--epochs -2", ["'-2' for '--epochs <N>'", "1 or more"]),
        ("--seed -1", ["'-1' for '--seed <S>'", "0 or more"]),
        ("--threads 99999", ["'99999' for '--threads <N>'", "from 0 to 1024"]),
        ("--threads -1", ["'-1' for '--threads <N>'", "from 0 to 1024"]),
        ("--gpus 0", ["'0' for '--gpus <N>'", "from 1 to 64"]),
        ("--steps 3 --epochs 2", ["--steps", "--epochs"]),
    ] {
        refused(&dir, &format!("{TRAIN} {flag}"), 2, &words);
    }
    let dir = WorkDir::with_generator();
    for (flag, words) in [
        ("--count 0", ["'0' for '--count <N>'", "from 1 to"]),
        ("--count -1", ["'-1' for '--count <N>'", "from 1 to"]),
        ("--count 99999999999999999", ["--count <N>", "from 1 to"]),
        ("--grid 2", ["'2' for '--grid <RxC>'", "e.g. 8x8"]),
        ("--grid 0x2", ["'0x2' for '--grid <RxC>'", "e.g. 8x8"]),
        ("--grid 4294967296x4294967296", ["--grid <RxC>", "e.g. 8x8"]),
        ("--grid 2x2 --count 64", ["--grid 2x2 has 4 cells", "64 samples"]),
        ("--grid 1000x1000 --count 9", ["--grid", "over 1 GiB"]),
        ("--class -x", ["-x", "--class=-x"]),
        ("--seed -3", ["'-3' for '--seed <S>'", "0 or more"]),
    ] {
        refused(&dir, &format!("generate generator.safetensors --out sheet.png {flag}"), 2, &words);
    }
    let walk = "interpolate generator.safetensors --out walk.gif";
    refused(&dir, &format!("{walk} --points 1"), 2, &["'1' for '--points <N>'", "from 2 to 1000"]);
    refused(&dir, &format!("{walk} --frames 0"), 2, &["'0' for '--frames <N>'", "from 1 to 2000"]);
}

#[test]
fn missing_devices_are_refused_with_the_build_feature() {
    let dir = WorkDir::new();
    let known = "expected auto, cpu, cuda, cuda:N or metal";
    for (device, words) in [
        ("tpu", ["--device tpu: ", known]),
        ("cuda:x", ["--device cuda:x: ", known]),
        ("metal:1", ["--device metal:1: ", known]),
    ] {
        refused(&dir, &format!("{TRAIN} --device {device}"), 2, &words);
    }
    let devices = String::from_utf8(dir.succeeds("devices").stdout).unwrap();
    assert!(devices.contains("cpu") && devices.contains("metal"), "{devices}");
    if devices.contains("no usable CUDA") {
        refused(&dir, &format!("{TRAIN} --device cuda"), 2, &["no usable CUDA", "`gan devices`", "--device cpu"]);
    }
    if cfg!(not(feature = "metal")) {
        refused(&dir, &format!("{TRAIN} --device metal"), 2, &["no Metal", "--features metal", "--device cpu"]);
    }
    if cfg!(not(feature = "nccl")) {
        refused(&dir, &format!("{TRAIN} --gpus 2"), 2, &["--gpus 2: this build has no NCCL", "--features nccl"]);
    }
}

/// What is said of a folder that can neither be trained on nor resumed.
const NOTHING_THERE: [&str; 2] = ["folder: holds neither images nor a run", "config.toml"];

#[test]
fn unknown_sources_are_refused_with_suggestions() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("folder")).expect("a folder");
    for (source, words) in [
        ("dcgan-mnits", ["preset \"dcgan-mnits\"", "did you mean \"dcgan-mnist\"?"]),
        ("none.toml", ["none.toml: ", "there is no such file"]),
        ("folder", ["folder: holds no run", "config.toml"]),
        ("no/such", ["no/such: there is no such file or folder", "name a preset"]),
    ] {
        for command in ["train", "summary", "bench"] {
            // Training also takes folders of images.
            let words = if (command, source) == ("train", "folder") { NOTHING_THERE } else { words };
            refused(&dir, &format!("{command} {source}"), 2, &words);
        }
    }
    refused(&dir, "preset show dcgan", 2, &["preset \"dcgan\"", "did you mean \"dcgan-mnist\"?"]);
}

#[test]
fn resuming_needs_a_run_and_its_settings() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("folder")).expect("a folder");
    refused(&dir, "train dcgan-mnist --resume", 2, &["no run of \"dcgan-mnist\"", "gan train FOLDER --resume"]);
    refused(&dir, "train folder --resume", 2, &["no run of \"folder\" in runs/"]);
    refused(&dir, "train dcgan-mnist --out none --resume", 2, &["none: ", "no run"]);
    refused(&dir, &format!("{TRAIN} --resume --overwrite"), 2, &["--resume", "--overwrite"]);
    dir.succeeds(TRAIN);
    for (set, words) in [
        ("train.batch=4", ["train.batch was 8", "is 4 now"]),
        ("train.seed=9", ["train.seed was 1", "is 9 now"]),
        ("generator.width=4", ["generator.width was 8", "is 4 now"]),
        ("optimizer.generator.lr=1e-3", ["optimizer.generator.lr was 0.0002", "is 0.001 now"]),
        ("data.replacement=true", ["data.replacement was false", "is true now"]),
    ] {
        refused(
            &dir,
            &format!("train run --resume --set train.steps=5 --set {set}"),
            2,
            &[&words[..], &["settings"]].concat(),
        );
    }
}

#[test]
fn nonempty_folders_are_not_changed() {
    let dir = WorkDir::new();
    dir.succeeds(TRAIN);
    fs::create_dir(dir.path("foreign")).expect("a folder");
    fs::write(dir.path("foreign/diary.txt"), "dear diary").expect("a file");
    fs::create_dir(dir.path("config")).expect("a folder");
    fs::write(dir.path("config/config.toml"), "a = 1").expect("a file");
    refused(&dir, TRAIN, 2, &["run: holds a run already", "--resume", "--overwrite", "--out"]);
    refused(&dir, "train run", 2, &["run: is a run", "--resume", "run/config.toml"]);
    for (out, words) in [
        ("foreign", ["foreign: is not empty and not a run", "diary.txt"]),
        ("config", ["config: is not empty and not a run", "config.toml"]),
        ("foreign/diary.txt", ["foreign/diary.txt: is a file", "--out"]),
    ] {
        refused(&dir, &format!("{TRAIN} --out {out}").replace("--out run ", ""), 2, &words);
        refused(&dir, &format!("{TRAIN} --out {out} --overwrite").replace("--out run ", ""), 2, &words);
    }
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    let dir = WorkDir::with_generator();
    for out in ["no/such/sheet.png", "no/such/samples.npy"] {
        refused(&dir, &format!("generate generator.safetensors --count 2 --out {out}"), 1, &[out]);
    }
    refused(
        &dir,
        "interpolate generator.safetensors --points 2 --frames 1 --out no/such/walk.gif",
        1,
        &["no/such/walk.gif"],
    );
    let line = "generate generator.safetensors --grid 2x2 --out samples.npy";
    refused(&dir, line, 2, &["--grid", "samples.npy", "name a .png"]);
    refused_args(&dir, &["train", "dcgan-mnist", "--set", ""], 2, &["--set", "e.g. train.batch=64"]);
}

#[test]
fn a_run_that_diverges_ends_and_keeps_its_last_checkpoint() {
    let dir = WorkDir::new();
    let finished =
        dir.gan(&format!("{TRAIN} --set train.steps=30 --set checkpoint.every=1 --set optimizer.generator.lr=1e30"));
    finished.expect(1, &["error: run: ", "step ", "is not finite", "optimizer.generator.lr", "lower"]);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    let kept = files(&dir.path("run"));
    assert!(kept.keys().any(|name| name.starts_with("checkpoints/step-")), "{:?}", kept.keys());
    let tensors = safetensors::SafeTensors::deserialize(&kept["generator.safetensors"]).expect("a weight file");
    for (name, tensor) in tensors.iter() {
        let finite = tensor.data().as_chunks::<4>().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite());
        assert!(finite, "{name}");
    }
    let last = kept["metrics.jsonl"].clone();
    dir.gan("train run --resume").expect(1, &["is not finite"]);
    assert_eq!(files(&dir.path("run"))["metrics.jsonl"], last);
}
