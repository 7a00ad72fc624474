//! CelebA: 202,599 faces as JPEG files of 178×218, with forty attributes each and a published split.
//!
//! Source: Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", 2015, arXiv:1411.7766.

use super::{DatasetSpec, Info, NeedsFiles, OpenOptions};
use crate::dataset::{Dataset, Split};
use crate::fetch::{Layout, Source, advice};
use crate::images::source::Source as ImageSource;
use crate::images::walk::walk;
use crate::{Error, ImageFolder, places};
use gan_base::regular_file;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// CelebA, faces: JPEG files, brought to the size of the options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CelebA {
    /// The part. The default is the training part if there is `list_eval_partition.txt`, and everything otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl DatasetSpec for CelebA {
    const NAME: &'static str = "celeba";

    const INFO: Info = Info {
        holds: "faces, colour, 178×218 before cropping",
        files: NeedsFiles::Found { folder: Self::NAME, what: "the folder img_align_celeba" },
        source: Some(Source {
            name: Self::NAME,
            repository: "flwrlabs/celeba",
            layout: Layout::Celeba,
            licence: "CelebA agreement: non-commercial research only, no passing on; see http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            by_hand: "unpack img_align_celeba.zip from http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html in data/celeba, with \
                      list_attr_celeba.txt beside the folder img_align_celeba",
        }),
        ..Info::IMAGES
    };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        Ok(Arc::new(self.open_with_attributes(options)?.0))
    }

    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        Some(&mut self.split)
    }
}

/// The most bytes that a list may have; CelebA's has 26 MB.
const MOST_LIST: u64 = 1 << 28;

/// The folder that the data set's archive unpacks to.
const ARCHIVE: &str = "img_align_celeba";

impl CelebA {
    /// The file with the attributes.
    pub const ATTRIBUTES: &str = "list_attr_celeba.txt";
    /// The file that says which image belongs to which split.
    pub const PARTITION: &str = "list_eval_partition.txt";

    /// Finds the images and reads their headers and lists. The folder holds `img_align_celeba`, `celeba/img_align_celeba` or the images
    /// themselves. Images have attributes but no classes; without `list_attr_celeba.txt`, there are no attributes.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`]; [`Error::File`] with the number of the line if a list is damaged; [`Error::Setting`] if there is
    /// no such folder, or a split is chosen and there is no list of them.
    pub fn open_with_attributes(&self, options: &OpenOptions) -> Result<(ImageFolder, CelebAAttributes), Error> {
        let options_of_images = options.image_files::<Self>()?;
        let dir = places::find(Self::NAME, options.dir.as_deref())?;
        places::exists(&dir, "img_align_celeba with its .jpg files")?;
        let below = [dir.join("celeba").join(ARCHIVE), dir.join(ARCHIVE)];
        let images = below.into_iter().find(|place| place.is_dir()).unwrap_or_else(|| dir.clone());
        let mut found = walk(&images)?;
        // The lists, and the files that `gan data fetch` writes beside them, are not images that someone may miss.
        ["", ".txt", ".csv"].into_iter().for_each(|ending| found.inventory.others.forget(ending));
        let is_jpeg = |name: &mut PathBuf| name.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jpg"));
        let others = found.images.extract_if(.., |name| !is_jpeg(name));
        others.for_each(|name| found.inventory.others.add(&name));
        if found.images.is_empty() && found.inventory.skipped.is_empty() {
            let found = format!("{}, which holds no .jpg file", images.display());
            let expected = "a folder with img_align_celeba/000001.jpg and so on";
            let advice = Self::INFO.source.as_ref().map(advice).unwrap_or_default();
            return Err(Error::setting("data.dir", found, expected, advice));
        }
        let beside = [dir, images.clone(), images.join("..")];
        let list = |name: &str| beside.iter().map(|at| at.join(name)).find(|path| path.exists());
        let attributes = list(Self::ATTRIBUTES).map(|path| attributes(&path)).transpose()?.unwrap_or_default();
        keep_split(&images, &mut found.images, list(Self::PARTITION).as_deref(), self.split)?;
        Ok((ImageFolder::of_files(ImageSource::Folder(images), found, options_of_images)?, attributes))
    }
}

