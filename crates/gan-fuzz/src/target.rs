//! What a fuzz target is, and the list of all of them.

use crate::targets;
use std::error::Error;

/// What became of an input: accepted, or refused with a message. Both are fine; only panics, hangs and excessive memory are not.
pub type Outcome = Result<(), Box<dyn Error>>;

/// An input that its target accepts, with the name of its file in the corpus.
pub type Seed = (&'static str, Vec<u8>);

/// One kind of input from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its folder in `fuzz/corpus` and of its program in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Reads the input, and uses what was read.
    pub body: fn(&[u8]) -> Outcome,
    /// Makes inputs that the target accepts. They are committed in the corpus.
    pub seeds: fn() -> Vec<Seed>,
    /// Words of the format, which random bytes would hardly ever spell.
    pub tokens: &'static [&'static str],
    /// The memory that an execution may take.
    pub memory: Memory,
}

/// A bound on memory that grows with the input.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Mebibytes for any input.
    pub mebibytes: usize,
    /// Bytes more for each byte of the input.
    pub per_byte: usize,
}

impl Memory {
    /// Returns the bytes that an input of `length` bytes justifies.
    pub fn allowed(&self, length: usize) -> usize {
        (self.mebibytes << 20) + self.per_byte * length
    }
}

/// Every target. A new one has a file in `targets`, a line here, and a program and a corpus in `fuzz/`.
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
    targets::npy::TARGET,
    targets::fetch::TARGET,
    targets::moments::TARGET,
    targets::embeddings::TARGET,
];

/// Returns the target called `name`.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
