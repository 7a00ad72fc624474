//! Folders of image files, such as any that was collected or unpacked.

use crate::dataset::{Dataset, Skipped};
use crate::images::Pixels;
use crate::images::files::{Files, ImageOptions};
use crate::images::walk::{ENDINGS, Found, walk};
use crate::{Error, folder};
use std::path::{Path, PathBuf};

/// The image files in a folder and all folders below it, read when they are asked for.
///
/// Their order is that of their paths' bytes. Where all lie in folders of the first level, and there are two of these or
/// more, each of those is a class and gives it its name.
#[derive(Debug)]
pub struct ImageFolder {
    files: Files,
    classes: Vec<String>,
    /// The class of each file; empty where there are none.
    labels: Vec<u32>,
}

impl ImageFolder {
    /// The files in `dir` whose names end like an image's, hidden ones left out. Only headers are read.
    ///
    /// Files that cannot be used are listed by [`skipped`](Dataset::skipped) or refused, as the options say: empty ones,
    /// those of other formats, above 100 megapixels or 512 MiB. A file that turns out to be damaged when its pixels are
    /// read is refused too, or the next readable one of its class takes its place.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no such folder, where it holds no usable image, or images that would have to be
    /// enlarged; [`Error::Read`] where it cannot be read; [`Error::File`] for the first unusable file
    /// where such are refused.
    pub fn open(dir: &Path, options: &ImageOptions) -> Result<Self, Error> {
        folder::exists(dir, "images")?;
        let found = walk(dir)?;
        if found.images.is_empty() && found.skipped.is_empty() {
            return Err(no_images(dir, &found));
        }
        let files = Files::open(dir.into(), found.images, found.skipped, options)?;
        let (classes, labels) = classes(files.names());
        tracing::debug!("{}: {} images, {} classes", dir.display(), files.len(), classes.len());
        Ok(Self { files, classes, labels })
    }

    /// The files' paths, relative to the folder, in the order of their numbers.
    pub fn names(&self) -> &[PathBuf] {
        self.files.names()
    }
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> Vec<usize> {
        self.files.shape()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        self.files.write(index, out, |other| self.label(other) == self.label(index))
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn skipped(&self) -> &[Skipped] {
        self.files.skipped()
    }

    fn checksum(&self) -> Option<u32> {
        Some(self.files.checksum(|index| self.label(index)))
    }

    fn stored_size(&self, index: usize) -> Option<[usize; 2]> {
        self.files.stored_size(index)
    }

    fn stored(&self, index: usize) -> Result<Option<Pixels>, Error> {
        self.files.stored(index)
    }
}

/// The names of the classes and each file's class; both empty where the folders are no classes.
fn classes(names: &[PathBuf]) -> (Vec<String>, Vec<u32>) {
    let mut classes: Vec<String> = Vec::new();
    let mut labels = Vec::with_capacity(names.len());
    for name in names {
        let mut parts = name.iter();
        let (Some(class), Some(_)) = (parts.next(), parts.next()) else { return (vec![], vec![]) };
        let class = class.to_string_lossy();
        // The names are sorted, so that a class's files stand together.
        if classes.last().is_none_or(|last| *last != class) {
            classes.push(class.into_owned());
        }
        labels.push(classes.len() as u32 - 1);
    }
    if classes.len() < 2 { (vec![], vec![]) } else { (classes, labels) }
}

fn no_images(dir: &Path, found: &Found) -> Error {
    let others = match found.others {
        0 => "is empty".to_string(),
        n => format!("holds no image among {n} files"),
    };
    Error::Setting {
        key: "data.dir",
        found: format!("{}, which {others}", dir.display()),
        expected: format!("a folder with files that end in .{}", ENDINGS.join(", .")),
        advice: "put images there, or name the folder that has them with --set data.dir=DIR".into(),
    }
}

#[cfg(test)]
mod tests;
