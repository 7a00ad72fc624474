//! The array of images in a `.npz` archive of several arrays.

use super::{Bytes, NpyFile};
use crate::Error;
use crate::zip::{Archive, is_zip};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a compressed array, which is decompressed into memory. Arrays that are only stored are read in place.
const MOST_IN_MEMORY: u64 = 1 << 33;

impl NpyFile {
    /// Opens a `.npy` file, or the only array of four axes in a `.npz` archive.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and of the archive; [`Error::File`] if it has no such array, or several.
    pub(crate) fn open_images(path: &Path) -> Result<Self, Error> {
        if !is_zip(path) {
            return Self::open(path);
        }
        let archive = Archive::open(path)?;
        let mut names: Vec<&PathBuf> = archive.names().collect();
        names.sort_unstable();
        let mut images = Vec::new();
        let mut found = Vec::new();
        for name in names.into_iter().filter(|name| name.extension().is_some_and(|ending| ending == "npy")) {
            let bytes = member(&archive, name).map_err(|cause| {
                let found = format!("{} ({cause})", name.display());
                let advice = "save one array with numpy.save";
                Error::file(path, "array that cannot be read", found, "arrays as numpy.savez writes them", advice)
            })?;
            let array = Self::of(path, bytes)?;
            found.push(format!("{} {:?}", name.with_extension("").display(), array.shape()));
            if array.shape().len() == 4 {
                images.push(array);
            }
        }
        match (images.pop(), images.is_empty()) {
            (Some(array), true) => Ok(array),
            _ => {
                let is_statistics =
                    ["mu", "sigma"].iter().all(|key| archive.size(Path::new(&format!("{key}.npy"))).is_some());
                let found = if found.is_empty() { "no array".into() } else { found.join(", ") };
                let expected = "exactly one array of images, with four axes";
                let advice = match is_statistics {
                    true => "mean and covariance are for gan evaluate --protocol fid50k",
                    false => "save the images alone, with numpy.save",
                };
                Err(Error::file(path, "arrays of the archive", found, expected, advice))
            }
        }
    }
}

/// The bytes of an array in an archive.
fn member(archive: &Archive, name: &Path) -> io::Result<Bytes> {
    if let Some((start, length)) = archive.stored(name)? {
        return Ok(Bytes::File { file: Arc::clone(archive.file()), start, length });
    }
    let mut bytes = Vec::new();
    archive.read(name)?.take(MOST_IN_MEMORY + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_IN_MEMORY {
        let problem =
            format!("it has more than {} GiB after decompression; numpy.savez stores it without", MOST_IN_MEMORY >> 30);
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(Bytes::Memory(bytes))
}
