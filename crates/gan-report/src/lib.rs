//! Pictures of a GAN run: from arrays of samples and a run's `metrics.jsonl` to files that people look at.
//!
//! Plain slices in, files out: the crate knows no tensors and no networks. Files appear whole or not at all, errors
//! name the file. In reading order:
//!
//! - [`Picture`]: 8-bit grey or RGB, and its PNG.
//! - [`grid()`]: a batch of [`Images`] as a sheet.
//! - [`animate`] and [`strip`]: pictures as a GIF, or side by side.
//! - [`plot`]: line charts for noisy curves, PNG and SVG.
//! - [`NpyWriter`]: samples as a NumPy array, written as they come.
//! - [`Metrics`]: reads `metrics.jsonl`.
//! - [`losses_figure`]: what a run's metrics look like.
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

/// The most bytes of a file that is read: beyond any picture, and any run's numbers.
const MOST_BYTES: u64 = 8 << 30;
