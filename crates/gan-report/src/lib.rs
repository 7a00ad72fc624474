//! Pictures of a GAN run: converts arrays of samples and a run's `metrics.jsonl` into files for people.
//!
//! It takes plain slices and writes files, without tensors or networks. Files are written atomically, and errors name
//! the file. In reading order:
//!
//! - [`Picture`]: 8-bit gray or RGB, and its PNG.
//! - [`grid()`]: a batch of [`Images`] as a sheet.
//! - [`animate`] and [`strip`]: pictures as a GIF, or side by side.
//! - [`plot`]: line charts for noisy curves, PNG and SVG.
//! - [`NpyWriter`]: samples as a NumPy array, written incrementally.
//! - [`Metrics`]: reads `metrics.jsonl`.
//! - [`losses_figure`]: charts of a run's metrics.
//! - [`tensorboard`]: the same numbers for TensorBoard.
//! - [`Page`]: a whole run as one HTML file.
//! - [`Error`]. All but event files are written through [`gan_base::atomic`].

mod animation;
mod error;
mod grid;
mod losses;
mod metrics;
mod npy;
pub mod page;
mod picture;
pub mod plot;
pub mod tensorboard;

pub use animation::{animate, strip};
pub use error::Error;
pub use grid::{BACKGROUND, GAP, Images, check_grid, grid};
pub use losses::{losses_figure, losses_figure_of};
pub use metrics::Metrics;
pub use npy::NpyWriter;
pub use page::{Page, to_digits};
pub use picture::{Colour, Picture};

/// Maximum size of a file to read in bytes, beyond any picture and any run's metrics.
const MOST_BYTES: u64 = 8 << 30;
