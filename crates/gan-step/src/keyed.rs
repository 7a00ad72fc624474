//! Settings tables whose keys depend on the value of one of them, so that serde alone cannot tell which key is at fault.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

/// Invalid key of a table.
#[derive(Debug)]
pub struct KeyProblem {
    /// Key, with its path below the table; empty if a key is missing.
    pub key: String,
    /// Description of the problem, by serde or in full.
    pub message: String,
}

/// Settings that are read from a whole table.
pub trait Keyed: Sized {
    /// Reads the keys of the table.
    fn from_table(table: Table) -> Result<Self, KeyProblem>;

    /// Implements `Deserialize`.
    fn from_deserializer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = match Value::deserialize(deserializer)? {
            Value::Table(table) => table,
            other => return Err(D::Error::custom(format!("found {other}, expected a table"))),
        };
        Self::from_table(table).map_err(|KeyProblem { key, message }| {
            D::Error::custom(if key.is_empty() { message } else { format!("{key}: {message}") })
        })
    }
}

/// Reads `table` with `read`, and reports the key at fault if that fails.
pub fn read<T>(
    table: Table,
    read: impl FnOnce(serde_path_to_error::Deserializer<'_, '_, Value>) -> Result<T, toml::de::Error>,
) -> Result<T, KeyProblem> {
    let mut track = serde_path_to_error::Track::new();
    read(serde_path_to_error::Deserializer::new(Value::Table(table), &mut track)).map_err(|error| {
        let path = track.path().to_string();
        let key = if path == "." { String::new() } else { path };
        KeyProblem { key, message: error.message().to_string() }
    })
}
