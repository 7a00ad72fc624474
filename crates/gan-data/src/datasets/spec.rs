//! The trait of a data set's settings, [`DatasetSpec`], its properties, and how it is opened.

use crate::fetch::Source;
use crate::images::{Broken, Fitting, ImageOptions};
use crate::points::PointDistribution;
use crate::resized::Resized;
use crate::{Dataset, Error, Split};
use serde::de::value::Error as NoValues;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

/// The settings of one data set.
///
/// Adding a data set takes one file with an implementation of this trait and one line in the registry, `datasets/mod.rs`. The fields of
/// the struct are the keys of `[data]` that only this set has; each needs a default (`#[serde(default)]`).
pub trait DatasetSpec: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned {
    /// Its name in `data.name`.
    const NAME: &'static str;

    /// Names from earlier versions, which settings may still use.
    const OLD_NAMES: &'static [&'static str] = &[];

    /// Properties that do not depend on the settings.
    const INFO: Info;

    /// Checks the settings without opening files.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first setting that cannot be used.
    fn check(&self) -> Result<(), Error> {
        self.points().map_or(Ok(()), PointDistribution::check)
    }

    /// Opens the set. Sets of one size keep their own number of channels whatever the options say: compare
    /// [`shape`](Dataset::shape) with what you need.
    ///
    /// # Errors
    /// If files are missing or damaged, or a setting cannot be used.
    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error>;

    /// The setting that chooses the training or test part, for sets that have both.
    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        None
    }

    /// The distribution of its points; `None` for images.
    fn points(&self) -> Option<&dyn PointDistribution> {
        None
    }
}

/// Properties of a data set that do not depend on its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// A one-line description.
    pub holds: &'static str,
    /// Which files it needs.
    pub files: NeedsFiles,
    /// The sizes of its samples.
    pub sizes: SampleSizes,
    /// Channels of an image, or coordinates of a point, if the settings do not say.
    pub channels: usize,
    /// Where `gan data fetch` gets it.
    pub source: Option<Source>,
    /// The built-in classifier of its classes.
    pub classifier: Option<Classifier>,
    /// Number of samples that its published protocol evaluates.
    pub evaluation_samples: Option<usize>,
    /// Keys of other sets that a user may try here, each with what to do instead.
    pub instead: &'static [(&'static str, &'static str)],
}

impl Info {
    /// Colour images in files of any size; the other fields are empty.
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
    /// Files in a folder that is searched for in the usual places, such as `data/NAME`.
    Found {
        /// The folder's name.
        folder: &'static str,
        /// A description of the files.
        what: &'static str,
    },
    /// A description of files that the user has to name by `data.dir`.
    Named(&'static str),
    /// No files.
    Nothing,
}

/// The sizes of a data set's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSizes {
    /// All images have one size and number of channels. They are resized if the settings name another size.
    One,
    /// Image files of any size, brought to the size and channels of the settings.
    Stored,
    /// Samples are generated in the shape that the settings name.
    Any,
    /// Points, which have no size.
    Points,
}

/// A classifier that is part of this project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classifier {
    /// Classifies one handwritten digit.
    Digits,
    /// Classifies three digits as red, green and blue, which make a thousand modes.
    StackedDigits,
}

/// How a data set is opened: the options that all sets share.
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
    /// The folder of the files; `None` searches the usual places. A pack is read in place of any set.
    pub dir: Option<PathBuf>,
    /// How images are brought to the training size. `None` keeps their own size; sets of image files, which have none, refuse it.
    pub fitting: Option<Fitting>,
    /// 1 for gray, 3 for RGB, 4 for RGB and alpha, or the number of coordinates; `None` for [`Info::channels`]. Arrays keep their own.
    pub channels: Option<usize>,
    /// What to do about image files that cannot be read.
    pub broken: Broken,
    /// The seed of samples that are drawn or generated.
    pub seed: u64,
    /// Number of classes of synthetic samples.
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

    /// `set`, whose images have one size, resized to the wanted one. A set of other channels is left as it is.
    pub(crate) fn fit(&self, set: Arc<dyn Dataset>) -> Result<Arc<dyn Dataset>, Error> {
        let Some(fitting) = self.fitting else { return Ok(set) };
        let shape = set.shape();
        let has_other_channels = self.channels.is_some_and(|channels| channels != shape[0]);
        let has_size = shape[1..] == fitting.size && fitting.crop.is_none();
        if has_other_channels || has_size { Ok(set) } else { Ok(Arc::new(Resized::new(set, fitting)?)) }
    }

    /// The options for the image files of the set `S`.
    pub(crate) fn image_files<S: DatasetSpec>(&self) -> Result<ImageOptions, Error> {
        let Some(fitting) = self.fitting else {
            let advice = format!("images of {} need one, e.g. 64", S::NAME);
            return Err(Error::missing_setting("data.size", advice));
        };
        Ok(ImageOptions { channels: self.channels.unwrap_or(S::INFO.channels), fitting, broken: self.broken })
    }
}

/// Checks the number of samples that a set generates; their order alone takes 8 bytes each.
pub(super) fn check_count(count: usize) -> Result<(), Error> {
    const MOST: usize = 100_000_000;
    if (1..=MOST).contains(&count) {
        return Ok(());
    }
    Err(Error::setting("data.count", count, format!("1 to {MOST}"), "choose another number"))
}

/// Returns the keys of `T`, a struct that derives `Deserialize`, aliases included. Other types have none.
pub fn settings_keys<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // Always fails, but the keys are known before the first value.
    let _ = T::deserialize(KeyCollector(&mut keys));
    keys
}

/// A deserializer that stores which keys are wanted, and then fails.
struct KeyCollector<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for KeyCollector<'_> {
    type Error = NoValues;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoValues> {
        Err(NoValues::custom("there are no values"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NoValues> {
        *self.0 = keys;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}
