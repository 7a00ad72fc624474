//! MNIST, and the files that other data sets share with it.
//!
//! Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998. 60,000 training and 10,000 test
//! images of 28×28 bytes, ten classes.

use super::{Classifier, DatasetSpec, Info, NeedsFiles, OpenOptions, SampleSizes};
use crate::dataset::{Dataset, Split, scale_all};
use crate::fetch::{Layout, Source};
use crate::{Error, idx, places};
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
        options.fit(Arc::new(IdxImages::load::<Self>(options.dir.as_deref(), split, CLASSES)?))
    }

    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        Some(&mut self.split)
    }
}

/// The classes' names, in the order of the labels.
const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Images and labels of IDX files in memory, one byte a pixel: 47 MB for MNIST's training images.
#[derive(Clone, Debug)]
pub(super) struct IdxImages {
    /// `[N, H, W]`
    images: idx::Idx<3>,
    /// `[N]`
    labels: idx::Idx<1>,
    classes: Vec<String>,
}

impl IdxImages {
    /// Reads the images `[1, H, W]` and labels of a split of the set `S` from `dir`, or from its usual place.
    ///
    /// The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-…` for the test split; a dot
    /// in place of the second hyphen and `.gz` at the end are accepted.
    ///
    /// # Errors
    /// [`Error::Setting`] if the data is missing or there is no such split; those of [`idx::read`]; [`Error::File`] if the numbers of
    /// images and labels differ or a label is above 9.
    pub fn load<S: DatasetSpec>(dir: Option<&Path>, split: Split, classes: [&str; 10]) -> Result<Self, Error> {
        let dir = places::find(S::NAME, dir)?;
        let part = match split {
            Split::Train => "train",
            Split::Test => "t10k",
            Split::Valid | Split::All => return Err(Error::no_such_split(split)),
        };
        let images_path = file(&dir, part, "images", 3)?;
        let labels_path = file(&dir, part, "labels", 1)?;
        let images = idx::read(&images_path)?;
        let labels = idx::read(&labels_path)?;
        check_labels(&labels_path, &labels, images.dims[0])?;
        tracing::debug!("{}: {} images", images_path.display(), images.dims[0]);
        Ok(Self { images, labels, classes: classes.map(String::from).to_vec() })
    }
}

impl Dataset for IdxImages {
    fn len(&self) -> usize {
        self.images.dims[0]
    }

    fn shape(&self) -> Vec<usize> {
        let [_, height, width] = self.images.dims;
        vec![1, height, width]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        scale_all(&self.images.data[index * out.len()..][..out.len()], out);
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.data.get(index).map(|&label| label.into())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// The file of `kind` in `dir`, under the first of its names that exists.
fn file(dir: &Path, part: &str, kind: &str, dims: usize) -> Result<PathBuf, Error> {
    let names = [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")];
    let names = names.map(|(dot, gz)| format!("{part}-{kind}{dot}idx{dims}-ubyte{gz}"));
    places::file(dir, &names)
}

fn check_labels(path: &Path, labels: &idx::Idx<1>, images: usize) -> Result<(), Error> {
    let count = labels.data.len();
    if count != images {
        let found = format!("{count} labels");
        let expected = format!("{images}, one for each image");
        let advice = "take both files from the same data set and split";
        return Err(Error::file(path, "counts differ", found, expected, advice));
    }
    match labels.data.iter().position(|&label| usize::from(label) >= CLASSES.len()) {
        None => Ok(()),
        Some(at) => {
            let found = format!("label {} for image {at}", labels.data[at]);
            Err(Error::file(path, "no such class", found, "0 to 9", "only data of ten classes can be read"))
        }
    }
}

#[cfg(test)]
mod tests;
