//! A numbered list of image files, read as samples when they are asked for.

use super::fit::{Fitting, Upscale, cut_out, fit};
use super::{Pixels, decode, header};
use crate::Error;
use crate::dataset::Skipped;
use std::collections::HashSet;
use std::fs;
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

/// So many unreadable files in a row, and it is not the files: the disk is gone.
const MOST_IN_A_ROW: usize = 100;

/// Image files whose headers can be read.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    names: Vec<PathBuf>,
    /// `[H, W]` of each image, as its header says.
    sizes: Vec<[usize; 2]>,
    options: ImageOptions,
    skipped: Vec<Skipped>,
    /// Files whose pixels could not be read and that were named in a warning.
    named: Mutex<HashSet<usize>>,
}

impl Files {
    /// Looks at the headers of the files `names` in `root`. `skipped` are those already known to be unreadable.
    ///
    /// # Errors
    /// [`Error::File`] for the first unreadable file where such are refused; [`Error::Setting`] where images lack pixels
    /// for the training size, or no file is left.
    pub fn open(
        root: PathBuf,
        names: Vec<PathBuf>,
        mut skipped: Vec<Skipped>,
        options: &ImageOptions,
    ) -> Result<Self, Error> {
        let headers = headers(&root, &names);
        let (mut kept, mut small) = (Vec::with_capacity(names.len()), Vec::new());
        let mut sizes = Vec::with_capacity(names.len());
        for (name, size) in names.into_iter().zip(headers) {
            match size {
                Err(reason) => skipped.push(Skipped { path: name, reason }),
                Ok(size) => {
                    if options.fitting.upscale == Upscale::Refuse && options.fitting.lacks_pixels(size) {
                        small.push((name.clone(), size));
                    }
                    kept.push(name);
                    sizes.push(size);
                }
            }
        }
        let files = Self { root, names: kept, sizes, options: *options, skipped, named: Mutex::default() };
        files.check_skipped()?;
        files.check_small(&small)?;
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

    /// What was left out at opening.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// CRC-32 of the files' names, sizes and labels.
    pub fn checksum(&self, label: impl Fn(usize) -> Option<u32>) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        for (index, name) in self.names.iter().enumerate() {
            let size = fs::metadata(self.root.join(name)).map_or(0, |metadata| metadata.len());
            crc.update(name.to_string_lossy().as_bytes());
            crc.update(&[0]);
            crc.update(&size.to_le_bytes());
            crc.update(&label(index).unwrap_or(u32::MAX).to_le_bytes());
        }
        crc.finalize()
    }

    /// Writes image `index` as a sample. Where its pixels cannot be read, the next readable image with `alike` takes its
    /// place, and the file is named in one warning.
    ///
    /// # Errors
    /// [`Error::File`] where such files are refused, or where there is none to take its place.
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
        match self.decode(index) {
            Ok(image) => Ok(Some(cut_out(image, &self.options.fitting))),
            Err(reason) if self.options.broken == Broken::Refuse => Err(self.unreadable(name, reason)),
            Err(reason) => {
                self.warn(index, &reason, "it is left out");
                Ok(None)
            }
        }
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<(), String> {
        fit(&self.decode(index)?, &self.options.fitting).scale_into(out);
        Ok(())
    }

    fn decode(&self, index: usize) -> Result<Pixels, String> {
        let ImageOptions { channels, fitting, .. } = &self.options;
        let bytes = fs::read(self.root.join(&self.names[index])).map_err(|error| error.to_string())?;
        decode(&bytes, *channels, fitting.background)
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
        let Some(first) = self.skipped.first() else { return Ok(()) };
        if self.options.broken == Broken::Refuse {
            return Err(self.unreadable(&first.path, first.reason.clone()));
        }
        let (count, all) = (self.skipped.len(), self.len() + self.skipped.len());
        let (path, reason) = (self.root.join(&first.path), &first.reason);
        if self.names.is_empty() {
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

    fn check_small(&self, small: &[(PathBuf, [usize; 2])]) -> Result<(), Error> {
        let Some((first, [height, width])) = small.first() else { return Ok(()) };
        let path = self.root.join(first);
        Err(Error::Setting {
            key: "data.size",
            found: format!(
                "{} of {} images that are too small for it; the first, {}, is {height}×{width}",
                small.len(),
                self.len(),
                path.display()
            ),
            expected: needed(&self.options.fitting),
            advice: "choose a smaller data.size, remove these images, or enlarge them with --set data.upscale=true"
                .into(),
        })
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
