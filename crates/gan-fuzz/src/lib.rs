//! Fuzz targets: one function for each kind of external input, and the tools to run them.
//!
//! No input may cause a panic, a hang, or an allocation out of proportion to its size. Each [`Target`] passes arbitrary bytes to the
//! code that reads such input, and then uses the result. Two runners share the targets:
//!
//! - `cargo xtask test` runs `tests/targets.rs` on a stable toolchain: every file in `fuzz/corpus`, then random mutations of
//!   them for 30 seconds (`GAN_FUZZ_SECONDS` sets another length);
//! - `cargo fuzz run NAME` lets libFuzzer search with coverage feedback; see `fuzz/README.md`.
//!
//! In reading order: [`target`] (the type of a target, and the list of all), [`targets`] (one file each), [`mod@bound`] (one
//! execution within its limits on memory and time), [`corpus`] (the committed inputs), [`mutate`] (random changes), [`search`] (repeated
//! mutation that keeps inputs with new outcomes), [`place`] (temporary files for code that reads files).

pub mod bound;
pub mod corpus;
pub mod mutate;
pub mod place;
pub mod search;
pub mod target;
pub mod targets;

pub use bound::{Fault, run};
pub use target::{Outcome, TARGETS, Target};
