//! MNIST, and Fashion-MNIST, which has the same files with other pictures in them.
//!
//! Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998. 60,000 training and 10,000 test
//! images of 28×28 bytes, ten classes. Fashion-MNIST has as many of each.

use crate::dataset::{Dataset, Split, scale};
use crate::{Error, folder, idx};
use std::path::{Path, PathBuf};

/// Which of the data sets with these files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Handwritten digits; folder `mnist`.
    #[default]
    Mnist,
    /// Articles of clothing; folder `fashion-mnist`. Source: Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747.
    FashionMnist,
}

impl Family {
    /// The data set's name, which is also its folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }

    /// The classes' names, in the order of the labels.
    pub fn classes(self) -> [&'static str; 10] {
        match self {
            Self::Mnist => ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
            Self::FashionMnist => [
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
        }
    }
}

/// What to load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MnistOptions {
    /// Which data set.
    pub family: Family,
    /// The folder of the files (`data.dir`); `None` looks in the places of [`folder::find`].
    pub dir: Option<PathBuf>,
    /// Which part.
    pub split: Split,
}

/// MNIST or Fashion-MNIST in memory, one byte a pixel: 47 MB for the training images.
#[derive(Clone, Debug)]
pub struct Mnist {
    /// `[N, H, W]`
    images: idx::Idx<3>,
    /// `[N]`
    labels: idx::Idx<1>,
    classes: Vec<String>,
}

const CLASSES: u8 = 10;

impl Mnist {
    /// Reads images `[1, 28, 28]` and labels of the options' split.
    ///
    /// The files are `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or `t10k-…` for the test split; a dot
    /// in place of the second hyphen and `.gz` at the end are accepted.
    ///
    /// # Errors
    /// [`Error::NoFolder`] and [`Error::Missing`] where the data is not there; all of [`idx::read`];
    /// [`Error::File`] where the counts of images and labels differ or a label is above 9; [`Error::Setting`] for a
    /// split that there is not.
    pub fn load(options: &MnistOptions) -> Result<Self, Error> {
        let dir = folder::find(options.family.name(), options.dir.as_deref())?;
        let part = match options.split {
            Split::Train => "train",
            Split::Test => "t10k",
            Split::Valid | Split::All => return Err(Error::no_such_split(options.split)),
        };
        let images_path = file(&dir, part, "images", 3)?;
        let labels_path = file(&dir, part, "labels", 1)?;
        let images = idx::read(&images_path)?;
        let labels = idx::read(&labels_path)?;
        check_labels(&labels_path, &labels, images.dims[0])?;
        tracing::debug!("{}: {} images", images_path.display(), images.dims[0]);
        Ok(Self { images, labels, classes: options.family.classes().map(String::from).to_vec() })
    }
}

impl Dataset for Mnist {
    fn len(&self) -> usize {
        self.images.dims[0]
    }

    fn shape(&self) -> Vec<usize> {
        let [_, height, width] = self.images.dims;
        vec![1, height, width]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        let bytes = &self.images.data[index * out.len()..][..out.len()];
        out.iter_mut().zip(bytes).for_each(|(value, byte)| *value = scale(*byte));
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
    folder::file(dir, &names)
}

fn check_labels(path: &Path, labels: &idx::Idx<1>, images: usize) -> Result<(), Error> {
    let wrong = |what, found, expected, advice: &str| {
        Err(Error::File { path: path.into(), what, found, expected, advice: advice.into() })
    };
    let count = labels.data.len();
    if count != images {
        let (found, expected) = (format!("{count} labels"), format!("{images}, one for each image"));
        return wrong("counts differ", found, expected, "take both files from the same data set and split");
    }
    match labels.data.iter().position(|&label| label >= CLASSES) {
        Some(at) => {
            let found = format!("label {} for image {at}", labels.data[at]);
            wrong("no such class", found, format!("0 to {}", CLASSES - 1), "only data of ten classes can be read")
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
