//! CelebA: 202,599 faces as JPEG files of 178×218, with forty attributes each and a published split.
//!
//! Source: Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", 2015, arXiv:1411.7766.

mod lists;

use super::{DatasetSpec, Info, NeedsFiles, OpenOptions};
use crate::dataset::{Dataset, Skipped, Split};
use crate::fetch::{Layout, Source};
use crate::images::files::{Files, ImageOptions};
use crate::images::walk::{Found, walk};
use crate::images::{Inventory, Pixels};
use crate::{Error, places};
use lists::List;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// CelebA, faces: JPEG files, brought to the size of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CelebA {
    /// Which part; where not given, the one to train on if there is `list_eval_partition.txt`, and everything if there is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl CelebA {
    /// The file with the attributes.
    pub const ATTRIBUTES: &str = "list_attr_celeba.txt";
    /// The file that says which image belongs to which split.
    pub const PARTITION: &str = "list_eval_partition.txt";
}

impl DatasetSpec for CelebA {
    const NAME: &'static str = "celeba";

    const INFO: Info = Info {
        holds: "faces, colour, 178×218 before cropping",
        files: NeedsFiles::Found { folder: Self::NAME, what: "the folder img_align_celeba" },
        source: Some(Source {
            name: Self::NAME,
            repository: "flwrlabs/celeba",
            layout: Layout::Celeba,
            licence: "CelebA agreement: non-commercial research only, no passing on; see http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            by_hand: "unpack img_align_celeba.zip from http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html in data/celeba, with \
                      list_attr_celeba.txt beside the folder img_align_celeba",
        }),
        ..Info::IMAGES
    };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        Ok(Arc::new(CelebAImages::open(options.dir.as_deref(), self.split, &options.image_files::<Self>()?)?))
    }

    fn split(&self) -> Option<Split> {
        self.split
    }

    fn test_split(&self) -> Option<Self> {
        Some(Self { split: Some(Split::Test) })
    }
}

/// The folder that the data set's archive unpacks to.
const ARCHIVE: &str = "img_align_celeba";

/// The faces, each read when its sample is requested. They have attributes but no classes.
#[derive(Debug)]
pub struct CelebAImages {
    files: Files,
    attributes: Option<List<Vec<bool>>>,
}

impl CelebAImages {
    /// Finds the images and reads their headers and lists. `dir` holds `img_align_celeba`, `celeba/img_align_celeba` or the images
    /// themselves; `None` looks in the places of [`places::find`].
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`](crate::ImageFolder::open); [`Error::NoFolder`]; [`Error::File`] with the number of the
    /// line where a list is damaged; [`Error::Missing`] where a split is wanted and there is no list of them.
    pub fn open(dir: Option<&Path>, split: Option<Split>, options: &ImageOptions) -> Result<Self, Error> {
        let dir = places::find(CelebA::NAME, dir)?;
        places::exists(&dir, "img_align_celeba with its .jpg files")?;
        let images = images(&dir);
        let Found { images: mut names, mut inventory } = walk(&images)?;
        // The lists, and what `gan data fetch` leaves beside them, are no images that someone may miss.
        ["", ".txt", ".csv"].into_iter().for_each(|ending| inventory.others.forget(ending));
        names.retain(|name| {
            let is_jpeg = name.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jpg"));
            if !is_jpeg {
                inventory.others.add(name);
            }
            is_jpeg
        });
        if names.is_empty() && inventory.skipped.is_empty() {
            return Err(no_images(&images));
        }
        let beside = [dir, images.clone(), images.join("..")];
        let list = |name: &str| beside.iter().map(|at| at.join(name)).find(|path| path.exists());
        let attributes = list(CelebA::ATTRIBUTES).map(|path| lists::attributes(&path)).transpose()?;
        let names = part(&images, names, list(CelebA::PARTITION).as_deref(), split)?;
        let files = Files::open(images, names, inventory, options)?;
        Ok(Self { files, attributes })
    }

    /// The files' paths, relative to the folder of the images, in the order of their numbers.
    pub fn names(&self) -> &[PathBuf] {
        self.files.names()
    }

    /// The names of the attributes, such as "Smiling"; empty without `list_attr_celeba.txt`.
    pub fn attributes(&self) -> &[String] {
        self.attributes.as_ref().map_or(&[], |list| &list.columns)
    }

    /// Which attributes image `index` has, in the order of [`attributes`](Self::attributes). `None` without the list, or
    /// where it has no line for the image.
    pub fn attributes_of(&self, index: usize) -> Option<&[bool]> {
        let name = self.files.names().get(index)?.file_name()?.to_str()?;
        self.attributes.as_ref()?.lines.get(name).map(Vec::as_slice)
    }
}

impl Dataset for CelebAImages {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> Vec<usize> {
        self.files.shape()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        self.files.write(index, out, |_| true)
    }

    fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        self.check(index, out.len())?;
        self.files.try_write(index, out)
    }

    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
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

/// Where the images lie in or below `dir`.
fn images(dir: &Path) -> PathBuf {
    let places = [dir.join("celeba").join(ARCHIVE), dir.join(ARCHIVE)];
    places.into_iter().find(|place| place.is_dir()).unwrap_or_else(|| dir.into())
}

/// Those of `names` that belong to `split`.
fn part(
    images: &Path,
    mut names: Vec<PathBuf>,
    list: Option<&Path>,
    split: Option<Split>,
) -> Result<Vec<PathBuf>, Error> {
    let number = match (split, list) {
        (Some(Split::All), _) | (None, None) => return Ok(names),
        (Some(_), None) => {
            let folder = images.parent().unwrap_or(images).into();
            let found = "no list of the splits, which data.split needs".into();
            return Err(Error::Missing { folder, found, expected: vec![CelebA::PARTITION.into()] });
        }
        (None | Some(Split::Train), _) => 0,
        (Some(Split::Valid), _) => 1,
        (Some(Split::Test), _) => 2,
    };
    let Some(path) = list else { return Ok(names) };
    let parts = lists::partition(path)?;
    names.retain(|name| name.file_name().and_then(|n| n.to_str()).is_some_and(|n| parts.lines.get(n) == Some(&number)));
    if names.is_empty() {
        return Err(Error::File {
            path: path.into(),
            what: "no image belongs to this split",
            found: format!("none of the images in {} with the number {number}", images.display()),
            expected: "lines like `000001.jpg 0`: 0 for train, 1 for valid, 2 for test".into(),
            advice: "choose another data.split, or \"all\"".into(),
        });
    }
    Ok(names)
}

fn no_images(images: &Path) -> Error {
    Error::Setting {
        key: "data.dir",
        found: format!("{}, which holds no .jpg file", images.display()),
        expected: "a folder with img_align_celeba/000001.jpg and so on".into(),
        advice: CelebA::INFO.source.as_ref().map(crate::fetch::advice).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
