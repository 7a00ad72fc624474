//! The data sets: one file each, and [`DatasetConfig`], made from the only list of them.

mod byte_images;
mod spec;

use spec::check_count;
pub use spec::{Classifier, DatasetSpec, Info, NeedsFiles, OpenOptions, SampleSizes, settings_keys};

use crate::fetch::Source;
use crate::pack::{Pack, is_pack};
use crate::points::PointDistribution;
use crate::{Dataset, Error, Split, places};
use gan_base::messages::choose;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;
use std::sync::Arc;

/// Declares a module for each line, re-exports its types, and makes [`DatasetConfig`] and [`DATASETS`] from their first one.
macro_rules! datasets {
    ($($module:ident: $spec:ident $(with $($other:ident),+)?;)+) => {
        $(mod $module;
        pub use $module::{$spec $($(, $other)+)?};)+

        /// The settings of any data set: `data.name` and the keys that belong to that set alone.
        #[derive(Clone, Debug, PartialEq)]
        pub enum DatasetConfig {
            $(#[doc = concat!("[`", stringify!($spec), "`]")] $spec($spec),)+
            /// A pack under a name of the user's own, which `data.dir` has to name.
            Pack(String),
        }

        /// Every data set, in the order in which they are listed.
        pub const DATASETS: &[DatasetEntry] = &[$(DatasetEntry {
            name: <$spec>::NAME,
            old_names: <$spec>::OLD_NAMES,
            info: <$spec>::INFO,
            keys: settings_keys::<$spec>,
        },)+];

        $(impl From<$spec> for DatasetConfig {
            fn from(spec: $spec) -> Self {
                Self::$spec(spec)
            }
        })+

        impl DatasetConfig {
            /// Reads the settings of the set called `name`, an older name included; an error if it has no such setting or a value has
            /// the wrong type. Any other name is that of a pack.
            pub fn read<'de, D: Deserializer<'de>>(name: &str, settings: D) -> Result<Self, D::Error> {
                $(if name == <$spec>::NAME || <$spec>::OLD_NAMES.contains(&name) {
                    return <$spec>::deserialize(settings).map(Self::$spec);
                })+
                NoKeys::deserialize(settings).map(|NoKeys {}| Self::Pack(name.into()))
            }

            /// The value of `data.name`.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$spec(_) => <$spec>::NAME,)+
                    Self::Pack(name) => name,
                }
            }

            /// Properties of the set that do not depend on its settings.
            pub fn info(&self) -> Info {
                match self {
                    $(Self::$spec(_) => <$spec>::INFO,)+
                    Self::Pack(_) => PACK,
                }
            }

            /// Checks the settings: [`DatasetSpec::check`].
            pub fn check(&self) -> Result<(), Error> {
                match self {
                    $(Self::$spec(spec) => DatasetSpec::check(spec),)+
                    Self::Pack(_) => Ok(()),
                }
            }

            /// Opens the set, or the pack that the options name in place of its files. An unknown name without a pack is an
            /// [`Error::Setting`]; the other errors are those of [`DatasetSpec::open`].
            pub fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
                if let Some(path) = options.dir.as_deref().filter(|path| is_pack(path)) {
                    return options.fit(Arc::new(Pack::open(path)?));
                }
                match self {
                    $(Self::$spec(spec) => spec.open(options),)+
                    Self::Pack(name) => {
                        let choices = choose(name, &DatasetEntry::names());
                        Err(Error::Setting(format!("data.name: unknown data set \"{name}\"{choices}")))
                    }
                }
            }

            fn split_mut(&mut self) -> Option<&mut Option<Split>> {
                match self {
                    $(Self::$spec(spec) => spec.split_mut(),)+
                    Self::Pack(_) => None,
                }
            }

            /// The distribution of its points; `None` for images.
            pub fn points(&self) -> Option<&dyn PointDistribution> {
                match self {
                    $(Self::$spec(spec) => spec.points(),)+
                    Self::Pack(_) => None,
                }
            }
        }

        impl Serialize for DatasetConfig {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let name = self.name();
                match self {
                    $(Self::$spec(settings) => Tagged { name, settings }.serialize(serializer),)+
                    Self::Pack(_) => Tagged { name, settings: &NoKeys {} }.serialize(serializer),
                }
            }
        }
    };
}

