//! MNIST, and the files that other data sets share with it.
//!
//! Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998. 60,000 training and 10,000 test
//! images of 28×28 bytes, ten classes.

use super::byte_images::{ByteImages, check_labels};
use super::{Classifier, DatasetSpec, Info, NeedsFiles, OpenOptions, SampleSizes};
use crate::fetch::{Layout, Source};
use crate::{Dataset, Error, Split, idx, places};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// MNIST, handwritten digits: images `[1, 28, 28]` in ten classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mnist {
    /// The part; the training part by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl DatasetSpec for Mnist {
    const NAME: &'static str = "mnist";

    const INFO: Info = Info {
        holds: "handwritten digits, grey, 28×28, 10 classes",
        files: NeedsFiles::Found { folder: Self::NAME, what: "four files *-ubyte or *-ubyte.gz" },
        sizes: SampleSizes::One,
        channels: 1,
        source: Some(Source {
            name: Self::NAME,
            repository: "ylecun/mnist",
            layout: Layout::Idx,
            licence: "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
            by_hand: "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz from \
                      https://ossci-datasets.s3.amazonaws.com/mnist/ into data/mnist",
        }),
        classifier: Some(Classifier::Digits),
        ..Info::IMAGES
    };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        let split = self.split.unwrap_or_default();
        options.fit(Arc::new(load::<Self>(options.dir.as_deref(), split, CLASSES)?))
    }

    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        Some(&mut self.split)
    }
}

/// The classes' names, in the order of the labels.
const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Reads the images `[1, H, W]` and labels of a split of the set `S` from `dir`, or from its usual place.
///
/// The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-…` for the test split; a dot
/// in place of the second hyphen and `.gz` at the end are accepted.
///
/// # Errors
/// [`Error::Setting`] if the data is missing or there is no such split; those of [`idx::read`]; [`Error::File`] if the numbers of
/// images and labels differ or a label is above 9.
pub(super) fn load<S: DatasetSpec>(dir: Option<&Path>, split: Split, classes: [&str; 10]) -> Result<ByteImages, Error> {
    let dir = places::find(S::NAME, dir)?;
    let part = match split {
        Split::Train => "train",
        Split::Test => "t10k",
        Split::Valid | Split::All => return Err(Error::no_such_split(split)),
    };
    let images_path = file(&dir, part, "images", 3)?;
    let labels_path = file(&dir, part, "labels", 1)?;
    let idx::Idx { dims: [count, height, width], data: images } = idx::read(&images_path)?;
    let labels = idx::read::<1>(&labels_path)?.data;
    if labels.len() != count {
        let found = format!("{} labels", labels.len());
        let expected = format!("{count}, one for each image");
        let advice = "take both files from the same data set and split";
        return Err(Error::file(&labels_path, "counts differ", found, expected, advice));
    }
    check_labels(&labels_path, labels.iter().copied(), "only data of ten classes can be read")?;
    tracing::debug!("{}: {count} images", images_path.display());
    Ok(ByteImages { shape: [1, height, width], images, labels, classes: classes.map(String::from).to_vec() })
}

/// The file of `kind` in `dir`, under the first of its names that exists.
fn file(dir: &Path, part: &str, kind: &str, dims: usize) -> Result<PathBuf, Error> {
    let names = [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")];
    let names = names.map(|(dot, gz)| format!("{part}-{kind}{dot}idx{dims}-ubyte{gz}"));
    places::file(dir, &names)
}

#[cfg(test)]
mod tests;
