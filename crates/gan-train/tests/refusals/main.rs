//! Invalid settings are refused with messages that require no knowledge of Rust.
//!
//! `tests/bad_input` tests how the binary reports them (exit code, streams, unchanged files).

mod data;
mod networks;
mod settings;

use gan_kernels::testing::test_device;
use gan_train::layering::{self, Table};
use gan_train::{Error, Trainer, presets};

/// Words that only programmers of this project understand.
const FOREIGN: [&str; 9] =
    ["panicked", "stack backtrace", "usize", "f64", "u64", "invalid type", "untagged", "unwrap", "variant"];

/// Returns a preset with small networks.
fn small() -> Table {
    let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
    for setting in ["train.steps=3", "train.batch=8", "generator.width=8", "discriminator.width=8"] {
        layering::set(&mut table, setting).unwrap();
    }
    table
}

/// Returns the error of settings, from reading them to opening the data.
fn problem(table: Result<Table, Error>) -> String {
    let plan = table.and_then(layering::read).and_then(gan_train::config::RunConfig::check);
    plan.and_then(|plan| Trainer::new(plan, test_device())).err().expect("settings that cannot be used").to_string()
}

/// Asserts that `--set` with each of `cases` is refused with a message that contains the given words.
#[track_caller]
fn all_refused(cases: &[(&str, &[&str])]) {
    for (set, words) in cases {
        let mut table = small();
        let table = layering::set(&mut table, set).map(|()| table);
        expect(&problem(table), words);
    }
}

/// Asserts that a settings file with `text` is refused.
#[track_caller]
fn file_refused(text: impl AsRef<[u8]>, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, text).unwrap();
    expect(&problem(layering::from_file(&path)), words);
}

#[track_caller]
fn expect(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in: {message}");
    }
    for word in FOREIGN {
        assert!(!message.contains(word), "\"{word}\" is no word for users: {message}");
    }
    let parts: Vec<&str> = message.trim_end().split(": ").collect();
    assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "said twice: {message}");
}
