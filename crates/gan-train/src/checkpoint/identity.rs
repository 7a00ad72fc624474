//! Identity of a run: the settings that affect its steps, and the data. Both must be the same when it resumes.

use crate::error::Result;
use crate::layering::{self, text};
use crate::trainer::Trainer;
use gan_base::messages::counted;
use gan_data::Dataset;
use serde::{Deserialize, Serialize};
use std::fmt;
use toml::Value;

/// Maximum number of samples in the checksum of a data set without a cheaper one.
const CHECKED: usize = 64;

/// Maximum number of class names in a message.
const NAMED: usize = 8;

/// Returns the settings that affect the steps, as TOML. Length, threads, folders and intervals are excluded.
pub(crate) fn settings(trainer: &Trainer) -> String {
    let mut config = trainer.plan.config().clone();
    config.description.clear();
    config.data.dir = None;
    config.data.workers = 1;
    config.train.steps = None;
    config.train.epochs = None;
    config.train.threads = 0;
    config.train.log_every = 1;
    config.train.until.clear();
    config.train.extended.clear();
    config.checkpoint = Default::default();
    config.samples = Default::default();
    config.evaluate = Default::default();
    config.alarms = Default::default();
    toml::to_string(&config).unwrap_or_default()
}

/// Converts a text of [`settings`] from an older version to the current names of keys. Returns it unchanged if this version cannot read it.
pub(crate) fn renewed(text: &str) -> String {
    let current = |mut table| {
        layering::rename_old_keys(&mut table);
        layering::read(table).ok()
    };
    let config = text::read(text).ok().and_then(current);
    config.and_then(|config| toml::to_string(&config).ok()).unwrap_or_else(|| text.into())
}

/// First setting in which two texts of [`settings`] differ.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// Key of the setting, as `--set` takes it.
    pub key: String,
    /// Values as TOML; `None` if the setting is absent.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Compares two texts of [`settings`]. Returns `None` if they mean the same.
pub(crate) fn difference(before: &str, after: &str) -> Option<Difference> {
    let flat = |text: &str| {
        let mut found = Vec::new();
        match text::read(text) {
            Ok(table) => flatten("", &Value::Table(table), &mut found),
            // No key differs, but the texts do.
            Err(_) => found.push(("the text of the settings".into(), format!("{text:?}"))),
        }
        found
    };
    let before = flat(before);
    let after = flat(after);
    let value = |of: &[(String, String)], key: &str| of.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
    let keys = before.iter().chain(&after).map(|(key, _)| key);
    keys.map(|key| Difference { key: key.clone(), before: value(&before, key), after: value(&after, key) })
        .find(|found| found.before != found.after)
}

/// Collects every value below `value` that is not a table, with its path. A list counts as one value, unless it is a list of tables.
fn flatten(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| flatten(&below(key), value, found)),
        Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_table) => {
            (0..).zip(all).for_each(|(i, value): (usize, _)| flatten(&format!("{path}[{i}]"), value, found));
        }
        plain => found.push((path.to_string(), plain.to_string())),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = [&self.before, &self.after].map(|value| value.as_deref().unwrap_or("not set"));
        write!(f, "{} was {before} and is {after} now", self.key)
    }
}

/// Identity of a data set, for comparison with an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataIdentity {
    samples: usize,
    shape: Vec<usize>,
    classes: Vec<String>,
    /// Checksum of the names and sizes of files or, for a set without files, of some of its samples.
    checksum: u32,
}

impl DataIdentity {
    /// Returns the identity of `set`.
    ///
    /// # Errors
    /// If a sample cannot be read.
    pub fn of(set: &dyn Dataset) -> Result<Self> {
        let checksum = match set.checksum() {
            Some(checksum) => checksum,
            None => checksum(set)?,
        };
        Ok(Self { samples: set.len(), shape: set.shape(), classes: set.classes().to_vec(), checksum })
    }

    /// Describes in a sentence how the data `now` differ from these; `None` if they do not.
    pub fn difference(&self, now: &Self) -> Option<String> {
        if self == now {
            return None;
        }
        if self.classes != now.classes {
            return Some(classes(&self.classes, &now.classes));
        }
        if self.samples != now.samples {
            return Some(format!("it had {}, now it has {}", counted(self.samples, "sample"), now.samples));
        }
        Some("it has as many samples as before, but other ones: names, sizes or contents differ".into())
    }
}

