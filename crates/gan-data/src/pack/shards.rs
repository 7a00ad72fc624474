//! A data set in one pack or in several: a folder with `part-00000-of-00012.ganpack` and so on.

use super::format::damaged;
use super::{EXTENSION, Header, Made, Pack, Progress, write};
use crate::{Dataset, Error};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One pack, or all of a folder's, one after the other.
#[derive(Debug)]
pub struct Packs {
    parts: Vec<Pack>,
    /// Where each part's images end.
    ends: Vec<usize>,
    header: Header,
}

/// What part `number` of `of` is called.
fn name(number: usize, of: usize) -> String {
    format!("part-{number:05}-of-{of:05}.{EXTENSION}")
}

/// The files in `folder` that are called like packs, by name.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == EXTENSION)).collect();
    files.sort();
    files
}

impl Packs {
    /// Opens the pack at `path`, or all packs in the folder there.
    ///
    /// # Errors
    /// As [`Pack::open`]; [`Error::File`] where the packs of a folder hold other images than its first, or where parts are missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let files = if path.is_dir() { all_parts(path)? } else { vec![path.to_path_buf()] };
        let parts = files.iter().map(|file| Pack::open(file)).collect::<Result<Vec<_>, _>>()?;
        let first = parts[0].header();
        for (file, part) in files.iter().zip(&parts) {
            let holds = |header: &Header| format!("images {:?} of {} classes", header.shape, header.classes.len());
            if (part.header().shape, &part.header().classes) != (first.shape, &first.classes) {
                let (found, expected) =
                    (holds(part.header()), format!("{}, as in {}", holds(first), files[0].display()));
                return Err(damaged(file, "another kind of pack", found, expected));
            }
        }
        let mut count = 0;
        let ends = parts.iter().map(|part| {
            count += part.len();
            count
        });
        let ends: Vec<usize> = ends.collect();
        Ok(Self { header: Header { count, ..first.clone() }, parts, ends })
    }

    /// What is packed in all parts, and what it was made from.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The part that image `index` is in, and which of its images it is.
    fn find(&self, index: usize) -> (&Pack, usize) {
        let part = self.ends.partition_point(|end| *end <= index).min(self.parts.len() - 1);
        (&self.parts[part], index - part.checked_sub(1).map_or(0, |before| self.ends[before]))
    }
}

/// The packs of a folder, all parts of one set or each its own.
fn all_parts(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let files = files(folder);
    let named = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let of = |name: &str| name.strip_prefix("part-")?.strip_suffix(".ganpack")?.split_once("-of-")?.1.parse().ok();
    let names: Vec<String> = files.iter().map(named).collect();
    let Some(count) = names.iter().find_map(|name| of(name)) else {
        return match files.is_empty() {
            true => Err(damaged(
                folder,
                "is no set of packs",
                "no file".into(),
                format!("files that end with .{EXTENSION}"),
            )),
            false => Ok(files),
        };
    };
    let wanted: Vec<String> = (0..count).map(|number| name(number, count)).collect();
    if let Some(missing) = wanted.iter().find(|name| !names.contains(name)) {
        return Err(damaged(folder, "a part is missing", format!("{} packs", names.len()), missing.clone()));
    }
    match names.iter().find(|name| !wanted.contains(name)) {
        Some(other) => Err(damaged(folder, "packs of two sets", other.clone(), format!("the {count} parts alone"))),
        None => Ok(files),
    }
}

impl Dataset for Packs {
    fn len(&self) -> usize {
        self.header.count
    }

    fn shape(&self) -> Vec<usize> {
        self.header.shape.to_vec()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        let (part, index) = self.find(index);
        part.write(index, out)
    }

    fn label(&self, index: usize) -> Option<u32> {
        let (part, index) = (index < self.len()).then(|| self.find(index))?;
        part.label(index)
    }

    fn classes(&self) -> &[String] {
        &self.header.classes
    }
}

/// Images of another set that follow each other.
struct Part<'a> {
    of: &'a dyn Dataset,
    range: Range<usize>,
}

impl Dataset for Part<'_> {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn shape(&self) -> Vec<usize> {
        self.of.shape()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.of.write(self.range.start + index, out)
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.of.label(self.range.start + index)
    }

    fn classes(&self) -> &[String] {
        self.of.classes()
    }
}

/// As [`write`](fn@write), into a folder of packs with at most `most` images each. Parts that are there already are written anew.
///
/// # Errors
/// As [`write`](fn@write); [`Error::Setting`] where `most` is 0; [`Error::File`] where the folder holds other packs.
pub fn write_shards(
    folder: &Path,
    data: &dyn Dataset,
    made: &Made<'_>,
    most: usize,
    threads: usize,
    watch: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    if most == 0 {
        let (key, found, expected) = ("images of a part", "0".into(), "at least 1".into());
        return Err(Error::Setting { key, found, expected, advice: "100000 serves most".into() });
    }
    let total = data.len();
    let count = total.div_ceil(most).max(1);
    let wanted: Vec<PathBuf> = (0..count).map(|number| folder.join(name(number, count))).collect();
    if let Some(other) = files(folder).into_iter().find(|file| !wanted.contains(file)) {
        let expected = format!("{count} parts alone; name another folder, or remove it");
        return Err(damaged(folder, "holds another pack", other.display().to_string(), expected));
    }
    fs::create_dir_all(folder).map_err(|cause| Error::Write { path: folder.into(), cause })?;
    for (number, path) in wanted.iter().enumerate() {
        let range = number * total / count..(number + 1) * total / count;
        let start = range.start;
        let mut shifted = |progress: Progress| watch(Progress { done: start + progress.done, total });
        write(path, &Part { of: data, range }, made, threads, &mut shifted)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MadeImages;

    fn images(count: usize) -> MadeImages {
        MadeImages::new(3, count, [1, 4, 4]).unwrap().with_classes(5)
    }

    fn sharded(folder: &Path, count: usize, most: usize) {
        write_shards(folder, &images(count), &Made { name: "made", from: "a seed" }, most, 2, &mut |_| {}).unwrap();
    }

    #[test]
    fn parts_together_are_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        sharded(folder.path(), 23, 5);
        assert_eq!(files(folder.path()).len(), 5);
        let (packs, whole) = (Packs::open(folder.path()).unwrap(), images(23));
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
        write(&path, &images(7), &Made { name: "made", from: "a seed" }, 1, &mut |_| {}).unwrap();
        assert_eq!((Packs::open(&path).unwrap().len(), Packs::open(folder.path()).unwrap().len()), (7, 7));
    }

    #[test]
    fn missing_foreign_and_mixed_parts_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| Packs::open(path).unwrap_err().to_string();
        assert!(message(folder.path()).contains("is no set of packs"), "{}", message(folder.path()));
        sharded(folder.path(), 20, 5);
        let again = write_shards(folder.path(), &images(20), &Made { name: "m", from: "f" }, 10, 1, &mut |_| {});
        assert!(again.unwrap_err().to_string().contains("holds another pack"));
        fs::remove_file(folder.path().join(name(2, 4))).unwrap();
        assert!(message(folder.path()).contains("part-00002-of-00004.ganpack"), "{}", message(folder.path()));
        let other = MadeImages::new(3, 5, [3, 4, 4]).unwrap();
        write(&folder.path().join(name(2, 4)), &other, &Made { name: "m", from: "f" }, 1, &mut |_| {}).unwrap();
        assert!(message(folder.path()).contains("another kind of pack"), "{}", message(folder.path()));
    }
}
