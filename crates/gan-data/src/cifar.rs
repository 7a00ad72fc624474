//! CIFAR-10 in its binary version: six files of records, each a label and an image.
//!
//! Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the data set's page. 50,000
//! training images in five batches and 10,000 test images, 3×32×32, ten classes. A record has 3073 bytes: the label,
//! then the red, the green and the blue plane, each row by row.

use crate::dataset::{Dataset, Split, scale};
use crate::{Error, folder};
use gan_base::regular_file;
use std::path::{Path, PathBuf};

/// The folder that the data set's archive unpacks to.
pub const ARCHIVE: &str = "cifar-10-batches-bin";

/// The file with the classes' names, one a line.
pub const META: &str = "batches.meta.txt";

/// The classes' names, in the order of the labels.
pub const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Height and width of an image.
const SIDE: usize = 32;

/// Bytes of an image.
pub const PIXELS: usize = 3 * SIDE * SIDE;

/// Bytes of a label and its image.
const RECORD: usize = 1 + PIXELS;

/// The most bytes that a batch may have: 349,000 images. The published ones have 31 MB.
const MOST_BYTES: u64 = 1 << 30;

/// The most bytes of the classes' names.
const MOST_NAMES: u64 = 1 << 20;

/// What to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cifar10Options {
    /// The folder of the files, or the one that holds the folder `cifar-10-batches-bin` (`data.dir`); `None` looks in the
    /// places of [`folder::find`].
    pub dir: Option<PathBuf>,
    /// Which part.
    pub split: Split,
}

/// CIFAR-10 in memory, one byte a value: 154 MB for the training images.
#[derive(Clone, Debug)]
pub struct Cifar10 {
    /// The records of all batches, one after the other.
    records: Vec<u8>,
    classes: Vec<String>,
}

impl Cifar10 {
    /// Reads images `[3, 32, 32]` and labels of the options' split: `data_batch_1.bin` to `data_batch_5.bin`, or
    /// `test_batch.bin`, with any number of records each. The names of the classes are those of `batches.meta.txt`, or
    /// the published ones where that file is not there.
    ///
    /// # Errors
    /// [`Error::NoFolder`] and [`Error::Missing`] where a batch is not there; [`Error::Read`]; [`Error::File`] where a
    /// batch is empty or no whole number of records, a label is above 9, or there are not ten names;
    /// [`Error::Setting`] for a split that there is not.
    pub fn load(options: &Cifar10Options) -> Result<Self, Error> {
        let dir = unpacked(folder::find("cifar10", options.dir.as_deref())?);
        let mut records = Vec::new();
        for name in files(options.split)? {
            let path = folder::file(&dir, &[name])?;
            records.extend(batch(&path)?);
        }
        let classes = classes(&dir.join(META))?;
        tracing::debug!("{}: {} images", dir.display(), records.len() / RECORD);
        Ok(Self { records, classes })
    }
}

impl Dataset for Cifar10 {
    fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    fn shape(&self) -> Vec<usize> {
        vec![3, SIDE, SIDE]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        let bytes = &self.records[index * RECORD..][1..RECORD];
        out.iter_mut().zip(bytes).for_each(|(value, byte)| *value = scale(*byte));
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.records.get(index.checked_mul(RECORD)?).map(|&label| label.into())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// The names of a split's files, in order.
///
/// # Errors
/// [`Error::Setting`] for a split that there is not.
pub fn files(split: Split) -> Result<Vec<String>, Error> {
    match split {
        Split::Train => Ok((1..=5).map(|number| format!("data_batch_{number}.bin")).collect()),
        Split::Test => Ok(vec!["test_batch.bin".into()]),
        Split::Valid | Split::All => Err(Error::no_such_split(split)),
    }
}

/// `dir`, or the archive's folder in it.
fn unpacked(dir: PathBuf) -> PathBuf {
    let below = dir.join(ARCHIVE);
    if below.is_dir() { below } else { dir }
}

/// The records of the file at `path`, checked.
fn batch(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = regular_file::read(path, MOST_BYTES).map_err(|cause| Error::Read { path: path.into(), cause })?;
    let wrong = |what, found, expected: &str| {
        let advice = "the file is damaged, its download was cut off, or it is CIFAR-100: fetch it again".into();
        Err(Error::File { path: path.into(), what, found, expected: expected.into(), advice })
    };
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        let expected = "one record or more of 3073 bytes, a label and 3×32×32 values";
        return wrong("no whole number of records", format!("{} bytes", bytes.len()), expected);
    }
    match bytes.iter().step_by(RECORD).position(|&label| usize::from(label) >= CLASSES.len()) {
        Some(at) => wrong("no such class", format!("label {} for image {at}", bytes[at * RECORD]), "0 to 9"),
        None => Ok(bytes),
    }
}

/// The ten names in the file at `path`; the published ones where there is no such file.
fn classes(path: &Path) -> Result<Vec<String>, Error> {
    if !path.exists() {
        return Ok(CLASSES.map(String::from).to_vec());
    }
    let text =
        regular_file::read_to_string(path, MOST_NAMES).map_err(|cause| Error::Read { path: path.into(), cause })?;
    let names: Vec<String> = text.lines().map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect();
    if names.len() == CLASSES.len() {
        return Ok(names);
    }
    Err(Error::File {
        path: path.into(),
        what: "wrong number of classes",
        found: format!("{} names", names.len()),
        expected: "10, one a line".into(),
        advice: "fetch the file again, or remove it: the published names are then used".into(),
    })
}

#[cfg(test)]
mod tests;
