//! How a layer and its settings are read from TOML or JSON, with messages that a preset's writer understands.

use super::{Layer, MOST_NESTED, NAMES, Pad, PadRule, Pair, TABLES};
use gan_base::messages::{choose, plain};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(d)?;
        match numbers(&found).as_deref() {
            Some([n]) if !found.is_array() => Ok(Self::Both(*n)),
            Some([down, across]) => Ok(Self::Each([*down, *across])),
            _ => {
                Err(D::Error::custom(format!("found {found}, expected a whole number or two, [vertical, horizontal]")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Pad {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(d)?;
        match (numbers(&found).as_deref(), found.as_str()) {
            (Some([n]), _) if !found.is_array() => Ok(Self::All(*n)),
            (Some([down, across]), _) => Ok(Self::Each([*down, *across])),
            (Some([top, bottom, left, right]), _) => Ok(Self::Sides([*top, *bottom, *left, *right])),
            (_, Some("same")) => Ok(Self::Rule(PadRule::Same)),
            (_, Some("valid")) => Ok(Self::Rule(PadRule::Valid)),
            _ => Err(D::Error::custom(format!(
                "found {found}, expected \"same\", \"valid\", a whole number, [vertical, horizontal] or [top, bottom, left, right]"
            ))),
        }
    }
}

/// A whole number, or all those of a list.
fn numbers(value: &Value) -> Option<Vec<usize>> {
    let whole = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    match value {
        Value::Array(list) => list.iter().map(whole).collect(),
        other => Some(vec![whole(other)?]),
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(d)?;
        // Before anything that goes into the blocks: what follows takes each level's table apart anew.
        if nests_deeper_than(&found, MOST_NESTED) {
            let problem =
                format!("layer \"residual\": blocks may be nested at most {MOST_NESTED} deep: make the list flatter");
            return Err(D::Error::custom(problem));
        }
        parse(found).map_err(D::Error::custom)
    }
}

/// Whether more than `limit` residual blocks stand in each other in what was written. Looks no deeper than that.
fn nests_deeper_than(written: &Value, limit: usize) -> bool {
    let lists = ["residual", "skip"].into_iter().filter_map(|key| written.get(key)?.as_array());
    let deeper = |limit: usize| lists.flatten().any(|layer| nests_deeper_than(layer, limit));
    written.get("residual").is_some() && limit.checked_sub(1).is_none_or(deeper)
}

fn parse(value: Value) -> Result<Layer, String> {
    match value {
        Value::String(name) => named(&name),
        Value::Object(table) => {
            let Some(name) = TABLES.iter().find(|name| table.contains_key(**name)) else {
                let keys: Vec<&str> = table.keys().map(String::as_str).collect();
                return Err(unknown(&keys.join(", ")));
            };
            Layer::of_table(name, Value::Object(table))
        }
        other => Err(format!("found {other}, expected a layer: \"tanh\" or {{ conv = 64, kernel = 3 }}, for example")),
    }
}

fn named(name: &str) -> Result<Layer, String> {
    if let Some((_, layer)) = NAMES.iter().find(|(n, _)| *n == name) {
        return Ok(layer.clone());
    }
    if TABLES.contains(&name) {
        return Err(format!("layer \"{name}\" needs a setting: write {{ {name} = … }}"));
    }
    Err(unknown(name))
}

/// The settings of the layer `name`; an error says at which key.
pub(super) fn settings<T: DeserializeOwned>(name: &str, table: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(table).map_err(|e| {
        let key = e.path().to_string();
        let problem = plain(&e.into_inner().to_string());
        let elsewhere = problem.starts_with("found") && key != name;
        let key = if elsewhere { format!(", {key}") } else { String::new() };
        format!("layer \"{name}\"{key}: {problem}")
    })
}

pub(super) fn unknown(name: &str) -> String {
    let known: Vec<&str> = TABLES.iter().copied().chain(NAMES.iter().map(|(n, _)| *n)).collect();
    match name {
        "" => format!("an empty table is no layer. Known: {}", known.join(", ")),
        _ => format!("unknown layer \"{name}\"{}", choose(name, &known)),
    }
}