/// The attributes of CelebA's images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CelebAAttributes {
    /// Names such as "Smiling"; empty without a list.
    pub names: Vec<String>,
    images: HashMap<String, Vec<bool>>,
}

impl CelebAAttributes {
    /// Which attributes the image with this file name has, in the order of `names`. `None` if the list has no line for it.
    pub fn of(&self, image: &Path) -> Option<&[bool]> {
        self.images.get(image.file_name()?.to_str()?).map(Vec::as_slice)
    }
}

/// Keeps only the `names` of the images that belong to `split`, according to the list of the partition.
fn keep_split(images: &Path, names: &mut Vec<PathBuf>, list: Option<&Path>, split: Option<Split>) -> Result<(), Error> {
    let number = match (split, list) {
        (Some(Split::All), _) | (None, None) => return Ok(()),
        (Some(_), None) => {
            let folder = images.parent().unwrap_or(images);
            let found = "no list of the splits, which data.split needs";
            return Err(Error::missing(folder, found, &[CelebA::PARTITION.into()]));
        }
        (None | Some(Split::Train), _) => 0,
        (Some(Split::Valid), _) => 1,
        (Some(Split::Test), _) => 2,
    };
    let Some(path) = list else { return Ok(()) };
    let parts = partition(path)?;
    names.retain(|name| name.file_name().and_then(|n| n.to_str()).is_some_and(|n| parts.get(n) == Some(&number)));
    if names.is_empty() {
        let found = format!("none of the images in {} with the number {number}", images.display());
        let expected = "lines like `000001.jpg 0`: 0 for train, 1 for valid, 2 for test";
        let advice = "choose another data.split, or \"all\"";
        return Err(Error::file(path, "no image belongs to this split", found, expected, advice));
    }
    Ok(())
}

/// Reads `list_attr_celeba.txt`: the number of images, the attributes' names, then lines like `000001.jpg -1  1 …`.
fn attributes(path: &Path) -> Result<CelebAAttributes, Error> {
    let text = read(path)?;
    let mut lines = numbered(&text);
    let wrong = |line: usize, found: &str, expected: &str| Err(damaged(path, line, found, expected));
    let (line, first) = lines.next().unwrap_or((1, ""));
    let Ok(count) = first.trim().parse::<usize>() else { return wrong(line, first, "the number of images") };
    let (line, second) = lines.next().unwrap_or((2, ""));
    let names: Vec<String> = second.split_whitespace().map(String::from).collect();
    if names.is_empty() {
        return wrong(line, second, "the attributes' names");
    }
    // A line has at least four bytes, whatever the count promises.
    let mut images = HashMap::with_capacity(count.min(text.len() / 4));
    for (line, text) in lines {
        let mut words = text.split_whitespace();
        let image = words.next().unwrap_or_default();
        let sign = |word| match word {
            "1" => Some(true),
            "-1" => Some(false),
            _ => None,
        };
        let values: Option<Vec<bool>> = words.map(sign).collect();
        match values.filter(|values| values.len() == names.len()) {
            Some(values) => images.insert(image.into(), values),
            None => return wrong(line, text, &format!("an image's name and {} times 1 or -1", names.len())),
        };
    }
    if images.len() != count {
        return wrong(1, first, &format!("{}, as many as there are different images below", images.len()));
    }
    Ok(CelebAAttributes { names, images })
}

/// Reads `list_eval_partition.txt`: lines like `000001.jpg 0`, with 0 for train, 1 for valid, 2 for test.
fn partition(path: &Path) -> Result<HashMap<String, u8>, Error> {
    let text = read(path)?;
    let mut parts = HashMap::new();
    for (line, text) in numbered(&text) {
        let words: Vec<&str> = text.split_whitespace().collect();
        match (&words[..], words.last().and_then(|word| word.parse::<u8>().ok())) {
            ([name, _], Some(part @ 0..=2)) => parts.insert((*name).to_string(), part),
            _ => return Err(damaged(path, line, text, "an image's name and 0 (train), 1 (valid) or 2 (test)")),
        };
    }
    Ok(parts)
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = regular_file::read(path, MOST_LIST).map_err(Error::read(path))?;
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
    let found = format!("`{short}` in line {line}");
    Error::file(path, "the list is damaged", found, expected, "fetch the file again, or remove it to do without")
}

#[cfg(test)]
mod tests;
