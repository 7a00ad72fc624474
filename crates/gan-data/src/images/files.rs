//! A data set of image files, each read when its sample is requested.

use super::decode::{fitted, stored};
use super::fit::{Fitting, Small};
use super::header::Header;
use super::source::Source;
use super::walk::{FORMATS, Found, Inventory, SmallImage};
use super::{ChannelCounts, Pixels};
use crate::Error;
use crate::dataset::{Dataset, Skipped};
use gan_base::messages::{counted, is_or_are};
use rayon::prelude::*;
use std::collections::HashSet;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What to do about files that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broken {
    /// Leave them out, with a warning.
    #[default]
    Skip,
    /// The first one is an error.
    Refuse,
}

/// How image files become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// 1 for gray, 3 for RGB, 4 for premultiplied RGB and alpha.
    pub channels: usize,
    /// How images are brought to the training size.
    pub fitting: Fitting,
    /// What to do about files that cannot be read.
    pub broken: Broken,
}

/// The most small images that a message names.
const MOST_NAMED: usize = 5;

/// After this many unreadable files in a row, the disk must be gone.
const MOST_IN_A_ROW: usize = 100;

/// The most files of a set whose contents are part of its checksum, and how many bytes of each.
const CHECKSUMMED: usize = 64;
const START: u64 = 1 << 18;

/// Image files in a folder or a zip archive, each read when its sample is requested.
#[derive(Debug)]
pub struct ImageFolder {
    source: Source,
    pub(crate) names: Vec<PathBuf>,
    /// `[H, W]` of each image, according to its header.
    sizes: Vec<[usize; 2]>,
    options: ImageOptions,
    pub(crate) classes: Vec<String>,
    /// The class of each file; empty without classes.
    pub(crate) labels: Vec<u32>,
    pub(crate) inventory: Inventory,
    /// Files whose pixels could not be read and that a warning named.
    named: Mutex<HashSet<usize>>,
}

impl ImageFolder {
    /// Reads the headers of the images that were found in `source`.
    ///
    /// # Errors
    /// [`Error::File`] for the first unreadable file if such files are refused; [`Error::Setting`] if images lack pixels
    /// for the training size and are refused, no file is left, or files have no such number of channels.
    pub(crate) fn of_files(source: Source, found: Found, options: ImageOptions) -> Result<Self, Error> {
        let channels = options.channels;
        if ![1, 3, 4].contains(&channels) {
            let expected = "1 (gray), 3 (RGB) or 4 (RGB and alpha) for image files";
            let advice = "choose one of them; arrays (.npy) may have any number up to 64";
            return Err(Error::setting("data.channels", channels, expected, advice));
        }
        let Found { images, mut inventory } = found;
        let mut names = Vec::with_capacity(images.len());
        let mut sizes = Vec::with_capacity(images.len());
        let mut used = Vec::with_capacity(images.len());
        let headers = headers(&source, &images);
        for (path, header) in images.into_iter().zip(headers) {
            match header {
                Err(reason) => inventory.skipped.push(Skipped { path, reason }),
                Ok(Header { size, channels, is_animated, .. }) => {
                    let is_small = options.fitting.lacks_pixels(size);
                    if is_small {
                        inventory.small.push(SmallImage { path: path.clone(), size });
                    }
                    if !is_small || options.fitting.small != Small::Skip {
                        names.push(path);
                        sizes.push(size);
                        used.push(channels);
                        inventory.animated += usize::from(is_animated);
                    }
                }
            }
        }
        if let Some(summary) = inventory.others.summary() {
            let verb = is_or_are(inventory.others.count());
            tracing::warn!("{}: {summary}, {verb} not read", source.path().display());
        }
        inventory.channels = ChannelCounts::of(used.into_iter());
        let named = Mutex::default();
        let files = Self { source, names, sizes, options, classes: vec![], labels: vec![], inventory, named };
        files.check_skipped()?;
        files.check_small()?;
        files.note_conversions();
        Ok(files)
    }

