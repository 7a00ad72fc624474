//! Fuzz targets: one function for each kind of input that comes from outside the program, and what is needed to run them.
//!
//! No input may cause a panic, a hang, or an allocation that it does not justify. Each [`Target`] feeds arbitrary bytes to the
//! code that reads such input, and goes on to use what was read. Two runners share them:
//!
//! - `cargo xtask test` runs `tests/targets.rs` on a stable toolchain: every file in `fuzz/corpus`, then random mutations of
//!   them for 30 seconds (`GAN_FUZZ_SECONDS` sets another length);
//! - `cargo fuzz run NAME` lets libFuzzer search by coverage; `fuzz/README.md` says how.
//!
//! In reading order: [`target`] (what a target is, and the list of all), [`targets`] (one file for each), [`mod@bound`] (one
//! execution within its bounds of memory and time), [`corpus`] (the committed inputs), [`mutate`], [`search`] (mutations that
//! lead somewhere new), [`place`] (files for code that reads files).

pub mod bound;
pub mod corpus;
pub mod mutate;
pub mod place;
pub mod search;
pub mod target;
pub mod targets;

pub use bound::{Fault, run};
pub use target::{Outcome, TARGETS, Target};
