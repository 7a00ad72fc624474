//! Errors of this crate, each with what was found and what is expected.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A layer list that does not fit together.
    #[error("{network} layer {index} ({layer}): got {got}, needs {needs}")]
    Layer {
        /// Name of the network: "generator" or "discriminator".
        network: String,
        /// Index of the layer in the list, from 0.
        index: usize,
        /// Layer as written.
        layer: String,
        /// Input shape of the layer.
        got: String,
        /// Input that the layer needs.
        needs: String,
    },
    /// A network whose output does not fit its task.
    #[error("{network}: {problem}")]
    Network {
        /// Name of the network.
        network: String,
        /// Description of the problem and what to do.
        problem: String,
    },
    /// A weight file that cannot be used.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// Path of the file.
        path: PathBuf,
        /// Description of the problem and what to do.
        problem: String,
    },
    /// NaN or infinite values.
    #[error("{what} holds {value}; expected finite numbers")]
    NotFinite {
        /// Object that contains the value.
        what: String,
        /// The value.
        value: f32,
    },
    /// From candle.
    #[error("{}", bare(.0))]
    Candle(#[from] candle_core::Error),
}

/// Returns candle's error without the backtrace that it has if `RUST_BACKTRACE` is set, which is for candle's authors.
pub fn bare(error: &candle_core::Error) -> &candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => bare(inner),
        plain => plain,
    }
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
