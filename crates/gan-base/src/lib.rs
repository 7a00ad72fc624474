//! What every crate of the toolkit shares, and nothing about GANs: seeded random numbers, files, memory, words for messages.
//!
//! - [`rng`]: the one source of randomness, seeded, forkable and serializable.
//! - [`atomic`]: files and folders that appear complete or not at all.
//! - [`regular_file`] and [`mapped`]: opening and mapping the files that a user names.
//! - [`memory`]: how much memory this process can get.
//! - [`messages`]: counts with their nouns, "did you mean", serde's errors in plain words.

pub mod atomic;
mod error;
#[allow(unsafe_code, reason = "mapping a file is unsafe: see the type's documentation")]
pub mod mapped;
pub mod memory;
pub mod messages;
pub mod regular_file;
pub mod rng;

pub use error::FileError;
pub use rng::Rng;
