//! The registry of formats, and a file for each.

mod html;
mod onnx;
mod onnx_uint8;
mod pytorch;

pub use pytorch::FIRST_LINE as PYTHON_FIRST_LINE;

use crate::{Model, Result};
use std::path::{Path, PathBuf};

/// A format of exports.
#[derive(Debug)]
pub struct Format {
    /// Name on the command line.
    pub name: &'static str,
    /// Ending of its main file, without the dot.
    pub ending: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// Returns the files for a model, whose main file is the last and has this path. No file is written.
    pub files: fn(&Model, &Path) -> Result<Vec<ExportedFile>>,
    /// Returns the paths of the files for a main file with this path, in the same order.
    pub paths: fn(&Path) -> Vec<PathBuf>,
}

/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFile {
    /// Path.
    pub path: PathBuf,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// All formats. The first with an ending is the one that this ending alone selects.
pub static FORMATS: [&Format; 4] = [&onnx::ONNX, &pytorch::PYTORCH, &html::HTML, &onnx_uint8::ONNX_UINT8];

impl Format {
    /// Returns the format with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMATS.iter().copied().find(|format| format.name == name)
    }

    /// Returns the format that the ending of a path selects.
    pub fn of_path(path: &Path) -> Option<&'static Self> {
        let ending = path.extension()?.to_string_lossy().to_lowercase();
        FORMATS.iter().copied().find(|format| format.ending == ending)
    }
}
