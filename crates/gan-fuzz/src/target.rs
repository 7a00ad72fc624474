//! The type of a fuzz target, and the list of all targets.

use crate::targets;
use std::error::Error;

/// The outcome of an input: accepted, or refused with a message. Neither is a fault.
pub type Outcome = Result<(), Box<dyn Error>>;

/// An input that its target accepts, with the name of its file in the corpus.
pub type Seed = (&'static str, Vec<u8>);

/// A fuzz target for one kind of external input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the folder in `fuzz/corpus` and of the program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Reads the input and uses the result.
    pub body: fn(&[u8]) -> Outcome,
    /// Returns inputs that the target accepts. They are committed in the corpus.
    pub seeds: fn() -> Vec<Seed>,
    /// Words of the format, which random bytes would almost never contain.
    pub tokens: &'static [&'static str],
    /// Returns the names of layers, losses, … that the format contains, from the registries.
    pub names: fn() -> Vec<&'static str>,
    /// Limit on the memory of an execution.
    pub memory: Memory,
}

/// A limit on memory that grows with the input.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Mebibytes allowed for any input.
    pub mebibytes: usize,
    /// Additional bytes allowed for each byte of the input.
    pub per_byte: usize,
}

impl Memory {
    /// Returns the bytes that are allowed for an input of `length` bytes.
    pub fn allowed(&self, length: usize) -> usize {
        (self.mebibytes << 20) + self.per_byte * length
    }
}

/// Every target. A new target needs a file in `targets`, a line here, and a program and a corpus in `fuzz/`.
pub static TARGETS: &[Target] = &[
    targets::weights::TARGET,
    targets::network::TARGET,
    targets::classifier::TARGET,
    targets::settings::TARGET,
    targets::assignments::TARGET,
    targets::checkpoint::TARGET,
    targets::pack::TARGET,
    targets::idx::TARGET,
    targets::idx_gz::TARGET,
    targets::cifar::TARGET,
    targets::celeba::TARGET,
    targets::image::TARGET,
    targets::report::TARGET,
    targets::state_dict::TARGET,
    targets::import::TARGET,
    targets::npy::TARGET,
    targets::fetch::TARGET,
    targets::moments::TARGET,
    targets::zip::TARGET,
    targets::embeddings::TARGET,
];

/// Returns the target called `name`.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
