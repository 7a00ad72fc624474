//! Preset < file < `--set`: TOML tables merged, then read with errors that name the nearest known key.

use crate::config::{DataConfig, RunConfig};
use crate::error::{Error, Result};
use crate::keyed::{KeyProblem, Keyed};
use crate::optimizers::{self, OptimizerConfig};
use crate::presets;
use gan_base::messages;
use gan_data::DatasetEntry;
use std::path::Path;
pub use toml::Table;
use toml::Value;

mod renamed;
pub(crate) mod text;

pub(crate) use renamed::rename_old_keys;
use text::{Problem, TOO_DEEP, bytes, decode, parse};

/// Reads the TOML file at `path` and, if its `preset` names a built-in preset, merges it over that preset.
///
/// # Errors
/// If the file cannot be read or is not TOML.
pub fn from_file(path: &Path) -> Result<Table> {
    let wrong = |problem: String| Error::config(path.display().to_string(), problem);
    let bytes = bytes(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => wrong("there is no such file".into()),
        _ => Error::file(path, format!("cannot be read: {e}")),
    })?;
    let text = decode(bytes).ok_or_else(|| wrong("is not text, expected settings in TOML".into()))?;
    let mut own: Table = parse(&text).map_err(wrong)?;
    // A preset that has changed since must not affect a complete file.
    if is_run(&text) || text.starts_with(FULL_MARK) {
        rename_old_keys(&mut own);
        return Ok(own);
    }
    let Some(preset) = own.get("preset").and_then(Value::as_str).and_then(presets::find) else { return Ok(own) };
    let mut table = from_preset(preset)?;
    overlay(&mut table, own);
    Ok(table)
}

/// Returns the table of a built-in preset.
///
/// # Errors
/// If the preset itself is not TOML, which a test rules out.
pub fn from_preset(preset: &presets::Preset) -> Result<Table> {
    parse(preset.text).map_err(|problem| Error::config(preset.name, problem))
}

/// Maximum number of parts in the path of a setting; existing paths have up to five.
const MOST_PARTS: usize = 16;

/// Merges `path.to.key=value` over `table`. The value is read as TOML, or as text if it is not TOML or the key expects text, since a folder
/// may be called 2024 or true.
///
/// # Errors
/// If there is no `=`, or the path has an empty part or too many parts.
pub fn set(table: &mut Table, assignment: &str) -> Result<()> {
    let wrong = |problem: &str| Err(Error::config(format!("--set {assignment}"), problem));
    let Some((path, value)) = assignment.split_once('=') else {
        return wrong("there is no '='; expected path.to.key=value, e.g. train.batch=64");
    };
    let path = path.trim();
    let value = value.trim();
    if path.split('.').any(|part| part.trim().is_empty()) {
        return wrong("the path before '=' has an empty part; expected e.g. train.batch=64");
    }
    if path == "preset" {
        return wrong("the preset is what the other settings lie over; name it in place of the file or preset");
    }
    if path.split('.').count() > MOST_PARTS {
        return wrong("the path before '=' has too many parts; expected e.g. train.batch=64");
    }
    let value = match text::read(&format!("v = {value}")).map(|mut table| table.remove("v")) {
        Ok(Some(read)) if read.is_str() || !takes_text(path) => read,
        Err(Problem::TooDeep) => return wrong(TOO_DEEP),
        Ok(_) | Err(Problem::Syntax(_)) => Value::String(value.into()),
    };
    overlay(table, nested(path, value));
    Ok(())
}

/// Returns a table with `value` at `path`.
fn nested(path: &str, value: Value) -> Table {
    let (rest, key) = path.rsplit_once('.').unwrap_or(("", path));
    let table = Table::from_iter([(key.trim().to_string(), value)]);
    if rest.is_empty() { table } else { nested(rest, Value::Table(table)) }
}

/// Returns whether the setting at `path` expects text, such as a folder: reading settings with only a text there fails for other reasons,
/// but not at that place.
fn takes_text(path: &str) -> bool {
    // Not a valid name, so that every setting that is selected by name refuses it.
    let probe = Value::Table(nested(path, Value::String("\u{1}".into())));
    let Err(error) = serde_path_to_error::deserialize::<_, RunConfig>(probe) else { return true };
    let place = error.path().to_string();
    place != path.split('.').map(str::trim).collect::<Vec<_>>().join(".")
        && messages::missing(&error.inner().to_string()).is_some()
}

/// Pairs of keys that replace each other.
const EXCLUSIVE: [[&str; 2]; 4] =
    [["steps", "epochs"], ["family", "layers"], ["small", "upscale"], ["ema", "ema_half_life"]];

/// Keys that are specific to a family of networks.
const OF_A_FAMILY: [&str; 5] = ["width", "classes", "hidden", "activation", "features"];

