//! A pack in several files: a folder with `part-00000-of-00012.ganpack` and so on.

use super::EXTENSION;
use super::format::damaged;
use crate::Error;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The file name of part `number` of `of`.
pub(super) fn name(number: usize, of: usize) -> String {
    format!("part-{number:05}-of-{of:05}.{EXTENSION}")
}

pub(super) fn is_called_pack(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == EXTENSION)
}

/// The entries of `folder` that are not hidden.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).map(|entry| entry.path())
}

/// The files in `folder` with a pack's extension, sorted by name.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = entries(folder).filter(|path| is_called_pack(path)).collect();
    files.sort();
    files
}

/// Whether `folder` holds only packs.
pub(super) fn is_set(folder: &Path) -> bool {
    let mut entries = entries(folder).peekable();
    entries.peek().is_some() && entries.all(|path| is_called_pack(&path))
}

/// The files of the pack at `path`: the file itself, or all packs in the folder.
pub(super) fn paths(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let files = files(path);
    if files.is_empty() {
        let expected = format!("files that end with .{EXTENSION}");
        return Err(damaged(path, "is no set of packs", "no such file", expected));
    }
    let names = files.iter().filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect();
    // Packs with names of their own are read in the order of the names.
    let Some(count) = names.iter().find_map(|name| number_of_parts(name)) else { return Ok(files) };
    // A name may promise any number of parts: at most one more than there are files is searched for.
    let present: HashSet<&String> = names.iter().collect();
    let mut wanted = (0..count).take(names.len() + 1).map(|number| name(number, count));
    if let Some(missing) = wanted.find(|name| !present.contains(name)) {
        return Err(damaged(path, "a part is missing", format!("{} packs", names.len()), missing));
    }
    match names.iter().find(|name| number_of_parts(name) != Some(count)) {
        Some(other) => Err(damaged(path, "packs of two sets", other, format!("the {count} parts alone"))),
        None => Ok(files),
    }
}

/// The number of parts of the set that the file name `file` belongs to.
fn number_of_parts(file: &str) -> Option<usize> {
    let (number, of) = file.strip_prefix("part-")?.strip_suffix(".ganpack")?.split_once("-of-")?;
    let number = number.parse().ok()?;
    let of = of.parse().ok()?;
    (number < of && name(number, of) == file).then_some(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{Origin, Pack, write};
    use crate::{Dataset, SyntheticSamples};
    use std::sync::Arc;

    fn images(count: usize) -> Arc<dyn Dataset> {
        Arc::new(SyntheticSamples::new(3, count, [1, 4, 4]).unwrap().with_classes(5))
    }

    fn in_parts(folder: &Path, count: usize, most: usize) -> Vec<PathBuf> {
        write(folder, &images(count), &Origin { name: "made", from: "a seed" }, Some(most), 2, &mut |_, _| {})
            .unwrap()
            .0
    }

    #[test]
    fn parts_together_are_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(in_parts(folder.path(), 23, 5), files(folder.path()));
        assert_eq!(files(folder.path()).len(), 5);
        let (packs, whole) = (Pack::open(folder.path()).unwrap(), images(23));
        assert_eq!((packs.len(), packs.shape(), packs.classes().len()), (23, vec![1, 4, 4], 5));
        for index in 0..23 {
            let [mut ours, mut theirs] = [[0.0; 16]; 2];
            packs.write(index, &mut ours).unwrap();
            whole.write(index, &mut theirs).unwrap();
            assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 0.005), "image {index}");
            assert_eq!(packs.label(index), whole.label(index));
        }
        assert!(packs.label(23).is_none() && packs.write(23, &mut [0.0; 16]).is_err());
    }

    #[test]
    fn one_pack_is_a_set_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.ganpack");
        write(&path, &images(7), &Origin { name: "made", from: "a seed" }, None, 1, &mut |_, _| {}).unwrap();
        assert_eq!((Pack::open(&path).unwrap().len(), Pack::open(folder.path()).unwrap().len()), (7, 7));
    }

    #[test]
    fn a_folder_with_anything_else_in_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_set(folder.path()));
        in_parts(folder.path(), 4, 2);
        fs::write(folder.path().join(".left.packing"), "what a killed process leaves").unwrap();
        assert!(is_set(folder.path()));
        fs::write(folder.path().join("picture.png"), "").unwrap();
        assert!(!is_set(folder.path()));
    }

    #[test]
    fn a_name_that_promises_many_parts_is_not_believed() {
        for promised in ["18446744073709551615", "99999999999", "00002"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(format!("part-00000-of-{promised}.ganpack")), "").unwrap();
            let message = Pack::open(folder.path()).unwrap_err().to_string();
            assert!(
                message.contains(&format!("a part is missing: found 1 packs, expected part-00001-of-{promised}")),
                "{message}"
            );
        }
        // No name of a part: read as any other pack.
        for name in [
            "part-00000-of-00000",
            "part-00009-of-00002",
            "part-0-of-2",
            "part--1-of-2",
            "part-1-of-99999999999999999999",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(format!("{name}.ganpack")), "").unwrap();
            let message = Pack::open(folder.path()).unwrap_err().to_string();
            assert!(message.contains("is empty"), "{message}");
        }
    }

    #[test]
    fn missing_foreign_and_mixed_parts_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| Pack::open(path).unwrap_err().to_string();
        assert!(message(folder.path()).contains("is no set of packs"), "{}", message(folder.path()));
        in_parts(folder.path(), 20, 5);
        let again = write(folder.path(), &images(20), &Origin { name: "m", from: "f" }, Some(10), 1, &mut |_, _| {});
        assert!(again.unwrap_err().to_string().contains("holds another set"));
        fs::remove_file(folder.path().join(name(2, 4))).unwrap();
        assert!(message(folder.path()).contains("part-00002-of-00004.ganpack"), "{}", message(folder.path()));
        let other: Arc<dyn Dataset> = Arc::new(SyntheticSamples::new(3, 5, [3, 4, 4]).unwrap());
        write(&folder.path().join(name(2, 4)), &other, &Origin { name: "m", from: "f" }, None, 1, &mut |_, _| {})
            .unwrap();
        assert!(message(folder.path()).contains("another kind of pack"), "{}", message(folder.path()));
    }
}
