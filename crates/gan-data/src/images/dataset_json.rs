//! The list of labels in data sets for StyleGAN: `dataset.json` beside the images, `{"labels": [["00000/img00000000.png", 6], …]}`, with
//! null in place of the list if there are no labels (`dataset_tool.py` of stylegan2-ada-pytorch, 2021).

use super::class_folders::ClassFolders;
use super::source::Source;
use crate::Error;
use gan_base::messages::counted;
use serde::Deserialize;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the file.
pub(super) const NAME: &str = "dataset.json";

/// The most bytes of the file: ten million lines.
const MOST_BYTES: u64 = 1 << 29;

/// The largest label.
const MOST_LABEL: u64 = 0xffff;

#[derive(Deserialize)]
struct Content {
    labels: Option<Vec<(String, serde_json::Value)>>,
}

/// Returns the classes of `files` that the list names; `None` if there is no such file, or it has no key `labels` and so another meaning.
/// Classes are called by their numbers.
///
/// # Errors
/// [`Error::Read`] if it cannot be read; [`Error::File`] if it is damaged, names files that are missing, or does not name one of `files`.
pub(super) fn classes(source: &Source, files: &[PathBuf]) -> Result<Option<ClassFolders>, Error> {
    if !source.has(Path::new(NAME)) {
        return Ok(None);
    }
    let path = source.path().join(NAME);
    let refused =
        |what, found: String, expected: &str, advice: &str| Err(Error::file(&path, what, found, expected, advice));
    let mut bytes = Vec::new();
    let list = source.read(Path::new(NAME)).map_err(Error::read(&path))?;
    list.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Error::read(&path))?;
    if bytes.len() as u64 > MOST_BYTES {
        return refused(
            "list of labels too long",
            format!("more than {MOST_BYTES} bytes"),
            "a shorter list",
            "check that it is the right file",
        );
    }
    let expected = r#"{"labels": [["00000/img00000000.png", 6], …]}, or null for the labels"#;
    let again = "write it again, or remove it to take the folders as classes";
    let labels = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(value) if value.get("labels").is_none() => return Ok(None),
        Ok(value) => match serde_json::from_value::<Content>(value) {
            Ok(content) => content.labels,
            Err(problem) => return refused("list of labels that cannot be used", problem.to_string(), expected, again),
        },
        Err(problem) => return refused("damaged list of labels", problem.to_string(), expected, again),
    };
    let Some(labels) = labels else {
        let why_none = Some(format!("{} has no labels", path.display()));
        return Ok(Some(ClassFolders { why_none, ..ClassFolders::default() }));
    };
    let mut known = HashMap::with_capacity(labels.len());
    for (name, label) in labels {
        let Some(number) = label.as_u64().filter(|number| *number <= MOST_LABEL) else {
            let found = format!("{label} for \"{name}\"");
            let whole = format!("a whole number from 0 to {MOST_LABEL}");
            return refused("label that is no class", found, &whole, "number the classes from 0 on");
        };
        known.insert(PathBuf::from(name), number as u32);
    }
    // Only names that no image of the set has are looked up in the folder.
    let images: std::collections::HashSet<&PathBuf> = files.iter().collect();
    let mut missing: Vec<&PathBuf> = known.keys().filter(|name| !images.contains(name) && !source.has(name)).collect();
    missing.sort_unstable();
    if let Some(first) = missing.first() {
        let found = format!("{}, the first \"{}\"", counted(missing.len(), "name"), first.display());
        return refused(
            "list of labels with files that are missing",
            found,
            "only files that exist",
            "get the missing images, or remove their lines",
        );
    }
    let of_file = |file: &PathBuf| known.get(file).copied();
    if let Some(first) = files.iter().find(|file| of_file(file).is_none()) {
        let count = files.iter().filter(|file| of_file(file).is_none()).count();
        let found = format!("no label for {}, the first \"{}\"", counted(count, "image"), first.display());
        return refused(
            "list of labels that is not complete",
            found,
            "a label for each image",
            "add the labels, or remove the images",
        );
    }
    let labels: Vec<u32> = files.iter().filter_map(of_file).collect();
    let count = labels.iter().max().map_or(0, |label| label + 1);
    let names = (0..count).map(|label| label.to_string()).collect();
    Ok(Some(ClassFolders { names, labels, ..ClassFolders::default() }))
}
