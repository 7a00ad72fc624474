//! Invalid settings and data. `crates/gan-train/tests/refusals` tests the messages.

use super::{TRAIN, refused};
use crate::common::WorkDir;
use std::fs;

#[test]
fn invalid_settings_are_refused_before_anything_is_written() {
    let dir = WorkDir::new();
    refused(&dir, &format!("{TRAIN} --set train.bach=3"), 2, &["train.bach:", "did you mean \"batch\"?"]);
    refused(&dir, &format!("{TRAIN} --set train.batch=60001"), 2, &["train.batch: found 60001"]);
    refused(&dir, "bench dcgan-mnist --set generator.width=100000000", 2, &["generator.width"]);
}

#[test]
fn every_command_names_an_invalid_settings_file() {
    let dir = WorkDir::new();
    fs::write(dir.path("mine.toml"), "preset = \"dcgan-mnist\"\n[train]\nstepz = 3\n").expect("a file");
    let words = ["mine.toml: ", "train.stepz:", "did you mean \"steps\"?"];
    refused(&dir, "train mine.toml --out run", 2, &words);
    refused(&dir, "summary mine.toml", 2, &words);
}

#[test]
fn missing_data_exits_with_2_and_damaged_data_with_1() {
    let dir = WorkDir::new();
    fs::create_dir(dir.path("data")).expect("a folder");
    let line = format!("{TRAIN} --set data.dir=data");
    refused(&dir, &line, 2, &["data: found no such file in this folder"]);
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        fs::write(dir.path("data").join(name), [0, 0, 8, 1]).expect("a file");
    }
    refused(&dir, &line, 1, &["data/train-images-idx3-ubyte: "]);
}
