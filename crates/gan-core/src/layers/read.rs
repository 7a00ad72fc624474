//! Reading of layer lists from TOML or JSON, with messages for authors of presets.

use super::residual::{BLOCKS, Block};
use super::{Layer, LayerSpec, MOST_NESTED, REGISTRY, Residual};
use gan_base::messages::{choose, plain};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// A layer, or a block of layers, that can be read by its name.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    name: &'static str,
    /// Whether it is written with settings, not as its name alone.
    pub has_settings: bool,
    read: fn(Value) -> Result<Vec<Layer>, String>,
}

impl Entry {
    pub const fn layer<T: LayerSpec>() -> Self {
        let read = |value| Ok(vec![settings::<T>(T::NAME, value)?.into()]);
        Self { name: T::NAME, has_settings: size_of::<T>() > 0, read }
    }

    pub const fn block<B: Block>() -> Self {
        let read = |value| {
            let layers = settings::<B>(B::NAME, value)?.layers();
            layers.map_err(|problem| format!("block \"{}\" {problem}", B::NAME))
        };
        Self { name: B::NAME, has_settings: true, read }
    }
}

/// Layers of other crates.
static REGISTERED: RwLock<Vec<Entry>> = RwLock::new(Vec::new());

/// Registers your own layer for lists in TOML and JSON, and so for weight files. A name that is already registered keeps its layer.
pub fn register<T: LayerSpec>() {
    if !names().contains(&T::NAME) {
        REGISTERED.write().unwrap_or_else(PoisonError::into_inner).push(Entry::layer::<T>());
    }
}

/// Returns all layers, and then the blocks: the keys of a layer may have the name of a block.
fn entries() -> Vec<Entry> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    [REGISTRY, registered.as_slice(), BLOCKS].concat()
}

/// Returns the names by which layers and blocks are written in lists.
pub fn names() -> Vec<&'static str> {
    entries().iter().map(|entry| entry.name).collect()
}

/// Maximum number of layers of a list, so that repetitions cannot fill the memory.
const MOST_LAYERS: usize = 10_000;

/// Layers that are repeated.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    repeat: usize,
    #[serde(deserialize_with = "list")]
    layers: Vec<Layer>,
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let SeveralLayers(mut layers) = SeveralLayers::deserialize(d)?;
        match (layers.pop(), layers.is_empty()) {
            (Some(layer), true) => Ok(layer),
            _ => Err(D::Error::custom("found several layers, expected one")),
        }
    }
}

/// Reads a list of layers, in which blocks and `{ repeat = 2, layers = […] }` stand for several: for `#[serde(deserialize_with)]`.
///
/// # Errors
/// The first entry that is not a layer.
pub fn list<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Layer>, D::Error> {
    d.deserialize_seq(ListVisitor)
}

/// Reads entry by entry, so that an error has the entry's number in its path.
struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<Layer>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<Layer>, A::Error> {
        let mut layers = vec![];
        while let Some(SeveralLayers(more)) = entries.next_element()? {
            layers.extend(more);
            if layers.len() > MOST_LAYERS {
                return Err(A::Error::custom(format!("more than {MOST_LAYERS} layers: repeat fewer")));
            }
        }
        Ok(layers)
    }
}

/// The layers that an entry of a list stands for.
struct SeveralLayers(Vec<Layer>);

impl<'de> Deserialize<'de> for SeveralLayers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        several(Value::deserialize(d)?).map(Self).map_err(D::Error::custom)
    }
}

/// Returns the layers that an entry of a list stands for.
fn several(value: Value) -> Result<Vec<Layer>, String> {
    // Before anything recurses into the blocks, because reading them parses each level's table again.
    if nests_deeper_than(&value, MOST_NESTED) {
        return Err(format!(
            "layer \"residual\": blocks may be nested at most {MOST_NESTED} deep: make the list flatter"
        ));
    }
    match &value {
        Value::String(name) => match entries().into_iter().find(|entry| entry.name == name) {
            Some(entry) if entry.has_settings => {
                Err(format!("layer \"{name}\" needs a setting: write {{ {name} = … }}"))
            }
            Some(entry) => (entry.read)(Value::Null),
            None => Err(unknown(name)),
        },
        Value::Object(table) if table.contains_key("repeat") => {
            let Repeat { repeat, layers } = settings("repeat", value)?;
            if repeat == 0 || layers.is_empty() || repeat.saturating_mul(layers.len()) > MOST_LAYERS {
                return Err(format!("\"repeat\" needs layers, and 1 to {MOST_LAYERS} of them in all"));
            }
            Ok(layers.iter().cycle().take(repeat * layers.len()).cloned().collect())
        }
        Value::Object(table) => {
            match entries().into_iter().find(|entry| entry.has_settings && table.contains_key(entry.name)) {
                Some(entry) => (entry.read)(value),
                None => Err(unknown(&table.keys().map(String::as_str).collect::<Vec<_>>().join(", "))),
            }
        }
        other => Err(format!("found {other}, expected a layer: \"tanh\" or {{ conv = 64, kernel = 3 }}, for example")),
    }
}

/// Returns whether lists are nested more than `limit` deep. Looks no deeper than that.
fn nests_deeper_than(written: &Value, limit: usize) -> bool {
    let lists = [Residual::NAME, "skip", "layers"].into_iter().filter_map(|key| written.get(key)?.as_array());
    let deeper = |limit: usize| lists.flatten().any(|layer| nests_deeper_than(layer, limit));
    let is_list = written.get(Residual::NAME).is_some() || written.get("repeat").is_some();
    is_list && limit.checked_sub(1).is_none_or(deeper)
}

/// Reads the settings of the layer `name`; an error names the key.
fn settings<T: DeserializeOwned>(name: &str, table: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(table).map_err(|e| {
        let key = e.path().to_string();
        let problem = plain(&e.into_inner().to_string());
        let elsewhere = problem.starts_with("found") && key != name;
        let key = if elsewhere { format!(", {key}") } else { String::new() };
        format!("layer \"{name}\"{key}: {problem}")
    })
}

fn unknown(name: &str) -> String {
    match name {
        "" => format!("an empty table is no layer. Known: {}", names().join(", ")),
        _ => format!("unknown layer \"{name}\"{}", choose(name, &names())),
    }
}