    fn root(&self) -> &Path {
        self.source.path()
    }

    /// Mentions the images of a set that are not as the others: those that are converted to its channels, and animations.
    fn note_conversions(&self) {
        let root = self.root().display();
        let converted = self.inventory.channels.not_of(self.options.channels);
        // A set of gray images that is read as RGB is no accident.
        if converted.all() > 0 && converted.all() < self.len() {
            let [all, channels] = [self.len(), self.options.channels];
            tracing::warn!(
                "{root}: {} of {all} images have other channels ({converted}) and are converted to {channels}",
                converted.all()
            );
        }
        if self.inventory.animated > 0 {
            tracing::warn!("{root}: {}: only the first frame is used", counted(self.inventory.animated, "animation"));
        }
    }

    /// The files' paths, relative to the folder, in the order of their numbers.
    pub fn names(&self) -> &[PathBuf] {
        &self.names
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<(), String> {
        let ImageOptions { channels, fitting, .. } = &self.options;
        fitted(&self.source, &self.names[index], *channels, fitting)?.scale_into(out);
        Ok(())
    }

    fn warn(&self, index: usize, reason: &str, done: &str) {
        let new = self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        if new && self.options.broken == Broken::Skip {
            let path = self.root().join(&self.names[index]);
            tracing::warn!("{}: {reason}; {done}", path.display());
        }
    }

    fn unreadable(&self, name: &Path, reason: String) -> Error {
        let advice = match self.options.broken {
            Broken::Refuse => "mend or remove it, or leave such files out with `data.strict=false`",
            Broken::Skip => "mend or remove it; there are no readable images near it to take its place",
        };
        let expected = format!("a whole {FORMATS} file");
        Error::file(&self.root().join(name), "cannot be used as an image", reason, expected, advice)
    }

    fn check_skipped(&self) -> Result<(), Error> {
        let Some(first) = self.inventory.skipped.first() else { return Ok(()) };
        if self.options.broken == Broken::Refuse {
            return Err(self.unreadable(&first.path, first.reason.clone()));
        }
        let count = self.inventory.skipped.len();
        let all = self.images() + count;
        let first = format!("the first, {}: {}", self.root().join(&first.path).display(), first.reason);
        if self.images() == 0 {
            let found = format!("no usable file among {all} in {}; {first}", self.root().display());
            let advice = "get the images again, or name another folder";
            return Err(Error::setting("data.dir", found, format!("whole {FORMATS} files"), advice));
        }
        tracing::warn!("{count} of {all} files are left out; {first}");
        Ok(())
    }

    /// Number of images, including those that are left out because they are small.
    fn images(&self) -> usize {
        let skips = self.options.fitting.small == Small::Skip;
        self.len() + if skips { self.inventory.small.len() } else { 0 }
    }

    fn check_small(&self) -> Result<(), Error> {
        let Inventory { small, .. } = &self.inventory;
        let Fitting { size: [height, width], crop, small: policy, .. } = self.options.fitting;
        let ([first, rest @ ..], Small::Skip | Small::Refuse) = (&small[..], policy) else { return Ok(()) };
        let count = format!("{} of {} images", small.len(), self.images());
        if policy == Small::Skip && !self.names.is_empty() {
            let root = self.root().display();
            let named = named(small);
            tracing::warn!("{root}: {count} are smaller than {height}×{width} and are left out: {named}");
            return Ok(());
        }
        let others = if rest.is_empty() { String::new() } else { format!("; also {}", named(rest)) };
        let path = self.root().join(&first.path);
        let [h, w] = first.size;
        let found = format!("{count} that are too small for it; the first, {}, is {h}×{w}{others}", path.display());
        let cut = crop.map_or(String::new(), |[h, w]| format!(", and {h}×{w} for data.crop"));
        let expected = format!("images that need not be enlarged to {height}×{width}{cut}");
        let advice = "choose a smaller data.size, leave these images out with `data.small=skip`, or enlarge them with \
                      `data.small=upscale` (or `data.upscale=true`)";
        Err(Error::setting("data.size", found, expected, advice))
    }
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn shape(&self) -> Vec<usize> {
        let [height, width] = self.options.fitting.size;
        vec![self.options.channels, height, width]
    }

    /// If the file's pixels cannot be read, the next readable image of its class takes its place, and one warning names the file.
    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        let is_alike = |other: &usize| self.label(*other) == self.label(index);
        let others = (index + 1..self.len()).chain(0..index).filter(is_alike);
        let mut first = None;
        for at in std::iter::once(index).chain(others.take(MOST_IN_A_ROW)) {
            let Err(reason) = self.read(at, out) else { return Ok(()) };
            self.warn(at, &reason, "the next readable image takes its place");
            first.get_or_insert(reason);
            if self.options.broken == Broken::Refuse {
                break;
            }
        }
        Err(self.unreadable(&self.names[index], first.unwrap_or_default()))
    }

    fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        self.check(index, out.len())?;
        let name = &self.names[index];
        match self.read(index, out) {
            Ok(()) => Ok(None),
            Err(reason) if self.options.broken == Broken::Refuse => Err(self.unreadable(name, reason)),
            Err(reason) => Ok(Some(Skipped { path: name.clone(), reason })),
        }
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).copied()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn inventory(&self) -> Option<&Inventory> {
        Some(&self.inventory)
    }

    /// CRC-32 of the files' names, sizes and labels, and of the first bytes of some: sizes alone do not distinguish bitmaps.
    fn checksum(&self) -> Option<u32> {
        let mut crc = crc32fast::Hasher::new();
        for (index, name) in self.names.iter().enumerate() {
            let size = self.source.size(name).unwrap_or(0);
            crc.update(name.to_string_lossy().as_bytes());
            crc.update(&[0]);
            crc.update(&size.to_le_bytes());
            crc.update(&self.label(index).unwrap_or(u32::MAX).to_le_bytes());
        }
        let checksummed = self.len().min(CHECKSUMMED);
        for name in (0..checksummed).map(|i| &self.names[i * self.len() / checksummed]) {
            let mut start = Vec::new();
            // A file that cannot be read is reported when its image is requested.
            self.source.read(name).and_then(|file| file.take(START).read_to_end(&mut start)).ok();
            crc.update(&start);
        }
        Some(crc.finalize())
    }

    fn stored_size(&self, index: usize) -> Option<[usize; 2]> {
        self.sizes.get(index).map(|size| self.options.fitting.cut(*size))
    }

    fn stored(&self, index: usize) -> Result<Option<Pixels>, Error> {
        let Some(name) = self.names.get(index) else { return Ok(None) };
        let ImageOptions { channels, fitting, broken } = &self.options;
        match stored(&self.source, name, *channels, fitting) {
            Ok(image) => Ok(Some(image)),
            Err(reason) if *broken == Broken::Refuse => Err(self.unreadable(name, reason)),
            Err(reason) => {
                self.warn(index, &reason, "it is left out");
                Ok(None)
            }
        }
    }
}

/// The names of the first of some small images, and how many more there are.
fn named(small: &[SmallImage]) -> String {
    let names: Vec<String> = small.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    match small.len().saturating_sub(MOST_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Reads the header of every file's image, or why it cannot be read.
pub(super) fn headers(source: &Source, names: &[PathBuf]) -> Vec<Result<Header, String>> {
    let failed = |_| Err("its decoder failed".into());
    let read = |name: &PathBuf| catch_unwind(AssertUnwindSafe(|| Header::read(source, name)));
    let header = |name: &PathBuf| read(name).unwrap_or_else(failed);
    names.par_iter().map(header).collect()
}
