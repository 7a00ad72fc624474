//! What users get wrong is answered in words, and nothing is touched.
//!
//! Every refusal here is held to the same rules: the exit code (2 for wrong usage or settings, 1 for what failed), one
//! message on standard error in words that need no knowledge of Rust, nothing on standard output, no file made or changed.

mod commands;
mod settings;
pub(crate) mod weights;

use crate::common::{Place, Ran, files};

/// A run that would be over soon if it were allowed to start.
const TRAIN: &str = "train dcgan-mnist --out run --set train.threads=1 --set train.steps=3 --set train.batch=8 \
                     --set generator.width=8 --set discriminator.width=8";

/// Words that speak to programmers of this program, not to its users.
const FOREIGN: [&str; 9] =
    ["panicked", "stack backtrace", "usize", "f64", "u64", "invalid type", "untagged", "unwrap", "variant"];

/// `gan` with the words of `line` ends with `code` and a message that has all of `words`, and leaves everything as it was.
#[track_caller]
pub(crate) fn refused(place: &Place, line: &str, code: i32, words: &[&str]) {
    refused_args(place, &line.split_whitespace().collect::<Vec<_>>(), code, words);
}

/// As [`refused`], for arguments that may hold spaces.
#[track_caller]
pub(crate) fn refused_args(place: &Place, args: &[&str], code: i32, words: &[&str]) {
    let before = files(&place.path(""));
    let mut command = place.program(env!("CARGO_BIN_EXE_gan"), args.iter().copied());
    // Whoever sets this asks for a panic's backtrace, not for one in each message.
    let ran = Ran::of(command.env("RUST_BACKTRACE", "1"));
    ran.expect(code, words);
    let message = &ran.stderr;
    assert!(message.starts_with("error: "), "{message}");
    assert!(ran.stdout.is_empty(), "{}", ran.text());
    for word in FOREIGN {
        assert!(!message.contains(word), "\"{word}\" is no word for users: {message}");
    }
    let parts: Vec<&str> = message.trim_end().split(": ").collect();
    assert!(parts.windows(2).all(|pair| pair[0] != pair[1]), "said twice: {message}");
    assert!(before == files(&place.path("")), "something was written: {message}");
}
