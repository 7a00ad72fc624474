//! Damaged checkpoints: resuming reports them and uses the last complete one.

use crate::common::{Finished, SMALL, WorkDir, assert_same, copy, files};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;

const RUN: &str = "--steps 15 --set checkpoint.every=4 --set samples.every=5";
const TENSORS: &str = "tensors.safetensors";

/// A kind of damage to a checkpoint's folder.
type Damage = fn(&Path);

/// Trains a run that has the checkpoints 8, 12 and 15, and returns its files.
fn finished(dir: &WorkDir) -> BTreeMap<String, Vec<u8>> {
    dir.succeeds(&format!("train {SMALL} {RUN} --out run"));
    files(&dir.path("run"))
}

fn truncate(checkpoint: &Path) {
    let file = OpenOptions::new().write(true).open(checkpoint.join(TENSORS)).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn flip_a_bit(checkpoint: &Path) {
    let mut bytes = fs::read(checkpoint.join(TENSORS)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(checkpoint.join(TENSORS), bytes).unwrap();
}

/// Changes a digit of a number in the state of a random stream.
fn change_a_number(checkpoint: &Path) {
    let text = fs::read_to_string(checkpoint.join("state.json")).unwrap();
    let (before, after) = text.split_once("\"noise\"").unwrap();
    let at = after.find(|c| ('2'..='8').contains(&c)).unwrap();
    let changed = format!("{before}\"noise\"{}9{}", &after[..at], &after[at + 1..]);
    fs::write(checkpoint.join("state.json"), changed).unwrap();
}

fn resumed(dir: &WorkDir, name: &str) -> Finished {
    dir.succeeds(&format!("train {name} --resume"))
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_named() {
    let dir = WorkDir::new();
    let straight = finished(&dir);
    let damages: [(&str, Damage); 6] = [
        ("truncated", truncate),
        ("flipped", flip_a_bit),
        ("stateless", |c| fs::remove_file(c.join("state.json")).unwrap()),
        ("changed-state", change_a_number),
        ("empty-state", |c| fs::write(c.join("state.json"), "").unwrap()),
        ("without-tensors", |c| fs::remove_file(c.join(TENSORS)).unwrap()),
    ];
    for (name, damage) in damages {
        copy(&dir.path("run"), &dir.path(name));
        let newest = format!("{name}/checkpoints/step-0000015");
        damage(&dir.path(&newest));
        let finished = resumed(&dir, name);
        finished.expect(0, &[&newest, "damaged", "it is skipped", "resuming after step 12 of 15"]);
        assert!(!finished.stderr.contains('\u{1b}'), "colours in a file: {}", finished.stderr);
        assert_same(&straight, &files(&dir.path(name)));
    }
}

#[test]
fn two_damaged_checkpoints_are_skipped() {
    let dir = WorkDir::new();
    let straight = finished(&dir);
    truncate(&dir.path("run/checkpoints/step-0000015"));
    flip_a_bit(&dir.path("run/checkpoints/step-0000012"));
    resumed(&dir, "run").expect(0, &["step-0000015", "step-0000012", "resuming after step 8 of 15"]);
    assert_same(&straight, &files(&dir.path("run")));
}

#[test]
fn an_invalid_latest_file_is_ignored() {
    let dir = WorkDir::new();
    let straight = finished(&dir);
    for garbage in [&b""[..], b"step-9999999", b"\xff\xfe\x00", b"../../elsewhere"] {
        fs::write(dir.path("run/checkpoints/latest"), garbage).unwrap();
        resumed(&dir, "run").expect(0, &["resuming after step 15 of 15"]);
        assert_same(&straight, &files(&dir.path("run")));
    }
}

#[test]
fn if_all_checkpoints_are_damaged_the_error_says_what_to_do() {
    let dir = WorkDir::new();
    finished(&dir);
    for step in ["08", "12", "15"] {
        truncate(&dir.path(&format!("run/checkpoints/step-00000{step}")));
    }
    let before = files(&dir.path("run"));
    dir.gan("train run --resume").expect(1, &["run/checkpoints", "no checkpoint is whole", "--overwrite"]);
    assert_same(&before, &files(&dir.path("run")));
}

#[test]
fn a_damaged_newer_checkpoint_does_not_remove_complete_ones() {
    let dir = WorkDir::new();
    finished(&dir);
    truncate(&dir.path("run/checkpoints/step-0000015"));
    dir.succeeds("train run --resume --steps 14 --set checkpoint.every=2 --set checkpoint.keep=1");
    let kept: Vec<_> = fs::read_dir(dir.path("run/checkpoints")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(kept.iter().any(|name| name == "step-0000014"), "{kept:?}");
    resumed(&dir, "run").expect(0, &["resuming after step 14 of 14"]);
}
