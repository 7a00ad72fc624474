//! `cargo xtask test`: everything that there is, or what the arguments pick.

use crate::cargo::Cargo;
use crate::fault::Outcome;
use crate::mpi;
use crate::tidy;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the tests, then tidy whatever came of them, and ends with a line that says whether all passed.
pub fn test(args: &[OsString]) -> Outcome {
    let tested = cargo_test(args, mpi::features()?).run()?;
    let tidied = tidy::passes()?;
    let failed: Vec<&str> =
        [(tested, "cargo test"), (tidied, "tidy")].into_iter().filter(|part| !part.0).map(|part| part.1).collect();
    if failed.is_empty() {
        println!("xtask test: all passed");
        return Ok(ExitCode::SUCCESS);
    }
    println!("xtask test: FAILED: {}", failed.join(" and "));
    Ok(ExitCode::FAILURE)
}

/// The tests, in release: numbers take too long without optimisation, and `train` needs that build anyway.
pub fn cargo_test(args: &[OsString], features: &[&str]) -> Cargo {
    picked(Cargo::new(["test", "--release"]), args, features)
}

/// The whole workspace with `features`, unless the arguments name packages: cargo would ignore them beside `--workspace`.
fn picked(cargo: Cargo, args: &[OsString], features: &[&str]) -> Cargo {
    match names_package(args) {
        true => cargo.args(args),
        false => cargo.args(["--workspace"]).args(features).args(args),
    }
}

fn names_package(args: &[OsString]) -> bool {
    let names = |arg: &str| arg.starts_with("--package") || (arg.starts_with("-p") && !arg.starts_with("--"));
    args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--").any(|arg| names(&arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_take_the_place_of_the_workspace() {
        for (args, wanted) in [
            ("", "cargo test --release --workspace"),
            ("-p gan-core loss", "cargo test --release -p gan-core loss"),
            ("--package=gan-core", "cargo test --release --package=gan-core"),
            ("loss -- --nocapture -p", "cargo test --release --workspace loss -- --nocapture -p"),
        ] {
            let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
            assert_eq!(cargo_test(&args, &[]).to_string(), wanted);
        }
    }
}
