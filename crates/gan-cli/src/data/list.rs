//! `gan data list`: the data sets, what each needs, and whether its files are present.

use crate::print;
use anyhow::Result;
use clap::Args;
use gan_data::{DATASETS, DatasetEntry, NeedsFiles};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Examples:\n  gan data list\n  gan data list --json")]
pub struct ListArgs {
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Lists the data sets.
pub fn run(args: &ListArgs) -> Result<()> {
    if args.json {
        return print::json(DATASETS.iter().map(json).collect::<serde_json::Value>());
    }
    let width = DATASETS.iter().map(|set| set.name.len()).max().unwrap_or(0);
    DATASETS.iter().try_for_each(|set| {
        let (holds, state) = (set.info.holds, state(set, set.found()));
        print::line(format_args!("{:<width$}  {holds}\n{:width$}  {state}", set.name, ""))
    })?;
    print::line("A pack (gan data pack) stands for any of the images: data.dir=FILE.ganpack")
}

fn state(set: &DatasetEntry, found: Option<PathBuf>) -> String {
    // A build that cannot download explains how to get the files by hand.
    let how = if cfg!(feature = "hub") { "gets it" } else { "says how to get it" };
    let fetch = |name: &str| {
        let source = DatasetEntry::find(name).and_then(|set| set.info.source);
        source.map_or(String::new(), |source| format!("; `gan data fetch {}` {how}", source.name))
    };
    match (set.info.files, found) {
        (_, Some(dir)) => format!("found in {}", dir.display()),
        (NeedsFiles::Found { folder, what }, None) => {
            format!("not here: needs {what} in data/{folder}{}", fetch(folder))
        }
        (NeedsFiles::Named(what), None) => format!("needs {what}"),
        (NeedsFiles::Nothing, None) => "needs no files".into(),
    }
}

fn json(set: &DatasetEntry) -> serde_json::Value {
    let files = match set.info.files {
        NeedsFiles::Found { what, .. } | NeedsFiles::Named(what) => Some(what),
        NeedsFiles::Nothing => None,
    };
    let found = set.found().map(|dir| dir.display().to_string());
    json!({ "name": set.name, "holds": set.info.holds, "needs": files, "found": found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_data_sets_are_listed_with_how_to_get_them() {
        let words = |name: &str, found: Option<PathBuf>| state(DatasetEntry::find(name).unwrap(), found);
        assert_eq!(words("cifar10", Some("data/cifar10".into())), "found in data/cifar10");
        let how = if cfg!(feature = "hub") { "gets it" } else { "says how to get it" };
        let missing = format!("not here: needs the files *_batch*.bin in data/cifar10; `gan data fetch cifar10` {how}");
        assert_eq!(words("cifar10", None), missing);
        let missing = format!("not here: needs the files of mnist in data/mnist; `gan data fetch mnist` {how}");
        assert_eq!(words("stacked-mnist", None), missing);
        assert_eq!(words("folder", None), "needs a folder, .zip, .npy or .npz of images: data.dir=PATH");
        assert_eq!(words("ring", None), "needs no files");
    }
}
