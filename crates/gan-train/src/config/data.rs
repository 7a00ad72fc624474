//! `[data]`: the source of samples, and how they are read and drawn.

use crate::keyed::{KeyProblem, Keyed, read};
use gan_core::layers::Pair;
use gan_data::images::{ArrayImages, Filter, Fit, Fitting, Small};
use gan_data::pack::is_pack;
use gan_data::{DATASETS, DatasetConfig, DatasetEntry, LastBatch, SampleSizes, settings_keys};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use toml::Table;

/// The data set with its own settings, and the settings that all data sets share.
///
/// In TOML, these stand beside each other: `name`, the keys of the set with that name ([`gan_data::DATASETS`]), and the keys below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct DataConfig {
    /// The data set: `name` and the keys that are specific to it.
    #[serde(flatten, skip_deserializing)]
    pub set: DatasetConfig,
    /// Folder of the data set's files; by default the usual places are searched, but "folder" requires it, and takes a zip archive or a NumPy
    /// array as well. It may also be a pack (`gan data pack`), which is read instead of any set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Maximum number of samples, spread evenly over the set, for experiments with little data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Height and width of training images. Points have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Pair>,
    /// 1 for gray, 3 for RGB, 4 for RGB and alpha; other numbers up to 64 for arrays; for points the number of coordinates.
    pub channels: usize,
    /// For images: height and width of a box around the center that is cropped first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Pair>,
    /// For images of other proportions: "crop" crops the excess, "pad" fits the whole image on the background, "stretch" changes the
    /// proportions.
    pub fit: Fit,
    /// Resampling filter: "bilinear", "bicubic" or "lanczos".
    pub filter: Filter,
    /// Color beside padded images and behind transparent ones: "white", "black" or [red, green, blue].
    pub background: Background,
    /// Treatment of images that are smaller than the size: "refuse" ends the run before it starts, "skip" ignores them, "upscale" enlarges
    /// them. The older key `upscale` is read as well: true means "upscale", false means "refuse".
    #[serde(alias = "upscale", deserialize_with = "small")]
    pub small: Small,
    /// Whether an unreadable image file ends the run instead of being skipped.
    pub strict: bool,
    /// Whether each image is flipped horizontally with probability ½ whenever it is drawn.
    pub flip: bool,
    /// Whether images are drawn with replacement, instead of once per epoch.
    pub replacement: bool,
    /// Number of images in the windows within which each epoch's order is random, e.g. 65536. Large sets are then read almost sequentially,
    /// and the order takes little memory. The default is all of up to a million, and 65,536 of larger sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Treatment of the last images of an epoch if they do not fill a batch.
    pub last_batch: LastBatch,
    /// Threads that prefetch batches; 0 loads between the steps. The batches are the same for any number.
    #[serde(default = "one_worker")]
    pub workers: usize,
}

impl DataConfig {
    /// Returns the default settings of `set`, for samples of `channels` channels.
    pub fn new(set: impl Into<DatasetConfig>, channels: usize) -> Self {
        Self { set: set.into(), channels, workers: one_worker(), ..Self::default() }
    }

    /// Returns the value of `data.name`.
    pub fn name(&self) -> &str {
        self.set.name()
    }

    /// Returns the pack that `data.dir` names; it is read whatever `data.name` is.
    pub fn pack(&self) -> Option<&Path> {
        self.dir.as_deref().filter(|path| is_pack(path))
    }

    /// Returns the array of images that `data.dir` names.
    pub fn array(&self) -> Option<&Path> {
        let is_folder = matches!(self.set, DatasetConfig::Folder(_));
        self.dir.as_deref().filter(|path| is_folder && ArrayImages::is_source(path))
    }

    /// Returns the sizes in which the samples come.
    pub fn sizes(&self) -> SampleSizes {
        if self.pack().or(self.array()).is_some() { SampleSizes::One } else { self.set.info().sizes }
    }

    /// Returns the test split of the set; `None` if it has none, like a pack.
    pub fn test_split(&self) -> Option<Self> {
        let set = self.set.test_split().filter(|_| self.pack().is_none())?;
        Some(Self { set, limit: None, ..self.clone() })
    }

    /// Returns how images are fitted to `data.size`.
    pub fn fitting(&self) -> Option<Fitting> {
        Some(Fitting {
            size: self.size?.get(),
            crop: self.crop.map(Pair::get),
            fit: self.fit,
            filter: self.filter,
            background: self.background.0,
            small: self.small,
        })
    }

    /// Replaces a leading `~` by the home folder, because shells do not do that behind an `=`.
    pub(crate) fn expand_home(&mut self) {
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
        self.dir = self.dir.take().map(|dir| located(&dir, home.as_deref()));
    }

    /// Makes the folder an absolute path, so that a run finds its data from any folder later.
    pub(crate) fn locate(&mut self) {
        self.expand_home();
        self.dir = self.dir.take().map(|dir| std::path::absolute(&dir).unwrap_or(dir));
    }
}

/// Checks the value of a key that belongs to `owners`, for any of them, because `name` is missing.
fn check_type(key: &str, value: &toml::Value, owners: &[&DatasetEntry]) -> Result<(), KeyProblem> {
    owners.iter().try_for_each(|set| {
        let alone = Table::from_iter([(key.to_string(), value.clone())]);
        read(alone, |table| DatasetConfig::read(set.name, table)).map(drop)
    })
}

