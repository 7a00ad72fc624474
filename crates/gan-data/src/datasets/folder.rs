//! Folders of image files, such as any that was collected or unpacked.

use super::{DatasetSpec, Info, NeedsFiles, OpenOptions};
use crate::dataset::{Dataset, Skipped};
use crate::images::class_folders::ClassFolders;
use crate::images::files::{Files, ImageOptions};
use crate::images::walk::{ENDINGS, Found, walk};
use crate::images::{Inventory, OtherFiles, Pixels};
use crate::{Error, places};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of image files, brought to the size of the options, which have to name the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {}

impl DatasetSpec for Folder {
    const NAME: &'static str = "folder";

    const INFO: Info = Info {
        holds: "your images",
        files: NeedsFiles::Named("a folder of images: data.dir=DIR"),
        instead: &[("split", "a folder of images has no splits: remove it, and name the folder of one with data.dir")],
        ..Info::IMAGES
    };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        let images = options.image_files::<Self>()?;
        let Some(dir) = &options.dir else {
            let advice = "name the folder with the images by --set data.dir=DIR".into();
            return Err(Error::MissingSetting { key: "data.dir", advice });
        };
        Ok(Arc::new(ImageFolder::open(dir, &images)?))
    }
}

/// The image files in a folder and all folders below it, each read when its sample is requested.
///
/// Their order is that of their paths' bytes. Where all lie in folders of the first level or below them, and there are two of
/// these folders or more, each of those is a class and gives it its name.
#[derive(Debug)]
pub struct ImageFolder {
    files: Files,
    classes: Vec<String>,
    /// The class of each file; empty without classes.
    labels: Vec<u32>,
}

impl ImageFolder {
    /// The files in `dir` whose names end like an image's, hidden ones left out. Only headers are read.
    ///
    /// Files that cannot be used are listed by [`skipped`](Dataset::skipped) or refused, as the options say: empty ones,
    /// those of other formats, above 268 megapixels, 512 MiB or, decoded, 1 GiB. A file that turns out to be damaged when its pixels are
    /// read is refused too, or the next readable one of its class takes its place.
    ///
    /// # Errors
    /// [`Error::Setting`] where there is no such folder, where it holds no usable image, or images that would have to be
    /// enlarged; [`Error::Read`] where it cannot be read; [`Error::File`] for the first unusable file
    /// where such are refused.
    pub fn open(dir: &Path, options: &ImageOptions) -> Result<Self, Error> {
        places::exists(dir, "images")?;
        let Found { images, inventory } = walk(dir)?;
        if images.is_empty() && inventory.skipped.is_empty() {
            return Err(no_images(dir, &inventory.others));
        }
        let mut files = Files::open(dir.into(), images, inventory, options)?;
        let ClassFolders { names, labels, why_none, warnings } = ClassFolders::of(dir, files.names());
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let inventory = files.inventory_mut();
        inventory.warnings.extend(warnings);
        inventory.no_classes = why_none;
        tracing::debug!("{}: {} images, {} classes", dir.display(), files.len(), names.len());
        Ok(Self { files, classes: names, labels })
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

    fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        self.check(index, out.len())?;
        self.files.try_write(index, out)
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn inventory(&self) -> Option<&Inventory> {
        Some(self.files.inventory())
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

fn no_images(dir: &Path, others: &OtherFiles) -> Error {
    let (count, endings) = (others.count(), others.endings());
    let most: Vec<&str> = endings.iter().map(|row| row.0).filter(|ending| !ending.is_empty()).take(3).collect();
    let found = match (count, most.is_empty()) {
        (0, _) => "is empty".to_string(),
        (_, true) => format!("holds no image among {count} files"),
        (_, false) => format!("holds no image among {count} files, most of which end in {}", most.join(", ")),
    };
    let unpack = if others.has_archives() { "unpack the archives there, " } else { "" };
    Error::Setting {
        key: "data.dir",
        found: format!("{}, which {found}", dir.display()),
        expected: format!("a folder with files that end in .{}", ENDINGS.join(", .")),
        advice: format!("{unpack}put images there, or name the folder that has them with --set data.dir=DIR"),
    }
}

#[cfg(test)]
mod tests;
