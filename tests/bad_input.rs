//! Invalid input is refused with a clear message, and no file changes.
//!
//! Every refusal follows the same rules: the exit code is 2 for invalid usage or settings and 1 for failures, standard error has one
//! message that requires no knowledge of Rust, standard output is empty, and no file is created or changed.

mod commands;
mod settings;
pub(crate) mod weights;

use crate::common::{Finished, WorkDir, files};

/// A run that would finish soon if it were allowed to start.
const TRAIN: &str = "train dcgan-mnist --out run --set train.threads=1 --set train.steps=3 --set train.batch=8 \
                     --set generator.width=8 --set discriminator.width=8";

/// Words that only programmers of this project understand.
const FOREIGN: [&str; 9] =
    ["panicked", "stack backtrace", "usize", "f64", "u64", "invalid type", "untagged", "unwrap", "variant"];

/// Asserts that `gan` with the arguments of `line` ends with `code` and a message that contains all of `words`, and changes no file.
#[track_caller]
pub(crate) fn refused(dir: &WorkDir, line: &str, code: i32, words: &[&str]) {
    refused_args(dir, &line.split_whitespace().collect::<Vec<_>>(), code, words);
}

/// Like [`refused`], for arguments that may contain spaces.
#[track_caller]
pub(crate) fn refused_args(dir: &WorkDir, args: &[&str], code: i32, words: &[&str]) {
    let before = files(&dir.path(""));
    let mut command = dir.program(env!("CARGO_BIN_EXE_gan"), args.iter().copied());
    // This variable requests backtraces of panics; error messages must not contain one.
    let finished = Finished::of(command.env("RUST_BACKTRACE", "1"));
    finished.expect(code, words);
    let message = &finished.stderr;
    assert!(message.starts_with("error: "), "{message}");
    assert!(finished.stdout.is_empty(), "{}", finished.text());
    for word in FOREIGN {
        assert!(!message.contains(word), "\"{word}\" is jargon: {message}");
    }
    let parts: Vec<&str> = message.trim_end().split(": ").collect();
    assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "repeated text: {message}");
    assert!(before == files(&dir.path("")), "something was written: {message}");
}
