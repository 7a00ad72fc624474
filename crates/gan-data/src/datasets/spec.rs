//! What a data set says about itself, and how it is opened.

use crate::fetch::Source;
use crate::images::{Broken, Fitting, ImageOptions};
use crate::points::PointDistribution;
use crate::{Dataset, Error, Resized, Split};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

/// The settings of one data set, which stand beside its reader.
///
/// Adding a data set takes one file with an implementation of this trait and one line in the registry, `datasets/mod.rs`. The fields of
/// the struct are the keys of `[data]` that belong to this set alone; each needs a default (`#[serde(default)]`).
pub trait DatasetSpec: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned {
    /// Its name in `data.name`.
    const NAME: &'static str;

    /// Names that earlier versions gave it, which settings may still have.
    const OLD_NAMES: &'static [&'static str] = &[];

    /// What holds for the set whatever its settings are.
    const INFO: Info;

    /// Checks the settings as far as that goes without opening files.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting that cannot be used.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Opens the set. Sets of one size come in their own number of channels whatever the options say: compare
    /// [`shape`](Dataset::shape) with what you need.
    ///
    /// # Errors
    /// If files are missing or damaged, or a setting cannot be used.
    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error>;

    /// The part that the settings name.
    fn split(&self) -> Option<Split> {
        None
    }

    /// The same set with its test part; `None` for sets that have no such part.
    fn test_split(&self) -> Option<Self> {
        None
    }

    /// What its points are drawn from; `None` for images.
    fn points(&self) -> Option<&dyn PointDistribution> {
        None
    }
}

/// What holds for a data set whatever its settings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// What the set holds, in one line.
    pub holds: &'static str,
    /// Which files it needs.
    pub files: NeedsFiles,
    /// In which sizes its samples come.
    pub sizes: SampleSizes,
    /// Channels of an image, or coordinates of a point, where the settings do not say.
    pub channels: usize,
    /// Where `gan data fetch` gets it.
    pub source: Option<Source>,
    /// The built-in classifier that knows its classes.
    pub classifier: Option<Classifier>,
    /// Samples that its published protocol evaluates.
    pub evaluation_samples: Option<usize>,
    /// Keys of other sets that one may look for here, each with what to do instead.
    pub instead: &'static [(&'static str, &'static str)],
}

impl Info {
    /// Colour images in files of any size, without the rest.
    pub const IMAGES: Self = Self {
        holds: "",
        files: NeedsFiles::Nothing,
        sizes: SampleSizes::Stored,
        channels: 3,
        source: None,
        classifier: None,
        evaluation_samples: None,
        instead: &[],
    };

    /// Points in the plane, which need no files.
    pub const POINTS: Self = Self { sizes: SampleSizes::Points, channels: 2, ..Self::IMAGES };
}

/// Which files a data set needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedsFiles {
    /// Files that are looked for in the usual places ([`crate::places::find`]).
    Found {
        /// The folder's name there.
        folder: &'static str,
        /// The files in words.
        what: &'static str,
    },
    /// Files that the user has to name by `data.dir`, in words.
    Named(&'static str),
    /// It needs none.
    Nothing,
}

/// In which sizes the samples of a data set come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSizes {
    /// All images have one size and number of channels. They are resized if the settings name another size.
    One,
    /// Image files of any size, brought to the size and channels of the settings.
    Stored,
    /// Samples are made in whatever shape the settings say.
    Any,
    /// Points, which have no size.
    Points,
}

/// A classifier that is part of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classifier {
    /// Of one handwritten digit.
    Digits,
    /// Of three digits as red, green and blue, which makes a thousand modes.
    StackedDigits,
}

/// How a data set is opened: what all sets have in common.
///
/// ```
/// use gan_data::{DatasetSpec, Mnist, OpenOptions};
///
/// let data = Mnist::default().open(&OpenOptions::default())?;
/// assert_eq!((data.len(), data.shape()), (60_000, vec![1, 28, 28]));
/// let small = Mnist::default().open(&OpenOptions::default().size(14))?;
/// assert_eq!(small.shape(), [1, 14, 14]);
/// # Ok::<(), gan_data::Error>(())
/// ```
///
/// A folder of your own: `Folder::default().open(&OpenOptions::default().dir("photos").size(64))?`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The folder of the files; `None` looks in the usual places. A pack is read in place of any set.
    pub dir: Option<PathBuf>,
    /// How images are brought to the training size; `None` leaves them in their own, which sets of image files do not have.
    pub fitting: Option<Fitting>,
    /// 1 for grey, 3 for RGB, or the number of coordinates; `None` for [`Info::channels`].
    pub channels: Option<usize>,
    /// What to do about image files that cannot be read.
    pub broken: Broken,
    /// Decides what is drawn or made.
    pub seed: u64,
    /// Classes of synthetic samples.
    pub classes: usize,
}

impl OpenOptions {
    /// The same options with files in `dir`.
    #[must_use]
    pub fn dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..self }
    }

    /// The same options for images of `side`×`side`: the shorter side is resized to it, the centre cut out.
    #[must_use]
    pub fn size(self, side: usize) -> Self {
        Self { fitting: Some(Fitting::to([side; 2])), ..self }
    }

    /// The same options with another number of channels.
    #[must_use]
    pub fn channels(self, channels: usize) -> Self {
        Self { channels: Some(channels), ..self }
    }

    /// The same options with another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// `set`, whose images have one size, resized to the wanted one. A set of other channels is left as it is.
    pub(crate) fn fit(&self, set: Arc<dyn Dataset>) -> Result<Arc<dyn Dataset>, Error> {
        let Some(fitting) = self.fitting else { return Ok(set) };
        let shape = set.shape();
        let has_other_channels = self.channels.is_some_and(|channels| channels != shape[0]);
        let has_size = shape[1..] == fitting.size && fitting.crop.is_none();
        if has_other_channels || has_size { Ok(set) } else { Ok(Arc::new(Resized::new(set, fitting)?)) }
    }

    /// How the image files of the set `S` become samples.
    pub(crate) fn image_files<S: DatasetSpec>(&self) -> Result<ImageOptions, Error> {
        let Some(fitting) = self.fitting else {
            let advice = format!("images of {} need one, e.g. 64", S::NAME);
            return Err(Error::MissingSetting { key: "data.size", advice });
        };
        Ok(ImageOptions { channels: self.channels.unwrap_or(S::INFO.channels), fitting, broken: self.broken })
    }
}
