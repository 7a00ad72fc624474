//! Weights trained elsewhere: files of PyTorch and safetensors, matched to a layer list and written as weight files of gan.
//!
//! A [`ForeignFile`] holds the state dicts of a file, read as data: nothing in a file is executed. [`import()`] matches one of them with a layer
//! list. [`tutorial`] infers the list of a DCGAN from the shapes alone.
//!
//! In reading order: [`file`](mod@file) (kinds of files), `pickle` (Python's pickles as data), `torch` (storages and tensors of PyTorch's files),
//! `contents` (the state dicts in a pickle), [`tensor`] (a tensor in a file), [`archive`] (zip archives without compression), `modules` (tensors of
//! one module, and the names of networks), [`matching`] (tensors for parameters), `table` (both side by side), [`tutorial`], [`import`](mod@import).

pub mod archive;
mod contents;
mod error;
pub mod file;
pub mod import;
pub mod matching;
mod modules;
mod pickle;
mod table;
pub mod tensor;
mod torch;
pub mod tutorial;

pub use contents::StateDict;
pub use error::{Error, Result};
pub use file::{FileKind, ForeignFile};
pub use import::{Import, Imported, import};
pub use modules::NetworkKind;
pub use tensor::{ElementType, ForeignTensor};

use candle_core::Tensor;
use std::collections::BTreeMap;

/// Tensors may share their numbers, but all of them together may only be this many times larger than the file.
const SHARED: usize = 8;

/// Reads all tensors of the one state dict in the bytes of a file, by name, with their own number types. Tensors of types that candle lacks are
/// skipped.
///
/// # Errors
/// If the file is cut off, of another kind, or holds several state dicts.
pub fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let file = ForeignFile::read(bytes)?;
    let [dict] = &file.state_dicts[..] else {
        return Err(Error::File(format!("holds {} state dicts, expected one", file.state_dicts.len())));
    };
    let total = dict.tensors.iter().map(ForeignTensor::size).fold(0, usize::saturating_add);
    if total > SHARED * bytes.len() {
        return Err(Error::File("its tensors are larger than the file".into()));
    }
    let known = dict.tensors.iter().filter(|tensor| tensor.element.dtype().is_some());
    known.map(|tensor| Ok((tensor.name.clone(), tensor.to_tensor()?))).collect()
}
