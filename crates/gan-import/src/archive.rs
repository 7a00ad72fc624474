//! Files in a zip archive as `torch.save` and `numpy.savez` write it: stored without compression.

use std::collections::BTreeMap;
use std::io::Cursor;
use zip::{CompressionMethod, ZipArchive};

/// Returns the files of an archive by name, as parts of `bytes`.
///
/// # Errors
/// If the archive is damaged, or a file is compressed.
pub fn files(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, String> {
    files_of(bytes, |_| true)
}

/// Returns the files of an archive whose names are `wanted`; others may be compressed.
///
/// # Errors
/// As [`files`].
pub(crate) fn files_of(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, &[u8]>, String> {
    let damaged = |error| format!("the archive is damaged: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut files = BTreeMap::new();
    for number in 0..archive.len() {
        let file = archive.by_index_raw(number).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.into_owned();
        if !wanted(&name) {
            continue;
        }
        if file.compression() != CompressionMethod::Stored {
            return Err(format!("\"{name}\" is compressed, which torch.save and numpy.savez do not do"));
        }
        let start = file.data_start().and_then(|start| usize::try_from(start).ok());
        let size = usize::try_from(file.size()).ok();
        let content = start.and_then(|start| bytes.get(start..)?.get(..size?));
        files.insert(name.clone(), content.ok_or_else(|| format!("\"{name}\" is cut off"))?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
