//! CIFAR-10 in its binary version: six files of records, each a label and an image.
//!
//! Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the data set's page. 50,000
//! training images in five batches and 10,000 test images, 3×32×32, ten classes. A record has 3073 bytes: the label,
//! then the red, the green and the blue plane, each row by row.

use super::byte_images::{ByteImages, check_labels};
use super::{DatasetSpec, Info, NeedsFiles, OpenOptions, SampleSizes};
use crate::fetch::{Layout, Source};
use crate::{Dataset, Error, Split, places};
use gan_base::regular_file;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// CIFAR-10, animals and vehicles: images `[3, 32, 32]` in ten classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cifar10 {
    /// The part; the training part by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl Cifar10 {
    /// The file with the classes' names, one a line.
    pub const META: &str = "batches.meta.txt";

    /// The classes' names, in the order of the labels.
    pub const CLASSES: [&str; 10] =
        ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    /// Bytes of an image.
    pub const PIXELS: usize = 3 * SIDE * SIDE;

    /// The names of a split's files, in order; an error for a split that the set does not have.
    pub(crate) fn files(split: Split) -> Result<Vec<String>, Error> {
        match split {
            Split::Train => Ok((1..=5).map(|number| format!("data_batch_{number}.bin")).collect()),
            Split::Test => Ok(vec!["test_batch.bin".into()]),
            Split::Valid | Split::All => Err(Error::no_such_split(split)),
        }
    }
}

impl DatasetSpec for Cifar10 {
    const NAME: &'static str = "cifar10";

    const INFO: Info = Info {
        holds: "animals and vehicles, colour, 32×32, 10 classes",
        files: NeedsFiles::Found { folder: Self::NAME, what: "the files *_batch*.bin" },
        sizes: SampleSizes::One,
        source: Some(Source {
            name: Self::NAME,
            repository: "uoft-cs/cifar10",
            layout: Layout::Cifar,
            licence: "none stated; cite Krizhevsky 2009",
            by_hand: "unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz in data/cifar10",
        }),
        ..Info::IMAGES
    };

    /// The files are those in `options.dir` or in its folder `cifar-10-batches-bin`.
    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        options.fit(Arc::new(load(options.dir.as_deref(), self.split.unwrap_or_default())?))
    }

    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        Some(&mut self.split)
    }
}

/// The folder that the data set's archive unpacks to.
const ARCHIVE: &str = "cifar-10-batches-bin";

/// Height and width of an image.
const SIDE: usize = 32;

/// Bytes of a label and its image.
const RECORD: usize = 1 + Cifar10::PIXELS;

/// The most bytes that a batch may have: 349,000 images. The published ones have 31 MB.
const MOST_BYTES: u64 = 1 << 30;

/// The most bytes of the classes' names.
const MOST_NAMES: u64 = 1 << 20;

/// Reads images `[3, 32, 32]` and labels of a split: `data_batch_1.bin` to `data_batch_5.bin`, or
/// `test_batch.bin`, with any number of records each. The names of the classes are those of `batches.meta.txt`, or
/// the published ones if there is no such file.
///
/// # Errors
/// [`Error::Setting`] if a batch is missing or there is no such split; [`Error::Read`]; [`Error::File`] if a batch is not one or more
/// complete records, a label is above 9, or there are not ten names.
fn load(dir: Option<&Path>, split: Split) -> Result<ByteImages, Error> {
    let mut dir = places::find(Cifar10::NAME, dir)?;
    if dir.join(ARCHIVE).is_dir() {
        dir.push(ARCHIVE);
    }
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for name in Cifar10::files(split)? {
        for record in batch(&places::file(&dir, &[name])?)?.chunks_exact(RECORD) {
            labels.push(record[0]);
            images.extend_from_slice(&record[1..]);
        }
    }
    let classes = classes(&dir.join(Cifar10::META))?;
    tracing::debug!("{}: {} images", dir.display(), labels.len());
    Ok(ByteImages { shape: [3, SIDE, SIDE], images, labels, classes })
}

/// The records of the file at `path`, checked.
fn batch(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = regular_file::read(path, MOST_BYTES).map_err(Error::read(path))?;
    let advice = "the file is damaged, its download was cut off, or it is CIFAR-100: fetch it again";
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        let found = format!("{} bytes", bytes.len());
        let expected = "one record or more of 3073 bytes, a label and 3×32×32 values";
        return Err(Error::file(path, "no whole number of records", found, expected, advice));
    }
    check_labels(path, bytes.iter().step_by(RECORD).copied(), advice)?;
    Ok(bytes)
}

/// The ten names in the file at `path`; the published ones if there is no such file.
fn classes(path: &Path) -> Result<Vec<String>, Error> {
    if !path.exists() {
        return Ok(Cifar10::CLASSES.map(String::from).to_vec());
    }
    let text = regular_file::read_to_string(path, MOST_NAMES).map_err(Error::read(path))?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect();
    if names.len() == Cifar10::CLASSES.len() {
        return Ok(names);
    }
    let found = format!("{} names", names.len());
    let advice = "fetch the file again, or remove it: the published names are then used";
    Err(Error::file(path, "wrong number of classes", found, "10, one a line", advice))
}

#[cfg(test)]
mod tests;
