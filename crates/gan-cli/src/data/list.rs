//! `gan data list`: what data sets there are, what each needs, and whether it is here.

use super::args::ListArgs;
use crate::say;
use anyhow::Result;
use gan_train::data::KNOWN;
use serde_json::json;
use std::path::PathBuf;

/// What a data set needs before it can be trained on.
enum Needs {
    /// Files, looked for in the usual places.
    Files(&'static str),
    /// Files that the user names.
    Dir(&'static str),
    /// Nothing.
    Nothing,
}

/// What the data set `name` holds, and what it needs.
fn about(name: &str) -> (&'static str, Needs) {
    use Needs::{Dir, Files, Nothing};
    match name {
        "mnist" => ("handwritten digits, grey, 28×28, 10 classes", Files("four files *-ubyte or *-ubyte.gz")),
        "fashion-mnist" => ("clothing, grey, 28×28, 10 classes", Files("four files *-ubyte or *-ubyte.gz")),
        "stacked-mnist" => {
            ("three digits of MNIST as one colour image, 28×28, 1,000 classes", Files("the files of mnist"))
        }
        "cifar10" => ("animals and vehicles, colour, 32×32, 10 classes", Files("the files *_batch*.bin")),
        "celeba" => ("faces, colour, 178×218 before cropping", Files("the folder img_align_celeba")),
        "folder" => ("your images", Dir("a folder of images: data.dir=DIR")),
        "curve" => ("points on curves", Nothing),
        "ring" => ("points around modes on a circle", Nothing),
        "grid" => ("points around modes on a square grid", Nothing),
        "made" => ("noise of any shape, for timing", Nothing),
        _ => ("", Nothing),
    }
}

/// Lists the data sets.
pub fn run(args: &ListArgs) -> Result<()> {
    if args.json {
        return say::json(serde_json::Value::from(KNOWN.map(json).to_vec()));
    }
    let width = KNOWN.iter().map(|name| name.len()).max().unwrap_or(0);
    KNOWN.iter().try_for_each(|name| {
        let (holds, needs) = about(name);
        say::line(format_args!("{name:<width$}  {holds}\n{:width$}  {}", "", state(name, &needs, found(name, &needs))))
    })?;
    say::line("A pack (gan data pack) stands for any of the images: data.dir=FILE.ganpack")
}

/// The data set whose files `name` is made from: itself, mostly.
pub(super) fn origin(name: &str) -> &str {
    if name == "stacked-mnist" { "mnist" } else { name }
}

/// Where the files of the data set `name` are, if they are anywhere.
fn found(name: &str, needs: &Needs) -> Option<PathBuf> {
    let looked_for = matches!(needs, Needs::Files(_));
    looked_for.then(|| gan_data::folder::find(origin(name), None).ok()).flatten()
}

fn state(name: &str, needs: &Needs, found: Option<PathBuf>) -> String {
    let name = origin(name);
    // In a build that cannot download it says how to get the files by hand.
    let how = if cfg!(feature = "hub") { "gets it" } else { "says how to get it" };
    let fetch = || gan_data::fetch::source(name).map_or(String::new(), |_| format!("; `gan data fetch {name}` {how}"));
    match (needs, found) {
        (_, Some(dir)) => format!("found in {}", dir.display()),
        (Needs::Files(files), None) => format!("not here: needs {files} in data/{name}{}", fetch()),
        (Needs::Dir(dir), None) => format!("needs {dir}"),
        (Needs::Nothing, None) => "needs no files".into(),
    }
}

fn json(name: &str) -> serde_json::Value {
    let (holds, needs) = about(name);
    let files = match needs {
        Needs::Files(files) | Needs::Dir(files) => Some(files),
        Needs::Nothing => None,
    };
    let found = found(name, &needs).map(|dir| dir.display().to_string());
    json!({ "name": name, "holds": holds, "needs": files, "found": found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_data_set_is_described() {
        KNOWN.iter().for_each(|name| assert_ne!(about(name).0, "", "{name} has no row in about()"));
    }

    #[test]
    fn what_is_not_here_comes_with_how_to_get_it() {
        let words = |name: &str, found: Option<PathBuf>| state(name, &about(name).1, found);
        assert_eq!(words("cifar10", Some("data/cifar10".into())), "found in data/cifar10");
        let how = if cfg!(feature = "hub") { "gets it" } else { "says how to get it" };
        let missing = format!("not here: needs the files *_batch*.bin in data/cifar10; `gan data fetch cifar10` {how}");
        assert_eq!(words("cifar10", None), missing);
        let missing = format!("not here: needs the files of mnist in data/mnist; `gan data fetch mnist` {how}");
        assert_eq!(words("stacked-mnist", None), missing);
        assert_eq!(words("folder", None), "needs a folder of images: data.dir=DIR");
        assert_eq!(words("ring", None), "needs no files");
    }
}
