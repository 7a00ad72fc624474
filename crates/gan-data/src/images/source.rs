//! Where image files are: in a folder, or in a zip archive.

use super::class_folders::ClassFolders;
use super::dataset_json;
use super::walk::{Found, Inventory, is_image, sort, walk};
use crate::zip::{Archive, EntryReader, is_zip};
use crate::{Error, places};
use gan_base::regular_file;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files with names relative to a folder or an archive. Threads share it.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Folder(PathBuf),
    Zip(Arc<Archive>),
}

impl Source {
    /// Opens the folder or the zip archive at `path`.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is neither; those of [`Archive::open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() && is_zip(path) {
            return Ok(Self::Zip(Arc::new(Archive::open(path)?)));
        }
        places::exists(path, "images")?;
        Ok(Self::Folder(path.into()))
    }

    /// The folder's or the archive's path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(dir) => dir,
            Self::Zip(archive) => archive.path(),
        }
    }

    /// Lists the files.
    ///
    /// # Errors
    /// [`Error::Read`] if a folder cannot be read.
    pub fn find(&self) -> Result<Found, Error> {
        let mut found = match self {
            Self::Folder(dir) => walk(dir)?,
            Self::Zip(archive) => {
                let (mut images, others): (Vec<PathBuf>, Vec<PathBuf>) =
                    archive.names().cloned().partition(|name| is_image(name));
                sort(&mut images);
                let mut inventory = Inventory::default();
                others.iter().for_each(|name| inventory.others.add(name));
                Found { images, inventory }
            }
        };
        if self.has(Path::new(dataset_json::NAME)) {
            found.inventory.others.take_one(".json");
        }
        Ok(found)
    }

    /// The classes of `files`, which are in the order of their paths' bytes: those that a `dataset.json` lists, or else the folders.
    ///
    /// # Errors
    /// Those of [`dataset_json::classes`].
    pub fn classes(&self, files: &[PathBuf]) -> Result<ClassFolders, Error> {
        match dataset_json::classes(self, files)? {
            Some(classes) => Ok(classes),
            None => Ok(ClassFolders::of(self.path(), files)),
        }
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: &Path) -> bool {
        self.size(name).is_some()
    }

    /// Bytes of a file.
    pub fn size(&self, name: &Path) -> Option<u64> {
        match self {
            Self::Folder(dir) => {
                std::fs::metadata(dir.join(name)).ok().filter(|data| data.is_file()).map(|data| data.len())
            }
            Self::Zip(archive) => archive.size(name),
        }
    }

    /// Opens a file.
    pub fn read(&self, name: &Path) -> io::Result<Bytes> {
        match self {
            Self::Folder(dir) => regular_file::open(&dir.join(name)).map(Bytes::File),
            Self::Zip(archive) => archive.read(name).map(|entry| Bytes::Entry(Box::new(entry))),
        }
    }
}

/// Whether `path` is a file that holds images together, instead of a folder of them: a zip archive or an array.
pub fn is_collection(path: &Path) -> bool {
    path.is_file() && (is_zip(path) || super::ArrayImages::is_source(path))
}

/// The bytes of an open file.
#[derive(Debug)]
pub(crate) enum Bytes {
    File(File),
    Entry(Box<EntryReader>),
}

impl Bytes {
    /// Number of bytes, as the file system or the archive declares it.
    pub fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => file.metadata().map(|data| data.len()),
            Self::Entry(entry) => Ok(entry.size()),
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Entry(entry) => entry.read(buffer),
        }
    }
}
