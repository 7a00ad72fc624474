//! The text files beside CelebA's images: a line an image, its name first.

use crate::Error;
use gan_base::regular_file;
use std::collections::HashMap;
use std::path::Path;

/// The most bytes that a list may have; CelebA's has 26 MB.
const MOST_BYTES: u64 = 1 << 28;

/// What a list says about each image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List<T> {
    /// The columns' names, where they have any.
    pub columns: Vec<String>,
    /// By the images' names.
    pub lines: HashMap<String, T>,
}

/// `list_attr_celeba.txt`: how many images, the attributes' names, then lines like `000001.jpg -1  1 …`.
///
/// # Errors
/// [`Error::Read`], and [`Error::File`] with the line's number.
pub fn attributes(path: &Path) -> Result<List<Vec<bool>>, Error> {
    let text = read(path)?;
    let mut lines = numbered(&text);
    let wrong = |line: usize, found: &str, expected: &str| Err(damaged(path, line, found, expected));
    let (line, first) = lines.next().unwrap_or((1, ""));
    let Ok(count) = first.trim().parse::<usize>() else { return wrong(line, first, "the number of images") };
    let (line, names) = lines.next().unwrap_or((2, ""));
    let columns: Vec<String> = names.split_whitespace().map(String::from).collect();
    if columns.is_empty() {
        return wrong(line, names, "the attributes' names");
    }
    // A line has at least four bytes, whatever the count promises.
    let mut list = List { columns, lines: HashMap::with_capacity(count.min(text.len() / 4)) };
    for (line, text) in lines {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let values: Option<Vec<bool>> = words.map(sign).collect();
        match values.filter(|values| values.len() == list.columns.len()) {
            Some(values) => list.lines.insert(name.into(), values),
            None => return wrong(line, text, &format!("an image's name and {} times 1 or -1", list.columns.len())),
        };
    }
    if list.lines.len() != count {
        return wrong(1, first, &format!("{}, as many as there are different images below", list.lines.len()));
    }
    Ok(list)
}

/// `list_eval_partition.txt`: lines like `000001.jpg 0`, with 0 for train, 1 for valid, 2 for test.
///
/// # Errors
/// [`Error::Read`], and [`Error::File`] with the line's number.
pub fn partition(path: &Path) -> Result<List<u8>, Error> {
    let text = read(path)?;
    let mut list = List::default();
    for (line, text) in numbered(&text) {
        let words: Vec<&str> = text.split_whitespace().collect();
        match (&words[..], words.last().and_then(|word| word.parse::<u8>().ok())) {
            ([name, _], Some(part @ 0..=2)) => list.lines.insert((*name).to_string(), part),
            _ => return Err(damaged(path, line, text, "an image's name and 0 (train), 1 (valid) or 2 (test)")),
        };
    }
    Ok(list)
}

fn sign(word: &str) -> Option<bool> {
    match word {
        "1" => Some(true),
        "-1" => Some(false),
        _ => None,
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = regular_file::read(path, MOST_BYTES).map_err(|cause| Error::Read { path: path.into(), cause })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        damaged(path, line, "bytes that are no text", "text")
    })
}

/// The lines that are not blank, counted from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

fn damaged(path: &Path, line: usize, found: &str, expected: &str) -> Error {
    let short: String = found.trim().chars().take(60).collect();
    Error::File {
        path: path.into(),
        what: "the list is damaged",
        found: format!("`{short}` in line {line}"),
        expected: expected.into(),
        advice: "fetch the file again, or remove it to do without".into(),
    }
}
