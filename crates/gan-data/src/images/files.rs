//! A numbered list of image files, each read when its sample is requested.

use super::fit::{Fitting, Small};
use super::inventory::{Inventory, SmallImage};
use super::{Pixels, header, open, stored};
use crate::Error;
use crate::dataset::Skipped;
use gan_base::messages::is_or_are;
use gan_base::regular_file;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What to do about files that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Broken {
    /// Leave them out, and say so.
    #[default]
    Skip,
    /// The first is an error.
    Refuse,
}

/// How image files become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageOptions {
    /// 1 for grey, 3 for RGB.
    pub channels: usize,
    /// How they are brought to the training size.
    pub fitting: Fitting,
    /// What to do about files that cannot be read.
    pub broken: Broken,
}

/// The most threads that look at headers.
const MOST_THREADS: usize = 16;

/// The most small images that a message names.
const MOST_NAMED: usize = 5;

/// So many unreadable files in a row, and it is not the files: the disk is gone.
const MOST_IN_A_ROW: usize = 100;

/// Files of a set whose contents are part of its checksum, at most, and how much of each.
const CHECKSUMMED: usize = 64;
const START: u64 = 1 << 18;

/// Image files whose headers can be read.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    names: Vec<PathBuf>,
    /// `[H, W]` of each image, as its header says.
    sizes: Vec<[usize; 2]>,
    options: ImageOptions,
    inventory: Inventory,
    /// Files whose pixels could not be read and that were named in a warning.
    named: Mutex<HashSet<usize>>,
}

impl Files {
    /// Looks at the headers of the files `names` in `root`. `inventory` is what is known of the others there.
    ///
    /// # Errors
    /// [`Error::File`] for the first unreadable file where such are refused; [`Error::Setting`] where images lack pixels
    /// for the training size and are refused, or no file is left.
    pub fn open(
        root: PathBuf,
        names: Vec<PathBuf>,
        mut inventory: Inventory,
        options: &ImageOptions,
    ) -> Result<Self, Error> {
        let headers = headers(&root, &names);
        let mut kept = Vec::with_capacity(names.len());
        let mut sizes = Vec::with_capacity(names.len());
        for (name, size) in names.into_iter().zip(headers) {
            match size {
                Err(reason) => inventory.skipped.push(Skipped { path: name, reason }),
                Ok(size) if options.fitting.lacks_pixels(size) => {
                    inventory.small.push(SmallImage { path: name.clone(), size });
                    if options.fitting.small != Small::Skip {
                        kept.push(name);
                        sizes.push(size);
                    }
                }
                Ok(size) => {
                    kept.push(name);
                    sizes.push(size);
                }
            }
        }
        let files = Self { root, names: kept, sizes, options: *options, inventory, named: Mutex::default() };
        if let Some(summary) = files.inventory.others.summary() {
            let verb = is_or_are(files.inventory.others.count());
            tracing::warn!("{}: {summary}, {verb} not read", files.root.display());
        }
        files.check_skipped()?;
        files.check_small()?;
        Ok(files)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Their paths, relative to the folder.
    pub fn names(&self) -> &[PathBuf] {
        &self.names
    }

    /// `[C, H, W]`
    pub fn shape(&self) -> Vec<usize> {
        let [height, width] = self.options.fitting.size;
        vec![self.options.channels, height, width]
    }

    /// What was found beside the images, and what was left out at opening.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The same, to be added to.
    pub fn inventory_mut(&mut self) -> &mut Inventory {
        &mut self.inventory
    }

    /// CRC-32 of the files' names, sizes and labels, and of how some of them begin: sizes alone do not tell bitmaps apart.
    pub fn checksum(&self, label: impl Fn(usize) -> Option<u32>) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for (index, name) in self.names.iter().enumerate() {
            let size = std::fs::metadata(self.root.join(name)).map_or(0, |metadata| metadata.len());
            crc.update(name.to_string_lossy().as_bytes());
            crc.update(&[0]);
            crc.update(&size.to_le_bytes());
            crc.update(&label(index).unwrap_or(u32::MAX).to_le_bytes());
        }
        let checksummed = self.len().min(CHECKSUMMED);
        for name in (0..checksummed).map(|i| &self.names[i * self.len() / checksummed]) {
            let mut start = Vec::new();
            let read = |file: std::fs::File| file.take(START).read_to_end(&mut start);
            // A file that cannot be read is named when its image is wanted.
            regular_file::open(&self.root.join(name)).and_then(read).ok();
            crc.update(&start);
        }
        crc.finalize()
    }

    /// Writes image `index` as a sample. Where its pixels cannot be read, the next readable image with `alike` takes its
    /// place, and the file is named in one warning.
    ///
    /// # Errors
    /// [`Error::File`] where such files are refused, or where no readable image can take its place.
    pub fn write(&self, index: usize, out: &mut [f32], alike: impl Fn(usize) -> bool) -> Result<(), Error> {
        let others = (index + 1..self.len()).chain(0..index).filter(|other| alike(*other));
        let mut first = None;
        for at in std::iter::once(index).chain(others.take(MOST_IN_A_ROW)) {
            match self.read(at, out) {
                Ok(()) => return Ok(()),
                Err(reason) => {
                    self.warn(at, &reason, "the next readable image takes its place");
                    first.get_or_insert(reason);
                    if self.options.broken == Broken::Refuse {
                        break;
                    }
                }
            }
        }
        Err(self.unreadable(&self.names[index], first.unwrap_or_default()))
    }

    /// Height and width of image `index` before it is fitted, after the box is cut out.
    pub fn stored_size(&self, index: usize) -> Option<[usize; 2]> {
        self.sizes.get(index).map(|size| self.options.fitting.cut(*size))
    }