/// Merges `over` onto `base`, table by table. A new `kind` of optimizer keeps the learning rate and drops the keys of the old kind.
pub fn overlay(base: &mut Table, over: Table) {
    if let (Some(old), Some(new)) = (base.get("kind"), over.get("kind"))
        && old != new
    {
        base.retain(|key, _| !optimizers::own_keys().any(|own| own == key));
    }
    for [a, b] in EXCLUSIVE {
        for (key, other) in [(a, b), (b, a)] {
            if over.contains_key(key) && !over.contains_key(other) {
                base.remove(other);
            }
        }
    }
    // The keys of the family are dropped with it.
    if over.contains_key("layers") || over.get("family").is_some_and(|new| base.get("family") != Some(new)) {
        base.retain(|key, _| !OF_A_FAMILY.contains(&key));
    }
    if over.contains_key("family") {
        base.remove("input");
    }
    for (key, value) in over {
        if let ("data", Some(Value::Table(base)), Value::Table(over)) = (key.as_str(), base.get_mut(&key), &value) {
            keep_keys_of_set(base, over);
        }
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => overlay(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Removes the keys that are specific to the data set in `base` if `over` names another set that does not have them.
fn keep_keys_of_set(base: &mut Table, over: &Table) {
    let set = |table: &Table| table.get("name").and_then(Value::as_str).and_then(DatasetEntry::find);
    let Some(new) = set(over) else { return };
    let old_keys = set(base).map_or(&[][..], DatasetEntry::keys);
    base.retain(|key, _| !old_keys.contains(&key) || new.keys().contains(&key));
}

/// Reads the settings from a table.
///
/// # Errors
/// A missing or unknown key (with the nearest known one) or a value of the wrong type, with its path.
pub fn read(table: Table) -> Result<RunConfig> {
    read_as(table)
}

/// Reads `[data]` alone from a table that contains it.
///
/// # Errors
/// As [`read`].
pub fn read_data(table: Table) -> Result<DataConfig> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Alone {
        data: DataConfig,
    }
    let Alone { mut data } = read_as(table)?;
    data.expand_home();
    Ok(data)
}

pub(crate) fn read_as<T: serde::de::DeserializeOwned>(table: Table) -> Result<T> {
    if let Some([old, new]) = renamed::found(&table) {
        return Err(Error::config(old, format!("is called {new} now: write that")));
    }
    let preset = table.get("preset").and_then(Value::as_str).map(String::from);
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|e| {
        let mut path = e.path().to_string();
        let mut message = e.into_inner().to_string();
        if let Some(KeyProblem { key, message: found }) = keyed_problem(&table, &path) {
            path = if key.is_empty() { path } else { joined(&path, &key) };
            message = found;
        }
        match (messages::missing(&message), preset.map(|name| presets::get(&name))) {
            (None, _) => Error::config(path, messages::plain(&message)),
            // Without a known preset below it, a file must contain everything.
            (Some(_), Some(Err(unknown))) if path == "." => unknown,
            (Some(key), _) => Error::config(joined(&path, key), MISSING),
        }
    })
}

/// Returns the problem with the settings at `path`, if they are read from a whole table.
fn keyed_problem(table: &Table, path: &str) -> Option<KeyProblem> {
    let Some(Value::Table(keyed)) = renamed::find(table, path) else { return None };
    match path {
        "data" => DataConfig::from_table(keyed.clone()).err(),
        "optimizer.generator" | "optimizer.discriminator" => OptimizerConfig::from_table(keyed.clone()).err(),
        _ => None,
    }
}

const MISSING: &str =
    "is missing; add it, as in `gan preset show dcgan-mnist`, or begin the file with preset = \"dcgan-mnist\"";

/// Joins `train` and `seed` to `train.seed`; the root is written `.`.
fn joined(path: &str, key: &str) -> String {
    if path == "." { key.into() } else { format!("{path}.{key}") }
}

/// Beginning of a run's config.toml, which contains every setting.
pub const MARK: &str = "# A run of gan.";
/// Beginning of another file that contains every setting.
pub const FULL_MARK: &str = "# Every setting";

/// Returns whether the text of a settings file is the config.toml of a run.
pub fn is_run(text: &str) -> bool {
    text.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preset() -> Table {
        from_preset(presets::find("dcgan-mnist").unwrap()).unwrap()
    }

    fn problem(assignments: &[&str]) -> String {
        let mut table = preset();
        assignments.iter().for_each(|a| set(&mut table, a).unwrap());
        read(table).unwrap_err().to_string()
    }

    #[test]
    fn every_preset_reads_and_is_named_like_its_file() {
        for preset in presets::ALL {
            let config = read(from_preset(preset).unwrap()).unwrap();
            assert_eq!(config.preset, preset.name);
        }
    }

    #[test]
    fn later_settings_win() {
        let mut table = preset();
        for a in ["train.steps=7", "optimizer.generator.kind=rmsprop", "data.dir=/some/where", "train.batch = 12"] {
            set(&mut table, a).unwrap();
        }
        let config = read(table).unwrap();
        assert_eq!((config.train.steps, config.train.epochs, config.train.batch), (Some(7), None, 12));
        assert_eq!(config.data.dir.unwrap().to_str(), Some("/some/where"));
        let expected = optimizers::Rmsprop { lr: 2e-4, alpha: 0.99, epsilon: 1e-8, epsilon_inside_root: false };
        assert_eq!(config.optimizer.generator, expected.into());
    }

    #[test]
    fn text_is_taken_as_it_is_written_where_the_key_is_text() {
        let dir = |value: &str| {
            let mut table = preset();
            set(&mut table, &format!("data.dir={value}")).unwrap();
            read(table).unwrap().data.dir.unwrap().to_str().unwrap().to_string()
        };
        for name in ["2024", "1.5", "1e3", "true", "inf", "0x1f", "2024-01-01", "[1]", "{a=1}", "a b", "C:\\new"] {
            assert_eq!(dir(name), name);
        }
        assert_eq!([dir("\"2024\""), dir("'a\\b'")], ["2024", "a\\b"]);
        let mut table = preset();
        for assignment in [
            "description=7",
            "data.limit=7",
            "train.ema=0.5",
            "data.flip=true",
            "train.until.fd_digits=2",
            "evaluate.embedder=11",
        ] {
            set(&mut table, assignment).unwrap();
        }
        let config = read(table).unwrap();
        assert_eq!((config.description.as_str(), config.data.limit, config.train.ema), ("7", Some(7), Some(0.5)));
        assert_eq!((config.data.flip, config.train.until["fd_digits"]), (true, 2.0));
    }

    #[test]
    fn paths_of_thousands_of_parts_are_refused() {
        let deep = format!("{}=1", ["a"; 60_000].join("."));
        assert!(set(&mut preset(), &deep).unwrap_err().to_string().contains("too many parts"));
    }

    #[test]
    fn small_images_have_one_setting_under_its_new_and_its_older_name() {
        use gan_data::images::Small::{Refuse, Skip, Upscale};
        for (assignments, expected) in [
            (&[][..], Refuse),
            (&["data.small=skip"], Skip),
            (&["data.upscale=true"], Upscale),
            (&["data.upscale=false"], Refuse),
            (&["data.upscale=true", "data.small=skip"], Skip),
            (&["data.small=skip", "data.upscale=true"], Upscale),
        ] {
            let mut table = preset();
            assignments.iter().for_each(|assignment| set(&mut table, assignment).unwrap());
            let config = read(table).unwrap();
            assert_eq!(config.data.small, expected, "{assignments:?}");
            // Written settings can be read again.
            let written = toml::to_string(&config).unwrap();
            assert!(written.contains("small = ") && !written.contains("upscale = "), "{written}");
            assert_eq!(read(parse(&written).unwrap()).unwrap().data, config.data);
        }
        let message = problem(&["data.small=enlarge"]);
        assert!(
            message.starts_with("data.small: unknown value \"enlarge\"") && message.contains("upscale"),
            "{message}"
        );
        let message = problem(&["data.upscale=3"]);
        assert!(message.starts_with("data.upscale: found 3, expected \"refuse\""), "{message}");
    }

    #[test]
    fn another_loss_keeps_the_labels() {
        let mut table = from_preset(presets::find("keras-mnist").unwrap()).unwrap();
        set(&mut table, "loss.kind=minimax").unwrap();
        assert_eq!(read(table).unwrap().loss.real_label, 0.9);
    }

    #[test]
    fn wrong_keys_and_values_are_named_with_their_path() {
        let message = problem(&["train.bach=3"]);
        assert!(
            message.starts_with("train") && message.contains("\"bach\"") && message.contains("did you mean \"batch\"?"),
            "{message}"
        );
        let message = problem(&["train.batch=many"]);
        assert!(message.starts_with("train.batch:") && message.contains("many"), "{message}");
        let message = problem(&["loss.kind=saturated"]);
        assert!(message.contains("loss.kind") && message.contains("non_saturating"), "{message}");
        let message = problem(&["generator.layers=[\"thanh\"]"]);
        assert!(message.contains("generator.layers[0]") && message.contains("tanh"), "{message}");
        let message = problem(&["optimizer.generator.lrr=3"]);
        assert!(message.starts_with("optimizer.generator.lrr:") && message.contains("\"lr\""), "{message}");
        let message = problem(&["optimizer.generator.alpha=0.9"]);
        assert!(message.contains("\"alpha\" is not for kind = \"adam\""), "{message}");
        let message = problem(&["trian.batch=3"]);
        assert!(message.contains("did you mean \"train\""), "{message}");
        assert!(set(&mut preset(), "train.batch").unwrap_err().to_string().contains("path.to.key=value"));
    }
}