/// Checks that `shared` only has keys that all sets share.
fn check_known(shared: &Table, own_keys: &[&str]) -> Result<(), KeyProblem> {
    let common = settings_keys::<Shared>();
    let Some(key) = shared.keys().find(|key| !common.contains(&key.as_str())) else { return Ok(()) };
    let known: Vec<String> = ["name"].iter().chain(own_keys).chain(common).map(|known| format!("`{known}`")).collect();
    let message = format!("unknown field `{key}`, expected one of {}", known.join(", "));
    Err(KeyProblem { key: key.clone(), message })
}

/// Describes a key of other data sets beside the name of one that does not have it.
fn misplaced(key: String, owners: &[&DatasetEntry], name: &str) -> KeyProblem {
    let names: Vec<String> = owners.iter().map(|set| format!("\"{}\"", set.name)).collect();
    let names = match names.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        names => names.join(""),
    };
    let instead = DatasetEntry::find(name).map_or(&[][..], |set| set.info.instead);
    let advice = instead.iter().find(|(other, _)| *other == key).map_or("remove it", |(_, advice)| advice);
    KeyProblem { key, message: format!("is for data.name = {names}, found \"{name}\": {advice}") }
}

/// The keys that all data sets share.
struct Shared(DataConfig);

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DataConfig::deserialize(deserializer).map(Self)
    }
}

impl Keyed for DataConfig {
    fn from_table(mut table: Table) -> Result<Self, KeyProblem> {
        let name = match table.remove("name") {
            Some(toml::Value::String(name)) => Some(name),
            Some(other) => {
                let message = format!("found {other}, expected a name in quotes");
                return Err(KeyProblem { key: "name".into(), message });
            }
            None => None,
        };
        let entry = name.as_deref().and_then(DatasetEntry::find);
        let own_keys = entry.map_or(&[][..], DatasetEntry::keys);
        let mut own = Table::new();
        let mut shared = Table::new();
        for (key, value) in table {
            let owners: Vec<&DatasetEntry> = DATASETS.iter().filter(|set| set.keys().contains(&key.as_str())).collect();
            if own_keys.contains(&key.as_str()) {
                own.insert(key, value);
            } else if owners.is_empty() {
                shared.insert(key, value);
            } else if let Some(name) = &name {
                // Earlier versions ignored such keys beside the name of a pack or a set's older name, and their runs must stay readable.
                if entry.is_some_and(|entry| entry.name == name) {
                    return Err(misplaced(key, &owners, name));
                }
            } else {
                check_type(&key, &value, &owners)?;
            }
        }
        check_known(&shared, own_keys)?;
        let missing = |name| KeyProblem { key: String::new(), message: format!("missing field `{name}`") };
        let has_channels = shared.contains_key("channels");
        let Shared(shared) = read(shared, |table| Shared::deserialize(table))?;
        if !has_channels {
            return Err(missing("channels"));
        }
        let name = name.ok_or_else(|| missing("name"))?;
        let set = read(own, |table| DatasetConfig::read(&name, table))?;
        Ok(Self { set, ..shared })
    }
}

impl<'de> Deserialize<'de> for DataConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_deserializer(deserializer)
    }
}

impl Serialize for DataConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Replaces a leading `~` in `dir` by the home folder, unless a folder has that name.
fn located(dir: &Path, home: Option<&Path>) -> PathBuf {
    match (dir.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if !dir.exists() => home.join(rest),
        _ => dir.to_path_buf(),
    }
}

fn one_worker() -> usize {
    1
}

/// Reads [`Small`] by its name, or from the older key `upscale`.
fn small<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Small, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(upscale) => Ok(if upscale { Small::Upscale } else { Small::Refuse }),
        name @ Value::String(_) => serde_json::from_value(name).map_err(D::Error::custom),
        found => {
            let expected = "\"refuse\", \"skip\" or \"upscale\" (true for upscale, false for refuse)";
            Err(D::Error::custom(format!("found {found}, expected {expected}")))
        }
    }
}

/// Color: red, green, blue. White by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Background(pub [u8; 3]);

impl Default for Background {
    fn default() -> Self {
        Self([255; 3])
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(deserializer)?;
        match found.as_str() {
            Some("white") => return Ok(Self([255; 3])),
            Some("black") => return Ok(Self([0; 3])),
            _ => {}
        }
        serde_json::from_value(found.clone()).map(Self).map_err(|_| {
            let expected = "\"white\", \"black\" or [red, green, blue] with numbers from 0 to 255";
            D::Error::custom(format!("found {found}, expected {expected}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder() {
        let of =
            |dir: &str, home: Option<&str>| located(Path::new(dir), home.map(Path::new)).to_str().unwrap().to_string();
        assert_eq!(of("~/pics", Some("/home/me")), "/home/me/pics");
        assert_eq!(of("~/pics", None), "~/pics");
        assert_eq!(of("a~b", Some("/home/me")), "a~b");
        assert_eq!(of("pics/~", Some("/home/me")), "pics/~");
    }
}