    /// Image `index` in its own size, after the box is cut out; none where its pixels cannot be read, which is said in one warning.
    ///
    /// # Errors
    /// [`Error::File`] where such files are refused.
    pub fn stored(&self, index: usize) -> Result<Option<Pixels>, Error> {
        let Some(name) = self.names.get(index) else { return Ok(None) };
        let ImageOptions { channels, fitting, broken } = &self.options;
        match stored(&self.root.join(name), *channels, fitting) {
            Ok(image) => Ok(Some(image)),
            Err(reason) if *broken == Broken::Refuse => Err(self.unreadable(name, reason)),
            Err(reason) => {
                self.warn(index, &reason, "it is left out");
                Ok(None)
            }
        }
    }

    /// Writes image `index` as a sample, or returns its file where its pixels cannot be read.
    ///
    /// # Errors
    /// [`Error::File`] where such files are refused.
    pub fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        let name = &self.names[index];
        match (self.read(index, out), self.options.broken) {
            (Ok(()), _) => Ok(None),
            (Err(reason), Broken::Refuse) => Err(self.unreadable(name, reason)),
            (Err(reason), Broken::Skip) => Ok(Some(Skipped { path: name.clone(), reason })),
        }
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<(), String> {
        let ImageOptions { channels, fitting, .. } = &self.options;
        open(&self.root.join(&self.names[index]), *channels, fitting)?.scale_into(out);
        Ok(())
    }

    fn warn(&self, index: usize, reason: &str, done: &str) {
        let new = self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        if new && self.options.broken == Broken::Skip {
            let path = self.root.join(&self.names[index]);
            tracing::warn!("{}: {reason}; {done}", path.display());
        }
    }

    fn unreadable(&self, name: &Path, reason: String) -> Error {
        Error::File {
            path: self.root.join(name),
            what: "cannot be used as an image",
            found: reason,
            expected: "a whole JPEG, PNG, WebP, GIF or BMP file".into(),
            advice: match self.options.broken {
                Broken::Refuse => "mend or remove it, or leave such files out with --set data.strict=false".into(),
                Broken::Skip => "mend or remove it; there are no readable images near it to take its place".into(),
            },
        }
    }

    fn check_skipped(&self) -> Result<(), Error> {
        let Some(first) = self.inventory.skipped.first() else { return Ok(()) };
        if self.options.broken == Broken::Refuse {
            return Err(self.unreadable(&first.path, first.reason.clone()));
        }
        let count = self.inventory.skipped.len();
        let all = self.images() + count;
        let (path, reason) = (self.root.join(&first.path), &first.reason);
        if self.images() == 0 {
            return Err(Error::Setting {
                key: "data.dir",
                found: format!(
                    "no usable file among {all} in {}; the first, {}: {reason}",
                    self.root.display(),
                    path.display()
                ),
                expected: "whole JPEG, PNG, WebP, GIF or BMP files".into(),
                advice: "get the images again, or name another folder".into(),
            });
        }
        tracing::warn!("{count} of {all} files are left out; the first, {}: {reason}", path.display());
        Ok(())
    }

    /// How many images there are, those included that are left out because they are small.
    fn images(&self) -> usize {
        let skips = self.options.fitting.small == Small::Skip;
        self.len() + if skips { self.inventory.small.len() } else { 0 }
    }

    fn check_small(&self) -> Result<(), Error> {
        let Inventory { small, .. } = &self.inventory;
        let (Some(first), all) = (small.first(), self.images()) else { return Ok(()) };
        let [height, width] = self.options.fitting.size;
        match self.options.fitting.small {
            Small::Upscale => return Ok(()),
            Small::Skip if !self.names.is_empty() => {
                let (root, named) = (self.root.display(), named(small));
                tracing::warn!(
                    "{root}: {} of {all} images are smaller than {height}×{width} and are left out: {named}",
                    small.len()
                );
                return Ok(());
            }
            Small::Skip | Small::Refuse => {}
        }
        let others = match &small[1..] {
            [] => String::new(),
            others => format!("; also {}", named(others)),
        };
        let [h, w] = first.size;
        Err(Error::Setting {
            key: "data.size",
            found: format!(
                "{} of {all} images that are too small for it; the first, {}, is {h}×{w}{others}",
                small.len(),
                self.root.join(&first.path).display()
            ),
            expected: needed(&self.options.fitting),
            advice:
                "choose a smaller data.size, leave these images out with --set data.small=skip, or enlarge them with \
                     --set data.small=upscale (or data.upscale=true)"
                    .into(),
        })
    }
}

/// The first of some small images, and how many more there are.
fn named(small: &[SmallImage]) -> String {
    let names: Vec<String> = small.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    match small.len().saturating_sub(MOST_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// What images must have, in words.
fn needed(fitting: &Fitting) -> String {
    let [height, width] = fitting.size;
    let cut = fitting.crop.map_or(String::new(), |[h, w]| format!(", and {h}×{w} for data.crop"));
    format!("images that need not be enlarged to {height}×{width}{cut}")
}

/// The size of every file's image, or why it cannot be read; read by a few threads.
fn headers(root: &Path, names: &[PathBuf]) -> Vec<Result<[usize; 2], String>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let look = |names: &[PathBuf]| names.iter().map(|name| header::size(&root.join(name))).collect::<Vec<_>>();
    thread::scope(|scope| {
        let parts: Vec<_> = names
            .chunks(names.len().div_ceil(threads).max(1))
            .map(|part| (part, scope.spawn(move || look(part))))
            .collect();
        let failed = |part: &[PathBuf]| vec![Err("its decoder failed".into()); part.len()];
        parts.into_iter().flat_map(|(part, thread)| thread.join().unwrap_or_else(|_| failed(part))).collect()
    })
}
