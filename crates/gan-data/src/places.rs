//! The folders in which a data set is looked for, and what is wrong with a folder that does not hold one.

use crate::Error;
use crate::datasets::DatasetEntry;
use crate::fetch::advice;
use crate::file_kind::{self, Kind};
use std::collections::HashSet;
use std::env;
use std::path::{Path, PathBuf};

/// The environment variable that names a folder of data sets.
const VARIABLE: &str = "GAN_DATA_DIR";

/// The folder of the data set `name` (such as `mnist`): `named` if given, whether it exists or not, else the first that exists of
///
/// 1. `$GAN_DATA_DIR/NAME`,
/// 2. `data/NAME` in the current folder, its parent, and so on upward,
/// 3. `data/NAME` and `../share/gan/data/NAME` in the program's folder, its parent, and so on upward,
/// 4. `data/NAME` in the workspace that this library was compiled in.
///
/// # Errors
/// [`Error::Setting`] with the places tried.
pub(crate) fn find(name: &str, named: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(dir) = named {
        return Ok(dir.into());
    }
    let program = env::current_exe().ok().map(|path| path.canonicalize().unwrap_or(path));
    let program = program.and_then(|path| path.parent().map(Path::to_path_buf));
    let workspace = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().ok();
    search(name, variable(), env::current_dir().ok(), program, workspace)
}

/// The folder into which a data set is fetched, so that opening the set finds it there: `named` if given, else `$GAN_DATA_DIR/NAME`, else
/// `data/NAME` in the current folder.
pub fn target(name: &str, named: Option<&Path>) -> PathBuf {
    named.map_or_else(|| variable().unwrap_or_else(|| "data".into()).join(name), Path::to_path_buf)
}

fn variable() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn search(
    name: &str,
    variable: Option<PathBuf>,
    current: Option<PathBuf>,
    program: Option<PathBuf>,
    workspace: Option<PathBuf>,
) -> Result<PathBuf, Error> {
    let near = |dir: &Path| dir.join("data").join(name);
    let mut tried: Vec<PathBuf> = variable.iter().map(|dir| dir.join(name)).collect();
    tried.extend(current.iter().flat_map(|dir| dir.ancestors()).map(near));
    for dir in program.iter().flat_map(|dir| dir.ancestors()) {
        tried.push(near(dir));
        tried.extend(dir.parent().map(|up| up.join("share/gan/data").join(name)));
    }
    tried.extend(workspace.as_deref().map(near));
    let mut seen = HashSet::new();
    tried.retain(|place| seen.insert(place.clone()));
    let Some(found) = tried.iter().find(|dir| dir.is_dir()) else {
        let tried: Vec<String> = tried.iter().map(|path| format!("  {}", path.display())).collect();
        let source = DatasetEntry::find(name).and_then(|entry| entry.info.source);
        let hint = source.map_or(String::new(), |source| format!("; {}", advice(&source)));
        return Err(Error::Setting(format!(
            "{name}: found no folder with this data set, expected one of\n{}\nmake one of them, or say where the data is \
             with `data.dir=DIR` or the environment variable {VARIABLE}=DIR (holding {name}/){hint}",
            tried.join("\n")
        )));
    };
    if variable.is_some() && found != &tried[0] {
        let [wanted, found] = [tried[0].display(), found.display()];
        tracing::warn!("{VARIABLE} is set, but there is no folder {wanted}: using {found}");
    }
    Ok(found.clone())
}

/// Checks that `dir` is a folder; the error says that it should hold `contents`.
pub(crate) fn exists(dir: &Path, contents: &str) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let is_called_pack = dir.extension().is_some_and(|end| end == crate::pack::EXTENSION);
    let kind = file_kind::of_file(dir);
    let problem = match (dir.exists(), is_called_pack) {
        (true, true) => "no pack",
        (true, false) => &in_place_of_a_folder(kind),
        (false, true) => "no such file",
        (false, false) => "no such folder",
    };
    let unpack = if matches!(kind, Some(Kind::Archive(_))) { "unpack it and " } else { "" };
    let found = format!("{} ({problem})", dir.display());
    let advice = format!("{unpack}say where the data is with `data.dir=DIR`");
    Err(Error::setting("data.dir", found, format!("a pack, or a folder that holds {contents}"), advice))
}

fn in_place_of_a_folder(kind: Option<Kind>) -> String {
    format!("{} in place of a folder", kind.map_or("a file", Kind::name))
}

/// The first of `names` that is a file in `dir`; the error says all of them.
pub(crate) fn file(dir: &Path, names: &[String]) -> Result<PathBuf, Error> {
    // Files that are not regular count too: opening them tells what they are.
    if let Some(path) = names.iter().map(|name| dir.join(name)).find(|path| path.exists()) {
        return Ok(path);
    }
    let kind = file_kind::of_file(dir);
    let found = match kind {
        _ if dir.is_dir() => "no such file in this folder".into(),
        _ if !dir.exists() => "no such folder".into(),
        Some(Kind::Archive(_)) => format!("{}, which is to be unpacked", in_place_of_a_folder(kind)),
        _ => in_place_of_a_folder(kind),
    };
    Err(Error::missing(dir, found, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::create_dir_all;

    fn search_in(root: &Path, name: &str) -> Result<PathBuf, Error> {
        let start = |folder: &str| Some(root.join(folder));
        search(name, start("variable"), start("work/deep/down"), start("opt/bin"), start("source"))
    }

    #[test]
    fn earlier_places_win() {
        let root = tempfile::tempdir().unwrap();
        let found = || search_in(root.path(), "toy").unwrap();
        let order = [
            "source/data/toy",
            "opt/data/toy",
            "opt/share/gan/data/toy", // ../share of the program's own folder, opt/bin
            "work/data/toy",
            "work/deep/data/toy",
            "variable/toy",
        ];
        for place in order.map(|place| root.path().join(place)) {
            create_dir_all(&place).unwrap();
            assert_eq!(found(), place);
        }
    }

    #[test]
    fn the_error_lists_the_places_and_the_setting() {
        let root = tempfile::tempdir().unwrap();
        let message = search_in(root.path(), "toy-absent").unwrap_err().to_string();
        let wanted = ["variable/toy-absent", "work/deep/down/data/toy-absent", "opt/share/gan/data/toy-absent"];
        for part in wanted.into_iter().chain(["source/data/toy-absent", "`data.dir=DIR`", VARIABLE]) {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert!(!message.contains("fetch"), "{message}");
        let message = search_in(root.path(), "cifar10").unwrap_err().to_string();
        assert!(message.contains("gan data fetch cifar10") && message.contains("cifar-10-binary.tar.gz"), "{message}");
    }

    #[test]
    fn a_named_folder_is_taken_as_it_is() {
        assert_eq!(find("toy", Some(Path::new("/no/such"))).unwrap(), Path::new("/no/such"));
    }
}
