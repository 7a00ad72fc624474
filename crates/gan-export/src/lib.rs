//! Networks for other programs and for the browser: ONNX files, PyTorch modules, pages.
//!
//! A [`Model`] is a trained network with the description of its weight file. A [`Format`] turns it into one or more files; [`FORMATS`] lists them,
//! one file of source each. Formats read [`gan_core::graph`] and [`gan_core::pytorch`], which the layers themselves fill, and know no layers.
//!
//! In reading order: [`model`] (a network and its check), [`formats`] (the registry, then each format), [`directions`] (what explorers move along), [`Lab`] (a page that trains), `embedded` (what pages contain).

pub mod directions;
mod embedded;
pub mod error;
pub mod formats;
mod lab;
pub mod model;

pub use error::{Error, Result};
pub use formats::{ExportedFile, FORMATS, Format, PYTHON_FIRST_LINE};
pub use lab::{Lab, LabPreset};
pub use model::{Model, Network};

use gan_base::atomic;
use std::path::Path;

/// Writes `model` in `format`, whose main file is `path`. Nothing is written before all files are ready, and a file that refers to another is
/// written after it. Returns the files.
///
/// # Errors
/// If the format does not support the network, the exported graph does not compute what the network does, or a file cannot be written.
pub fn export(model: &Model, format: &Format, path: &Path) -> Result<Vec<ExportedFile>> {
    let files = (format.files)(model, path)?;
    for file in &files {
        atomic::write(&file.path, &file.bytes)?;
    }
    Ok(files)
}
