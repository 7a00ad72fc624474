//! Folders as classes: their names, why folders are not classes, and what in their names or depth looks like a mistake.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The classes of a list of files.
#[derive(Debug, Default)]
pub struct ClassFolders {
    /// The classes' names; empty where the folders are no classes.
    pub names: Vec<String>,
    /// The class of each file; empty without classes.
    pub labels: Vec<u32>,
    /// Why there are no classes.
    pub why_none: Option<String>,
    /// What looks like a mistake.
    pub warnings: Vec<String>,
}

/// The first words of names that folders with the splits of a data set usually have.
const SPLITS: [&str; 10] = ["train", "training", "trn", "val", "valid", "validation", "dev", "test", "testing", "eval"];

/// The most folders that a message names.
const MOST_NAMED: usize = 3;

impl ClassFolders {
    /// Those of the files `files` in the folder `root`, which are in the order of their paths' bytes.
    pub fn of(root: &Path, files: &[PathBuf]) -> Self {
        // The files are sorted, so that those of one folder stand together.
        let mut folders: Vec<&OsStr> = Vec::new();
        let mut below: Vec<&OsStr> = Vec::new();
        let mut labels = Vec::with_capacity(files.len());
        let mut stray: Vec<&PathBuf> = Vec::new();
        let mut deep: Vec<&PathBuf> = Vec::new();
        for file in files {
            let parts: Vec<&OsStr> = file.iter().take(3).collect();
            let &[folder, inner, ref deeper @ ..] = &parts[..] else {
                stray.push(file);
                continue;
            };
            if folders.last().is_none_or(|last| *last != folder) {
                folders.push(folder);
            }
            if !deeper.is_empty() {
                deep.push(file);
                if !below.contains(&inner) && below.len() <= MOST_NAMED {
                    below.push(inner);
                }
            }
            labels.push(folders.len() as u32 - 1);
        }
        let why_none = why_none(root, &folders, &below, &stray);
        let mut warnings = Vec::new();
        let splits: Vec<&OsStr> = folders.iter().copied().filter(|name| is_split(name)).collect();
        if splits.len() >= 2 || (splits.len() == 1 && !deep.is_empty() && folders.len() >= 2) {
            warnings.push(look_like_splits(root, &splits, &below, why_none.is_none()));
        } else if let (Some(first), None) = (deep.first(), &why_none) {
            let class = first.iter().next().unwrap_or_default().display();
            warnings.push(format!(
                "{}: {} of {} images lie in folders below the classes' folders; the first, {}, is of the class {class}",
                root.display(),
                deep.len(),
                files.len(),
                first.display()
            ));
        }
        if why_none.is_some() {
            return Self { why_none, warnings, ..Self::default() };
        }
        let names = folders.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        Self { names, labels, why_none, warnings }
    }
}

fn why_none(root: &Path, folders: &[&OsStr], below: &[&OsStr], stray: &[&PathBuf]) -> Option<String> {
    match (folders, stray) {
        (_, [first, rest @ ..]) => {
            let others = match (folders, rest.len()) {
                ([], _) => return Some(format!("all images lie in {} itself", root.display())),
                (_, 0) => String::new(),
                (_, count) => format!(" and {count} other images"),
            };
            let verb = if rest.is_empty() { "lies" } else { "lie" };
            Some(format!("{}{others} {verb} in {} itself, not in a class's folder", first.display(), root.display()))
        }
        ([only], []) => {
            let inner = root.join(only);
            let advice = match below.len() {
                0 | 1 => String::new(),
                _ => format!("; if {} are the classes, set data.dir={}", named(below), inner.display()),
            };
            Some(format!("all images lie in one folder, {}{advice}", inner.display()))
        }
        ([], []) => Some(format!("{} holds no image", root.display())),
        _ => None,
    }
}

fn look_like_splits(root: &Path, splits: &[&OsStr], below: &[&OsStr], are_classes: bool) -> String {
    let read = if are_classes { "they are read as classes" } else { "the images of all of them are read" };
    let classes = match below {
        [] => String::new(),
        below => format!(", with its folders ({}) as classes,", named(below)),
    };
    let one = splits.first().map_or(root.into(), |name| root.join(name));
    let (root, one) = (root.display(), one.display());
    format!(
        "{root}: the folders {} look like the splits of a data set, but {read}; to use one split alone{classes} set data.dir={one}",
        named(splits)
    )
}

/// "train, val, dev and others"
fn named(folders: &[&OsStr]) -> String {
    let names: Vec<String> = folders.iter().take(MOST_NAMED).map(|name| name.display().to_string()).collect();
    let others = if folders.len() > MOST_NAMED { " and others" } else { "" };
    format!("{}{others}", names.join(", "))
}

/// Whether a folder is called like a split: "train", "Val", "test2017", "train_images".
fn is_split(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let word = name.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    SPLITS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> ClassFolders {
        ClassFolders::of(Path::new("ds"), &files.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[track_caller]
    fn warns(files: &[&str], words: &[&str]) {
        let found = of(files);
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        words.iter().for_each(|word| assert!(found.warnings[0].contains(word), "no {word:?} in {:?}", found.warnings));
    }

    #[test]
    fn folders_named_like_splits_are_reported() {
        warns(
            &["train/cats/1.png", "train/dogs/2.png", "val/cats/3.png"],
            &[
                "ds: the folders train, val look like the splits",
                "read as classes",
                "(cats, dogs)",
                "data.dir=ds/train",
            ],
        );
        warns(&["Test/1.png", "Training/2.png"], &["Test, Training", "data.dir=ds/Test"]);
        warns(&["test_images/1.png", "train2017/2.png"], &["test_images, train2017"]);
        warns(&["extra/a/1.png", "valid/a/1.png"], &["folders valid look"]);
        warns(&["cover.png", "test/1.png", "train/2.png"], &["the images of all of them are read"]);
        // A class of vehicles, and words that only begin like a split.
        assert!(of(&["bus/1.png", "train/2.png"]).warnings.is_empty());
        assert!(of(&["tester/1.png", "valley/2.png"]).warnings.is_empty());
    }

    #[test]
    fn folders_below_classes_are_reported() {
        warns(&["cats/1.png", "cats/indoor/2.png", "dogs/3.png"], &["1 of 3", "cats/indoor/2.png", "the class cats"]);
        assert!(of(&["cats/1.png", "dogs/3.png"]).warnings.is_empty());
    }

    #[test]
    fn the_reason_for_missing_classes_is_reported() {
        let why = |files: &[&str]| of(files).why_none;
        assert_eq!(why(&["a/1.png", "b/2.png"]), None);
        assert_eq!(
            why(&["a/1.png", "b/2.png", "cover.png"]).unwrap(),
            "cover.png lies in ds itself, not in a class's folder"
        );
        let two = why(&["a/1.png", "x.png", "y.png"]).unwrap();
        assert_eq!(two, "x.png and 1 other images lie in ds itself, not in a class's folder");
        assert_eq!(why(&["x.png", "y.png"]).unwrap(), "all images lie in ds itself");
        assert_eq!(why(&["a/1.png"]).unwrap(), "all images lie in one folder, ds/a");
        let below = why(&["a/b/1.png", "a/c/2.png"]).unwrap();
        assert_eq!(below, "all images lie in one folder, ds/a; if b, c are the classes, set data.dir=ds/a");
    }
}
