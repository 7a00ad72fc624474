//! What can go wrong in this crate, each with what was found and what is expected.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer list that does not fit together.
    #[error("{network} layer {index} ({layer}): got {got}, needs {needs}")]
    Layer {
        /// Which network: "generator" or "discriminator".
        network: String,
        /// The layer's place in the list, from 0.
        index: usize,
        /// The layer as written.
        layer: String,
        /// The shape that reaches it.
        got: String,
        /// What it can work with.
        needs: String,
    },
    /// A network whose end does not fit its task.
    #[error("{network}: {problem}")]
    Network {
        /// Which network.
        network: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A weight file that cannot be used.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Values that are NaN or infinite where numbers are needed.
    #[error("{what} holds {value}; expected finite numbers")]
    NotFinite {
        /// What holds the value.
        what: String,
        /// The value.
        value: f32,
    },
    /// From candle.
    #[error("{}", bare(.0))]
    Candle(#[from] candle_core::Error),
}

/// Candle's error without the backtrace that it carries where `RUST_BACKTRACE` is set: that is for its authors.
pub fn bare(error: &candle_core::Error) -> &candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => bare(inner),
        plain => plain,
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
