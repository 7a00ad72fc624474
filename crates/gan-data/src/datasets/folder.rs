//! Your own images: files in a folder or a zip archive, or an array of NumPy.

use super::{DatasetSpec, Info, NeedsFiles, OpenOptions};
use crate::images::class_folders::ClassFolders;
use crate::images::source::Source;
use crate::images::walk::ENDINGS;
use crate::images::{ArrayImages, ImageOptions, OtherFiles};
use crate::{Dataset, Error, ImageFolder};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Image files in a folder or a zip archive, brought to the size of the options, or an array of images, which keeps its own channels. The
/// options have to name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {}

impl DatasetSpec for Folder {
    const NAME: &'static str = "folder";

    const INFO: Info = Info {
        holds: "your images",
        files: NeedsFiles::Named("a folder, .zip, .npy or .npz of images: data.dir=PATH"),
        instead: &[("split", "a folder of images has no splits: remove it, and name the folder of one with data.dir")],
        ..Info::IMAGES
    };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        let Some(dir) = &options.dir else {
            return Err(Error::missing_setting("data.dir", "name the folder with the images by `data.dir=DIR`"));
        };
        if ArrayImages::is_source(dir) {
            return options.fit(Arc::new(ArrayImages::open(dir)?));
        }
        Ok(Arc::new(ImageFolder::open(dir, &options.image_files::<Self>()?)?))
    }
}

impl ImageFolder {
    /// Opens the files in `dir`, a folder or a zip archive, whose names end like an image's, except hidden ones. Only headers are read.
    ///
    /// Their order is that of their paths' bytes. If there is a `dataset.json` with labels, as in data sets for StyleGAN, it determines the
    /// classes. Otherwise, if all lie in folders of the first level or below them, and there are at least two of
    /// these folders, each of those is a class and gives it its name.
    ///
    /// Files that cannot be used are listed by [`skipped`](Dataset::skipped) or refused, as the options say: empty ones,
    /// other formats, and files above 268 megapixels, 512 MiB or, decoded, 1 GiB. A file that turns out to be damaged when its pixels are
    /// read is refused too, or the next readable one of its class takes its place.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such folder, it holds no usable image, or images would have to be enlarged; [`Error::Read`] if it
    /// cannot be read; [`Error::File`] for the first unusable file if such files are refused, and for damaged archives and lists of labels.
    pub fn open(dir: &Path, options: &ImageOptions) -> Result<Self, Error> {
        let source = Source::open(dir)?;
        let found = source.find()?;
        if found.images.is_empty() && found.inventory.skipped.is_empty() {
            return Err(no_images(dir, &found.inventory.others));
        }
        let mut folder = Self::of_files(source.clone(), found, *options)?;
        let ClassFolders { names, labels, why_none, warnings } = source.classes(&folder.names)?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        folder.inventory.warnings.extend(warnings);
        folder.inventory.no_classes = why_none;
        folder.classes = names;
        folder.labels = labels;
        tracing::debug!("{}: {} images, {} classes", dir.display(), folder.len(), folder.classes.len());
        Ok(folder)
    }
}

fn no_images(dir: &Path, others: &OtherFiles) -> Error {
    let endings = others.endings().into_iter().map(|row| row.0);
    let most: Vec<&str> = endings.filter(|ending| !ending.is_empty()).take(3).collect();
    let dir = dir.display();
    let found = match (others.count(), &most[..]) {
        (0, _) => format!("{dir}, which is empty"),
        (count, []) => format!("{dir}, which holds no image among {count} files"),
        (count, most) => {
            format!("{dir}, which holds no image among {count} files, most of which end in {}", most.join(", "))
        }
    };
    let unpack = if others.has_archives() { "unpack the archives there, " } else { "" };
    let expected = format!("a folder or a zip archive with files that end in .{}", ENDINGS.join(", ."));
    let advice = format!("{unpack}put images there, or name the folder that has them with `data.dir=DIR`");
    Error::setting("data.dir", found, expected, advice)
}

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod tests;
