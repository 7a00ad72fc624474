//! Reading of layer lists from TOML or JSON, with messages for authors of presets.

use super::blocks::{Block, R3Gan, SnganDown, SnganUp};
use super::{Layer, LayerSpec, MOST_NESTED, REGISTRY, Residual};
use gan_base::messages::{choose, plain};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// Whether a layer is written with settings or as its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Settings,
    Name,
}

impl Kind {
    pub const fn of<T>() -> Self {
        if size_of::<T>() == 0 { Self::Name } else { Self::Settings }
    }
}

/// A layer that can be read by its name.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    name: &'static str,
    kind: Kind,
    read: fn(Value) -> Result<Layer, String>,
}

impl Entry {
    pub const fn of<T: LayerSpec>() -> Self {
        Self { name: T::NAME, kind: Kind::of::<T>(), read: |value| settings::<T>(T::NAME, value).map(Layer::from) }
    }
}

/// Layers of other crates.
static REGISTERED: RwLock<Vec<Entry>> = RwLock::new(Vec::new());

/// Registers your own layer for lists in TOML and JSON, and so for weight files. A name that is already registered keeps its layer.
pub fn register<T: LayerSpec>() {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if !REGISTRY.iter().chain(registered.iter()).any(|entry| entry.name == T::NAME) {
        registered.push(Entry::of::<T>());
    }
}

fn entries() -> Vec<Entry> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    REGISTRY.iter().chain(registered.iter()).copied().collect()
}

/// Returns the names by which layers and blocks are written in lists.
pub fn names() -> Vec<&'static str> {
    entries().iter().map(|entry| entry.name).chain(BLOCKS.iter().map(|block| block.name)).collect()
}

/// A block family that can be read by its name.
struct BlockEntry {
    name: &'static str,
    read: fn(Value) -> Result<Vec<Layer>, String>,
}

impl BlockEntry {
    const fn of<B: Block>() -> Self {
        let read = |value| {
            let layers = settings::<B>(B::NAME, value)?.layers();
            layers.map_err(|problem| format!("block \"{}\" {problem}", B::NAME))
        };
        Self { name: B::NAME, read }
    }
}

/// All block families.
const BLOCKS: &[BlockEntry] = &[BlockEntry::of::<R3Gan>(), BlockEntry::of::<SnganUp>(), BlockEntry::of::<SnganDown>()];

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
        let found = Value::deserialize(d)?;
        check_nesting(&found).and_then(|()| one(found)).map_err(D::Error::custom)
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
        let found = Value::deserialize(d)?;
        check_nesting(&found).and_then(|()| several(found)).map(Self).map_err(D::Error::custom)
    }
}

/// Checks the nesting before anything recurses into the blocks, because what follows parses each level's table again.
fn check_nesting(found: &Value) -> Result<(), String> {
    if nests_deeper_than(found, MOST_NESTED) {
        return Err(format!(
            "layer \"residual\": blocks may be nested at most {MOST_NESTED} deep: make the list flatter"
        ));
    }
    Ok(())
}

/// Returns whether lists are nested more than `limit` deep. Looks no deeper than that.
fn nests_deeper_than(written: &Value, limit: usize) -> bool {
    let lists = [Residual::NAME, "skip", "layers"].into_iter().filter_map(|key| written.get(key)?.as_array());
    let deeper = |limit: usize| lists.flatten().any(|layer| nests_deeper_than(layer, limit));
    let is_list = written.get(Residual::NAME).is_some() || written.get("repeat").is_some();
    is_list && limit.checked_sub(1).is_none_or(deeper)
}

/// Returns the layers that an entry of a list stands for.
fn several(found: Value) -> Result<Vec<Layer>, String> {
    let is = |name: &str| found.get(name).is_some();
    if is("repeat") {
        let Repeat { repeat, layers } = settings("repeat", found)?;
        if repeat == 0 || layers.is_empty() || repeat.saturating_mul(layers.len()) > MOST_LAYERS {
            return Err(format!("\"repeat\" needs layers, and 1 to {MOST_LAYERS} of them in all"));
        }
        return Ok(layers.iter().cycle().take(repeat * layers.len()).cloned().collect());
    }
    // A layer's own keys may have the name of a block.
    let is_layer = entries().iter().any(|entry| is(entry.name));
    match BLOCKS.iter().find(|block| !is_layer && is(block.name)) {
        Some(block) => (block.read)(found),
        None => one(found).map(|layer| vec![layer]),
    }
}

fn one(value: Value) -> Result<Layer, String> {
    match value {
        Value::String(name) => named(&name),
        Value::Object(table) => {
            let found = entries().into_iter().find(|e| e.kind == Kind::Settings && table.contains_key(e.name));
            let Some(entry) = found else {
                let keys: Vec<&str> = table.keys().map(String::as_str).collect();
                return Err(unknown(&keys.join(", ")));
            };
            (entry.read)(Value::Object(table))
        }
        other => Err(format!("found {other}, expected a layer: \"tanh\" or {{ conv = 64, kernel = 3 }}, for example")),
    }
}

fn named(name: &str) -> Result<Layer, String> {
    match entries().into_iter().find(|entry| entry.name == name) {
        Some(entry) if entry.kind == Kind::Name => (entry.read)(Value::Null),
        Some(_) => Err(format!("layer \"{name}\" needs a setting: write {{ {name} = … }}")),
        None => Err(unknown(name)),
    }
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
    let entries = entries();
    let known: Vec<&str> =
        entries.iter().map(|entry| entry.name).chain(BLOCKS.iter().map(|block| block.name)).collect();
    match name {
        "" => format!("an empty table is no layer. Known: {}", known.join(", ")),
        _ => format!("unknown layer \"{name}\"{}", choose(name, &known)),
    }
}
