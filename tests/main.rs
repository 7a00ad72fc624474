//! Tests of the whole binary as its users run it, mostly on MNIST.
//!
//! [`common`] starts the binary in its own folder. Each other module tests one property: invalid input is refused with clear
//! messages, runs can be repeated, stopped, killed and resumed, and their generators can be used.

mod bad_input;
mod cifar;
mod common;
mod damaged_checkpoints;
mod documentation;
mod evaluate_files;
mod evaluation;
mod export;
mod fetch;
mod folders;
mod formats;
mod full_disk;
mod generate;
#[cfg(feature = "hub")]
mod hub;
mod import;
mod interpolate;
mod kills;
mod kills_at_calls;
mod loops;
mod losses;
#[cfg(target_os = "linux")]
mod memory;
mod outputs;
mod overwrite;
mod own_images;
mod packs;
#[cfg(unix)]
mod pages;
mod points;
mod presets;
mod progress;
#[cfg(feature = "mpi")]
mod ranks;
mod repeat;
mod report;
mod resume;
mod resume_checks;
mod scaling;
#[cfg(unix)]
mod serve;
mod sheets;
mod show;
mod signals;
mod terminal;
mod training_options;

/// Tests on several processes need the feature `mpi`, which `cargo xtask test` enables if Open MPI is installed.
#[cfg(not(feature = "mpi"))]
#[test]
fn runs_on_several_processes_are_tested_or_skipped() {
    common::skipped("runs on several processes, for the feature gan-cli/mpi is off");
}
