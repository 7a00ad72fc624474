//! CIFAR-10 in its binary version: six files of records, each a label and an image.
//!
//! Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the data set's page. 50,000
//! training images in five batches and 10,000 test images, 3×32×32, ten classes. A record has 3073 bytes: the label,
//! then the red, the green and the blue plane, each row by row.

use super::{DatasetSpec, Info, NeedsFiles, OpenOptions, SampleSizes};
use crate::dataset::{Dataset, Split, scale_all};
use crate::fetch::{Layout, Source};
use crate::{Error, places};
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

    /// The names of a split's files, in order.
    ///
    /// # Errors
    /// [`Error::Setting`] for a split that the set does not have.
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
        options.fit(Arc::new(Records::load(options.dir.as_deref(), self.split.unwrap_or_default())?))
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

/// CIFAR-10 in memory, one byte a value: 154 MB for the training images.
#[derive(Clone, Debug)]
struct Records {
    /// The records of all batches, one after the other.
    records: Vec<u8>,
    classes: Vec<String>,
}

impl Records {
    /// Reads images `[3, 32, 32]` and labels of a split: `data_batch_1.bin` to `data_batch_5.bin`, or
    /// `test_batch.bin`, with any number of records each. The names of the classes are those of `batches.meta.txt`, or
    /// the published ones if there is no such file.
    ///
    /// # Errors
    /// [`Error::Setting`] if a batch is missing or there is no such split; [`Error::Read`]; [`Error::File`] if a batch is not one or more
    /// complete records, a label is above 9, or there are not ten names.
    fn load(dir: Option<&Path>, split: Split) -> Result<Self, Error> {
        let mut dir = places::find(Cifar10::NAME, dir)?;
        if dir.join(ARCHIVE).is_dir() {
            dir.push(ARCHIVE);
        }
        let mut records = Vec::new();
        for name in Cifar10::files(split)? {
            let path = places::file(&dir, &[name])?;
            records.extend(batch(&path)?);
        }
        let classes = classes(&dir.join(Cifar10::META))?;
        tracing::debug!("{}: {} images", dir.display(), records.len() / RECORD);
        Ok(Self { records, classes })
    }
}

impl Dataset for Records {
    fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    fn shape(&self) -> Vec<usize> {
        vec![3, SIDE, SIDE]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        scale_all(&self.records[index * RECORD..][1..RECORD], out);
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.records.get(index.checked_mul(RECORD)?).map(|&label| label.into())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// The records of the file at `path`, checked.
fn batch(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = regular_file::read(path, MOST_BYTES).map_err(Error::read(path))?;
    let advice = "the file is damaged, its download was cut off, or it is CIFAR-100: fetch it again";
    let wrong = |what, found: String, expected: &str| Err(Error::file(path, what, found, expected, advice));
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        let expected = "one record or more of 3073 bytes, a label and 3×32×32 values";
        return wrong("no whole number of records", format!("{} bytes", bytes.len()), expected);
    }
    match bytes.iter().step_by(RECORD).position(|&label| usize::from(label) >= Cifar10::CLASSES.len()) {
        Some(at) => wrong("no such class", format!("label {} for image {at}", bytes[at * RECORD]), "0 to 9"),
        None => Ok(bytes),
    }
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
