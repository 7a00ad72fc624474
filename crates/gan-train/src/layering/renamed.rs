//! Keys that were renamed.

use super::Table;
use toml::Value;

/// Old and new names of keys.
const RENAMED: [[&str; 2]; 4] = [
    ["optimizer.generator.rate", "optimizer.generator.lr"],
    ["optimizer.discriminator.rate", "optimizer.discriminator.lr"],
    ["train.pack", "train.pacgan"],
    ["alarms.rate_factor", "alarms.lr_factor"],
];

/// Returns the first key that has another name now, and that name.
pub(super) fn found(table: &Table) -> Option<[&'static str; 2]> {
    RENAMED.into_iter().find(|[old, _]| find(table, old).is_some())
}

/// Returns the value at a path of keys.
pub(super) fn find<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((key, rest)) => find(table.get(key)?.as_table()?, rest),
        None => table.get(path),
    }
}

/// Returns the table that holds the key at the end of a path, and that key.
fn holder<'a, 'p>(table: &'a mut Table, path: &'p str) -> Option<(&'a mut Table, &'p str)> {
    match path.split_once('.') {
        Some((key, rest)) => holder(table.get_mut(key)?.as_table_mut()?, rest),
        None => Some((table, path)),
    }
}

/// Renames the keys of settings that an older version wrote.
pub(crate) fn rename_old_keys(table: &mut Table) {
    for [old, new] in RENAMED {
        let Some((holder, key)) = holder(table, old) else { continue };
        if let Some(value) = holder.remove(key) {
            let name = new.rsplit('.').next().unwrap_or(new);
            holder.insert(name.into(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layering, presets};

    #[test]
    fn keys_that_were_renamed_name_the_new_key_and_old_runs_are_read() {
        for [old, new] in RENAMED {
            let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
            layering::set(&mut table, &format!("{old}=2")).unwrap();
            let message = layering::read(table.clone()).unwrap_err().to_string();
            assert_eq!(message, format!("{old}: is called {new} now: write that"));
            rename_old_keys(&mut table);
            assert_eq!(find(&table, new).and_then(Value::as_integer), Some(2), "{new}");
            assert!(find(&table, old).is_none());
        }
    }
}
