//! Pictures of a GAN run: converts arrays of samples and a run's `metrics.jsonl` into files for people.
//!
//! It takes plain slices and writes files, without tensors or networks. Files are written atomically, except for event files, and errors
//! name the file. In reading order:
//!
//! - [`Picture`]: 8-bit gray or RGB, and its PNG.
//! - [`grid()`]: a batch of [`Images`] as a sheet.
//! - [`tiles`](fn@tiles) and [`titled`]: pictures with captions.
//! - [`Animation`], [`animate`] and [`strip`]: pictures as a GIF, APNG, WebP or MP4, or side by side.
//! - [`NpyWriter`]: samples as a NumPy array, written incrementally.
//! - [`Metrics`]: reads `metrics.jsonl`.
//! - [`plot`]: charts of a run's losses as PNG and SVG, and pictures of points in the plane.
//! - [`tensorboard`]: metrics for TensorBoard.
//! - [`Page`]: a whole run as one HTML file, or as [`Parts`] for a program that serves it.
//! - [`shell`]: what all pages share.

mod animation;
mod charts;
mod error;
mod grid;
mod markup;
mod metrics;
mod npy;
mod page;
mod picture;
pub mod plot;
pub mod shell;
pub mod tensorboard;
mod tiles;

pub use animation::{Animation, AnimationFormat, animate, strip};
pub use error::Error;
pub use grid::{Images, check_grid, grid, straighten};
pub use metrics::{Added, Metrics};
pub use npy::NpyWriter;
pub use page::{
    Card, Chart, Curve, Diagnosis, Frame, NetworkTable, Page, Parts, Section, Sequence, Severity, Single, chart_data,
    grouped, to_digits,
};
pub use picture::{Colour, Picture};
pub use tiles::{Tile, tiles, titled};

/// Maximum size of a file to read in bytes, beyond any picture and any run's metrics.
const MOST_BYTES: u64 = 8 << 30;
