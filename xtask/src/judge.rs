//! `cargo xtask train-judge`: the digit classifier that judges generated digits, trained anew by an example of gan-run.

use crate::cargo::Cargo;
use crate::fault::{Fault, Outcome};
use crate::workspace;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Builds the example and runs it at the workspace's root, where it finds the digits.
pub fn run(args: &[OsString]) -> Outcome {
    // The whole workspace: one crate alone would build candle anew with other features.
    if !Cargo::new(["build", "--release", "--workspace", "--example", "train_judge"]).run()? {
        return Err(Fault::failed("the trainer does not build: see cargo's messages above"));
    }
    let program = program();
    let started = Command::new(&program).args(outputs(args)).current_dir(workspace::root()).status();
    match started {
        Ok(status) if status.success() => Ok(ExitCode::SUCCESS),
        Ok(_) => Err(Fault::failed("the classifier was not trained: see the messages above")),
        Err(error) => Err(Fault::failed(format!(
            "cannot start {}: {error}; if cargo builds into another folder, name it in CARGO_TARGET_DIR",
            program.display()
        ))),
    }
}

fn program() -> PathBuf {
    let here = workspace::target().join("release/examples").join(format!("train_judge{}", env::consts::EXE_SUFFIX));
    std::path::absolute(&here).unwrap_or(here)
}

/// The trainer's arguments: the shipped file, unless another is named (seen from the current folder).
fn outputs(args: &[OsString]) -> Vec<OsString> {
    let Some((out, rest)) = args.split_first() else {
        return vec![workspace::root().join("data/judge/digits.safetensors").into()];
    };
    let out = std::path::absolute(out).map_or_else(|_| out.clone(), OsString::from);
    [vec![out], rest.to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_shipped_file_is_made_unless_another_is_named() {
        let [shipped] = outputs(&[]).try_into().unwrap();
        assert!(Path::new(&shipped).is_file());
        let given = outputs(&["x.safetensors".into(), "3".into()]);
        assert!(Path::new(&given[0]).is_absolute() && given[0].to_string_lossy().ends_with("x.safetensors"));
        assert_eq!(given[1..], ["3"]);
    }
}
