//! Where a data set's folder is looked for when the configuration does not name one.

use crate::Error;
use crate::file_kind::{self, Kind};
use std::path::{Path, PathBuf};

/// The environment variable that names a folder of data sets.
pub const VARIABLE: &str = "GAN_DATA_DIR";

/// The folder of the data set `name` (such as `mnist`): `named` where given, else the first that exists of
///
/// 1. `$GAN_DATA_DIR/NAME`,
/// 2. `data/NAME` in the current folder, its parent, and so on upward,
/// 3. `data/NAME` and `../share/gan/data/NAME` in the program's folder, its parent, and so on upward,
/// 4. `data/NAME` in the workspace that this library was compiled in.
///
/// A folder in `named` is returned as it is, whether it exists or not.
///
/// # Errors
/// [`Error::NoFolder`], with the places tried.
pub fn find(name: &str, named: Option<&Path>) -> Result<PathBuf, Error> {
    named.map_or_else(|| Places::of_this_process().find(name), |dir| Ok(dir.to_path_buf()))
}

/// Where a data set that is fetched is put, so that [`find`] finds it: `named` where given, else `$GAN_DATA_DIR/NAME`, else
/// `data/NAME` in the current folder.
pub fn target(name: &str, named: Option<&Path>) -> PathBuf {
    let general = || match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from("data"),
    };
    named.map_or_else(|| general().join(name), Path::to_path_buf)
}

/// Checks that `dir` is a folder.
///
/// # Errors
/// [`Error::Setting`], saying that it should hold `contents`.
pub(crate) fn exists(dir: &Path, contents: &str) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let is_to_be_pack = dir.extension().is_some_and(|end| end == crate::pack::EXTENSION);
    let kind = file_kind::of_file(dir);
    let found = match (dir.exists(), is_to_be_pack) {
        (true, true) => "no pack".to_string(),
        (true, false) => in_place_of_a_folder(kind),
        (false, true) => "no such file".into(),
        (false, false) => "no such folder".into(),
    };
    let unpack = if matches!(kind, Some(Kind::Archive(_))) { "unpack it and " } else { "" };
    Err(Error::Setting {
        key: "data.dir",
        found: format!("{} ({found})", dir.display()),
        expected: format!("a pack, or a folder that holds {contents}"),
        advice: format!("{unpack}say where the data is with --set data.dir=DIR"),
    })
}

/// What a file is that stands where a folder should be.
fn in_place_of_a_folder(kind: Option<Kind>) -> String {
    kind.map_or("a file in place of a folder".into(), |kind| format!("{} in place of a folder", kind.name()))
}

/// The first of `names` that is a file in `dir`.
///
/// # Errors
/// [`Error::Missing`] with all the names if no such file is there.
pub(crate) fn file(dir: &Path, names: &[String]) -> Result<PathBuf, Error> {
    // What is not a regular file is found too, so that whoever opens it can say what it is.
    names.iter().map(|name| dir.join(name)).find(|path| path.exists()).ok_or_else(|| Error::Missing {
        folder: dir.into(),
        found: match (dir.is_dir(), dir.exists(), file_kind::of_file(dir)) {
            (true, ..) => "no such file in this folder".into(),
            (_, true, Some(kind @ Kind::Archive(_))) => {
                format!("{}, which is to be unpacked", in_place_of_a_folder(Some(kind)))
            }
            (_, true, kind) => in_place_of_a_folder(kind),
            _ => "no such folder".into(),
        },
        expected: names.to_vec(),
    })
}

/// The starting points of the search.
#[derive(Clone, Debug, Default)]
struct Places {
    variable: Option<PathBuf>,
    current: Option<PathBuf>,
    program: Option<PathBuf>,
    workspace: Option<PathBuf>,
}

impl Places {
    fn of_this_process() -> Self {
        let program = std::env::current_exe().ok();
        let program = program.map(|path| path.canonicalize().unwrap_or(path));
        Self {
            variable: std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from),
            current: std::env::current_dir().ok(),
            program: program.as_deref().and_then(Path::parent).map(Path::to_path_buf),
            workspace: Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().ok(),
        }
    }

    fn find(&self, name: &str) -> Result<PathBuf, Error> {
        let tried = self.candidates(name);
        let Some(found) = tried.iter().find(|dir| dir.is_dir()) else {
            return Err(Error::NoFolder { name: name.into(), tried });
        };
        if self.variable.is_some() && found != &tried[0] {
            let (wanted, found) = (tried[0].display(), found.display());
            tracing::warn!("{VARIABLE} is set, but there is no folder {wanted}: using {found}");
        }
        Ok(found.clone())
    }

    /// Every place to look at, in order, each once.
    fn candidates(&self, name: &str) -> Vec<PathBuf> {
        let near = |dir: &Path| dir.join("data").join(name);
        let shared = |dir: &Path| dir.parent().map(|up| up.join("share/gan/data").join(name));
        let upward = |start: &Option<PathBuf>| -> Vec<PathBuf> {
            start.iter().flat_map(|dir| dir.ancestors()).map(Path::to_path_buf).collect()
        };
        let mut places: Vec<PathBuf> = self.variable.iter().map(|dir| dir.join(name)).collect();
        places.extend(upward(&self.current).iter().map(|dir| near(dir)));
        places.extend(upward(&self.program).iter().flat_map(|dir| [Some(near(dir)), shared(dir)]).flatten());
        places.extend(self.workspace.as_deref().map(near));
        let mut seen = std::collections::HashSet::new();
        places.retain(|place| seen.insert(place.clone()));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::create_dir_all;

    fn places(root: &Path) -> Places {
        Places {
            variable: Some(root.join("variable")),
            current: Some(root.join("work/deep/down")),
            program: Some(root.join("opt/bin")),
            workspace: Some(root.join("source")),
        }
    }

    #[test]
    fn earlier_places_win() {
        let root = tempfile::tempdir().unwrap();
        let found = || places(root.path()).find("toy").unwrap();
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
        let message = places(root.path()).find("toy-absent").unwrap_err().to_string();
        let wanted = ["variable/toy-absent", "work/deep/down/data/toy-absent", "opt/share/gan/data/toy-absent"];
        for part in wanted.into_iter().chain(["source/data/toy-absent", "--set data.dir=DIR", VARIABLE]) {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert!(!message.contains("fetch"), "{message}");
        let message = places(root.path()).find("cifar10").unwrap_err().to_string();
        assert!(message.contains("gan data fetch cifar10") && message.contains("cifar-10-binary.tar.gz"), "{message}");
    }

    #[test]
    fn a_named_folder_is_taken_as_it_is() {
        assert_eq!(find("toy", Some(Path::new("/no/such"))).unwrap(), Path::new("/no/such"));
    }
}