datasets! {
    mnist: Mnist;
    fashion_mnist: FashionMnist;
    stacked_mnist: StackedMnist;
    cifar10: Cifar10;
    celeba: CelebA with CelebAAttributes;
    folder: Folder;
    curve: Curve with Curves, Function, Parametric;
    ring: Ring with RingModes;
    grid: Grid with GridModes;
    synthetic: Synthetic with SyntheticSamples;
}

/// Properties of a pack under a name of the user's own.
const PACK: Info = Info {
    holds: "a pack",
    files: NeedsFiles::Named("a pack: data.dir=FILE.ganpack"),
    sizes: SampleSizes::One,
    ..Info::IMAGES
};

/// The settings of a set that has none of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoKeys {}

/// Settings as they are written: the name beside the set's own keys.
#[derive(Serialize)]
struct Tagged<'a, S> {
    name: &'a str,
    #[serde(flatten)]
    settings: &'a S,
}

/// A data set in the list of all.
#[derive(Clone, Copy, Debug)]
pub struct DatasetEntry {
    /// Its name in `data.name`.
    pub name: &'static str,
    /// Properties that do not depend on its settings.
    pub info: Info,
    old_names: &'static [&'static str],
    keys: fn() -> &'static [&'static str],
}

impl DatasetEntry {
    /// The set that is called `name`, or was in earlier versions.
    pub fn find(name: &str) -> Option<&'static Self> {
        DATASETS.iter().find(|entry| entry.name == name || entry.old_names.contains(&name))
    }

    /// The names of all sets.
    pub fn names() -> Vec<&'static str> {
        DATASETS.iter().map(|entry| entry.name).collect()
    }

    /// The sources of all sets that can be fetched.
    pub fn sources() -> impl Iterator<Item = Source> {
        DATASETS.iter().filter_map(|entry| entry.info.source)
    }

    /// The keys of `[data]` that this set has in addition to those of all sets.
    pub fn keys(&self) -> &'static [&'static str] {
        (self.keys)()
    }

    /// The folder where its files are, if they are in one of the usual places.
    pub fn found(&self) -> Option<PathBuf> {
        match self.info.files {
            NeedsFiles::Found { folder, .. } => places::find(folder, None).ok(),
            NeedsFiles::Named(_) | NeedsFiles::Nothing => None,
        }
    }
}

impl DatasetConfig {
    /// The part that the settings name.
    pub fn split(&self) -> Option<Split> {
        *self.clone().split_mut()?
    }

    /// The same set with its test part; `None` for sets that have no such part.
    pub fn test_split(&self) -> Option<Self> {
        let mut test = self.clone();
        *test.split_mut()? = Some(Split::Test);
        Some(test)
    }
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Mnist::default().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn data_set_names_are_unique_and_settings_round_trip() {
        let mut names = HashSet::new();
        for entry in DATASETS {
            assert!([entry.name].iter().chain(entry.old_names).all(|name| names.insert(*name)), "{}", entry.name);
            assert!(!entry.info.holds.is_empty() && entry.info.channels > 0, "{}", entry.name);
            let config = DatasetConfig::read(entry.name, serde_json::json!({})).unwrap();
            config.check().unwrap();
            let mut written = serde_json::to_value(&config).unwrap();
            let name = written.as_object_mut().unwrap().remove("name").unwrap();
            assert_eq!(name, entry.name);
            assert!(written.as_object().unwrap().keys().all(|key| entry.keys().contains(&key.as_str())), "{written}");
            assert_eq!(DatasetConfig::read(entry.name, written).unwrap(), config);
            assert_eq!(config.points().is_some(), entry.info.sizes == SampleSizes::Points, "{}", entry.name);
            if let Some(source) = entry.info.source {
                assert_eq!(source.name, entry.name);
            }
        }
    }

    #[test]
    fn other_names_are_those_of_packs() {
        let config = DatasetConfig::read("mine", serde_json::json!({})).unwrap();
        assert_eq!((config.name(), config.split()), ("mine", None));
        let message = config.open(&OpenOptions::default()).err().unwrap().to_string();
        assert!(message.contains("data.name: unknown data set \"mine\": expected one of mnist, "), "{message}");
        assert_eq!(DatasetConfig::read("made", serde_json::json!({})).unwrap().name(), "synthetic");
    }
}
