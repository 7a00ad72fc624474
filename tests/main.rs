//! Tests of the whole binary: what someone at a terminal relies on, mostly on real MNIST.
//!
//! [`common`] starts the binary in a folder of its own. The rest, one promise a module: bad input is refused in words,
//! a run can be repeated, stopped, killed and gone on with, and its generator used.

mod bad_input;
mod cifar;
mod common;
mod comparing;
mod continuing;
mod damage;
mod fetch;
mod folders;
mod full_disk;
mod generate;
mod interpolate;
mod judging;
mod kills;
mod kills_at_calls;
mod losses;
#[cfg(target_os = "linux")]
mod memory;
mod modern;
mod outputs;
mod overwrite;
mod packs;
mod points;
mod presets;
mod progress;
#[cfg(feature = "mpi")]
mod ranks;
mod repeat;
mod report;
mod resume;
mod scaling;
mod show;
mod signals;
mod terminal;

/// Runs on several processes are compiled in with the feature `mpi` alone, which `cargo xtask test` turns on where Open MPI is.
#[cfg(not(feature = "mpi"))]
#[test]
fn runs_on_several_processes_are_tested_or_skipped() {
    common::skipped("runs on several processes, for the feature gan-cli/mpi is off");
}
