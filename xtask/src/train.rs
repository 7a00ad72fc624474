//! `cargo xtask train`, `bench` and `experiments`: a release build, then `gan train`, `gan bench` or the experiments in its place.

use crate::cargo::{Cargo, root, target};
use crate::{Fault, Outcome};
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// Preset that is trained if no preset and no file is named: it needs no download.
// ignore-tidy-names: the default
const PRESET: &str = "mnist";

/// Builds, then becomes `gan train`: on Unix, Ctrl-C then reaches `gan` alone and the exit code is its own.
pub fn run(args: &[OsString]) -> Outcome {
    let (features, args) = split_features(args)?;
    build(features).succeed(BROKEN)?;
    become_program(&built("gan"), &with_preset(args))
}

/// Builds, then becomes `gan bench`: whole training steps on synthetic data. With `--peers` it becomes the comparison with PyTorch, run by
/// the Python that `PYTHON` names.
pub fn bench(args: &[OsString]) -> Outcome {
    let (features, args) = split_features(args)?;
    build(features).succeed(BROKEN)?;
    if let Some(rest) = args.strip_prefix(&[OsString::from("--peers")]) {
        let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let compare = root().join("benches/peers/compare.py");
        return become_program(&python, &[&[compare.into(), built("gan")], rest].concat());
    }
    become_program(&built("gan"), &[&["bench".into()], args].concat())
}

/// Builds `gan` and the experiments, then becomes the experiments.
pub fn experiments(args: &[OsString]) -> Outcome {
    // The whole workspace: one crate alone would build candle again with other features.
    let build = Cargo::new(["build", "--release", "--workspace", "--bin", "gan", "--bin", "experiments"]);
    build.succeed("the experiments do not build: see cargo's messages above")?;
    become_program(&built("experiments"), args)
}

const BROKEN: &str = "`gan` does not build: see cargo's messages above";

fn build(features: Option<&OsStr>) -> Cargo {
    let build = Cargo::new(["build", "--release", "--package", "gan-cli", "--bin", "gan"]);
    match features {
        Some(list) => build.args([OsStr::new("--features"), list]),
        None => build,
    }
}

/// Returns the path of the release build of a program.
fn built(name: &str) -> OsString {
    target().join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX)).into()
}

/// Takes a leading `--features LIST` or `--features=LIST`, and the `--` that may stand before the rest.
fn split_features(args: &[OsString]) -> Result<(Option<&OsStr>, &[OsString]), Fault> {
    let (features, rest) = match args {
        [flag, list, rest @ ..] if flag == "--features" => (Some(list.as_os_str()), rest),
        [flag] if flag == "--features" => {
            return Err(Fault::usage("`--features` needs a list, e.g. `cargo xtask train --features cuda`"));
        }
        _ => {
            match args.split_first().and_then(|(flag, rest)| Some((flag.to_str()?.strip_prefix("--features=")?, rest)))
            {
                Some((list, rest)) => (Some(OsStr::new(list)), rest),
                None => (None, args),
            }
        }
    };
    Ok((features, rest.strip_prefix(&[OsString::from("--")]).unwrap_or(rest)))
}

/// Returns `train PRESET ARGS…`, with the default preset if neither a preset nor a file comes first.
fn with_preset(args: &[OsString]) -> Vec<OsString> {
    let is_named = args.first().is_some_and(|arg| !arg.to_string_lossy().starts_with('-'));
    let preset = (!is_named).then(|| PRESET.into());
    [OsString::from("train")].into_iter().chain(preset).chain(args.iter().cloned()).collect()
}

#[cfg(unix)]
fn become_program(program: &OsStr, args: &[OsString]) -> Outcome {
    use std::os::unix::process::CommandExt;
    Err(not_started(program, &Command::new(program).args(args).exec()))
}

#[cfg(not(unix))]
fn become_program(program: &OsStr, args: &[OsString]) -> Outcome {
    use std::process::ExitCode;
    let status = Command::new(program).args(args).status().map_err(|error| not_started(program, &error))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn not_started(program: &OsStr, error: &std::io::Error) -> Fault {
    let program = Path::new(program).display();
    Fault::failed(format!(
        "cannot start {program}: {error}; if cargo builds into another folder, name it in CARGO_TARGET_DIR"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn a_preset_is_put_in_where_none_is_named() {
        for (given, wanted) in [
            ("", "train mnist"),
            ("--steps 5", "train mnist --steps 5"),
            ("keras-mnist --steps 5", "train keras-mnist --steps 5"),
            ("my/own.toml", "train my/own.toml"),
        ] {
            assert_eq!(with_preset(&words(given)), words(wanted));
        }
    }

    #[test]
    fn leading_features_go_to_cargo() {
        for (given, features, rest) in [
            ("", None, ""),
            ("keras-mnist --features x", None, "keras-mnist --features x"),
            ("--features cuda", Some("cuda"), ""),
            ("--features=cuda --steps 5", Some("cuda"), "--steps 5"),
            ("--features cuda -- keras-mnist", Some("cuda"), "keras-mnist"),
            ("-- keras-mnist", None, "keras-mnist"),
        ] {
            let given = words(given);
            assert_eq!(split_features(&given).unwrap(), (features.map(OsStr::new), words(rest).as_slice()));
        }
        assert!(split_features(&words("--features")).is_err());
        assert!(build(Some(OsStr::new("cuda"))).to_string().ends_with("--bin gan --features cuda"));
    }
}