impl fmt::Display for DataIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, shape, classes, checksum } = self;
        write!(f, "{} of {shape:?}, {} classes, checksum {checksum:08x}", counted(*samples, "sample"), classes.len())
    }
}

/// Describes how classes differ: lists all of them if they are few, else the first that differs.
fn classes(before: &[String], now: &[String]) -> String {
    let listed = |names: &[String]| match names {
        [] => "none".to_string(),
        names => names.join(", "),
    };
    if before.len().max(now.len()) <= NAMED {
        return format!("its classes were: {}; now they are: {}", listed(before), listed(now));
    }
    let differs = before.iter().zip(now).position(|(a, b)| a != b);
    match differs {
        Some(at) => format!("class {at} was \"{}\", now it is \"{}\"", before[at], now[at]),
        None => format!("it had {} classes, now it has {}", before.len(), now.len()),
    }
}

/// Returns the CRC-32 of some samples and their labels, evenly spread over the set.
fn checksum(set: &dyn Dataset) -> Result<u32> {
    let count = set.len().min(CHECKED);
    let mut crc = crc32fast::Hasher::new();
    let mut sample = vec![0.0; set.pixels()];
    for i in 0..count {
        let index = i * set.len() / count;
        set.write(index, &mut sample)?;
        sample.iter().for_each(|value| crc.update(&value.to_le_bytes()));
        crc.update(&set.label(index).unwrap_or(u32::MAX).to_le_bytes());
    }
    Ok(crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(before: &str, after: &str) -> String {
        difference(before, after).map(|found| found.to_string()).unwrap_or_default()
    }

    #[test]
    fn settings_are_compared_by_their_keys() {
        let before = "[train]\nbatch = 4\nprecision = \"f32\"\n[[penalties]]\nkind = \"r1\"\nweight = 1.0\n";
        let added = before.replace("precision", "decay = 0.5\nprecision");
        assert_eq!(said(before, before), "");
        assert_eq!(said(before, &added), "train.decay was not set and is 0.5 now");
        assert_eq!(said(&added, before), "train.decay was 0.5 and is not set now");
        assert_eq!(said(before, &before.replace("batch = 4", "batch = 8")), "train.batch was 4 and is 8 now");
        let heavier = before.replace("weight = 1.0", "weight = 2.0");
        assert_eq!(said(before, &heavier), "penalties[0].weight was 1.0 and is 2.0 now");
        assert_eq!(said("a = [1, 2]", "a = [1, 3]"), "a was [1, 2] and is [1, 3] now");
        // Texts that are not TOML are compared too.
        assert!(said("a = 1\na = 2", "a = 1\na = 3").starts_with("the text of the settings was"));
    }

    #[test]
    fn settings_of_older_versions_are_compared_by_meaning() {
        let mut table = layering::from_preset(crate::presets::get("dcgan-mnist").unwrap()).unwrap();
        layering::set(&mut table, "data.small=upscale").unwrap();
        let now = toml::to_string(&layering::read(table).unwrap()).unwrap();
        let older = now.replace("small = \"upscale\"", "upscale = true");
        assert!(older != now && difference(&renewed(&older), &now).is_none());
        assert!(difference(&renewed(&older.replace("true", "false")), &now).is_some());
        assert_eq!(renewed("nonsense = 1"), "nonsense = 1");
    }

    fn data(samples: usize, classes: &[&str], checksum: u32) -> DataIdentity {
        let classes = classes.iter().map(ToString::to_string).collect();
        DataIdentity { samples, shape: vec![3, 8, 8], classes, checksum }
    }

    #[test]
    fn other_data_are_named_by_how_they_differ() {
        let before = data(60, &["cats", "dogs"], 7);
        assert_eq!(before.difference(&before.clone()), None);
        let more = before.difference(&data(61, &["cats", "dogs"], 8)).unwrap();
        assert_eq!(more, "it had 60 samples, now it has 61");
        let renamed = before.difference(&data(60, &["dogs", "wolves"], 8)).unwrap();
        assert_eq!(renamed, "its classes were: cats, dogs; now they are: dogs, wolves");
        assert!(before.difference(&data(60, &["cats", "dogs"], 8)).unwrap().contains("other ones"));
        let many = |last: &str| {
            let names: Vec<String> = (0..20).map(|i| format!("c{i:02}")).chain([last.to_string()]).collect();
            data(60, &names.iter().map(String::as_str).collect::<Vec<_>>(), 7)
        };
        assert_eq!(many("x").difference(&many("y")).unwrap(), "class 20 was \"x\", now it is \"y\"");
    }
}
