//! Writing any data set of images as a pack: threads read the images, the calling thread writes them in order.

use super::format::{self, Header, Layout};
use crate::dataset::unscale;
use crate::{Dataset, Error, Skipped};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Approximate bytes of pixels in a block, which a thread reads at once.
const BLOCK: usize = 1 << 20;

/// The most images in a block, however small they are.
const MOST_IMAGES: usize = 4096;

/// The most finished blocks of each thread that wait to be written.
const AHEAD: usize = 2;

/// The name and origin that a pack's header states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The data set's name.
    pub name: &'a str,
    /// What the pack was made from, for people.
    pub from: &'a str,
}

/// Packs `data` into the file `path`. At least one thread, or `threads`, read and decode; `watch` is called with the number of images
/// done and of all.
///
/// Images whose files cannot be read are left out and returned; no other image takes their place.
///
/// A pixel v in [−1, 1] becomes the byte round((v + 1) · 127.5), from which it was scaled. Takes a few MiB per thread, however many images
/// there are. The file appears whole, replacing an older one; the next run overwrites what a killed process left, `.NAME.packing`.
///
/// # Errors
/// [`Error::Setting`] if the samples are points, if there are no samples or none can be read, or if a label has no class; those of reading
/// images; [`Error::Write`].
pub fn write(
    path: &Path,
    data: &dyn Dataset,
    origin: &Origin<'_>,
    threads: usize,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Skipped>, Error> {
    write_at_least(1, path, data, origin, threads, watch)
}

/// Like [`write`], but only an error if fewer than `fewest` images can be read.
pub(super) fn write_at_least(
    fewest: usize,
    path: &Path,
    data: &dyn Dataset,
    origin: &Origin<'_>,
    threads: usize,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Skipped>, Error> {
    let mut header = header(data, origin)?;
    let (_, layout) = start(&header)?;
    let mut target = Target::new(path)?;
    let job = Job { data, layout, per_block: (BLOCK / data.pixels()).clamp(1, MOST_IMAGES), threads: threads.max(1) };
    header.count = 0;
    let mut skipped = Vec::new();
    job.run(&mut |block| {
        skipped.extend_from_slice(&block.skipped);
        target.append(&block, header.count, &layout)?;
        header.count += block.checksums.len() / 4;
        watch(block.end, data.len());
        Ok(())
    })?;
    if let (true, Some(first)) = (header.count < fewest, skipped.first()) {
        let found = format!("no image that can be read; the first, {}: {}", first.path.display(), first.reason);
        return Err(refused(found, "one image or more"));
    }
    let (start, shorter) = start(&header)?;
    target.shorten(header.count, &layout, &shorter)?;
    target.put(0, &start)?;
    target.finish()?;
    Ok(skipped)
}

/// A pack's first bytes and its layout.
fn start(header: &Header) -> Result<(Vec<u8>, Layout), Error> {
    let impossible = || refused(format!("{} images of {:?}", header.count, header.shape), "fewer or smaller images");
    format::start(header).ok_or_else(impossible)
}

fn header(data: &dyn Dataset, origin: &Origin<'_>) -> Result<Header, Error> {
    let Ok(shape) = <[usize; 3]>::try_from(data.shape()) else {
        return Err(refused(format!("points of {} coordinates", data.pixels()), "images; points need no pack"));
    };
    if data.is_empty() {
        return Err(refused("no images".into(), "one image or more"));
    }
    Ok(Header {
        name: origin.name.into(),
        made_from: origin.from.into(),
        count: data.len(),
        shape,
        classes: data.classes().to_vec(),
    })
}

fn refused(found: String, expected: &str) -> Error {
    Error::setting("data to pack", found, expected, "name other data")
}

/// Consecutive images, ready to be written, without those that cannot be read.
#[derive(Default)]
struct Block {
    /// The number of the first image after it.
    end: usize,
    skipped: Vec<Skipped>,
    labels: Vec<u8>,
    checksums: Vec<u8>,
    pixels: Vec<u8>,
}

struct Job<'a> {
    data: &'a dyn Dataset,
    layout: Layout,
    per_block: usize,
    threads: usize,
}

impl Job<'_> {
    /// Calls `take` with every block, in order: thread i of n makes the blocks b with b mod n = i.
    fn run(&self, take: &mut dyn FnMut(Block) -> Result<(), Error>) -> Result<(), Error> {
        let blocks = self.data.len().div_ceil(self.per_block);
        thread::scope(|scope| {
            let mut receivers = Vec::with_capacity(self.threads);
            for first in 0..self.threads {
                let (sender, receiver) = sync_channel(AHEAD);
                // If the caller leaves early, the receivers are dropped and the threads stop at their next block.
                let work = move || {
                    for number in (first..blocks).step_by(self.threads) {
                        let block = self.block(number);
                        let is_last = block.is_err();
                        if sender.send(block).is_err() || is_last {
                            return;
                        }
                    }
                };
                let spawned = thread::Builder::new().spawn_scoped(scope, work);
                spawned.map_err(|cause| Error::worker(first as u64, cause))?;
                receivers.push(receiver);
            }
            (0..blocks).try_for_each(|number| {
                let stopped = |_| Error::worker(number as u64, "it stopped");
                take(receivers[number % self.threads].recv().map_err(stopped)??)
            })
        })
    }

    fn block(&self, number: usize) -> Result<Block, Error> {
        let first = number * self.per_block;
        let images = first..(first + self.per_block).min(self.data.len());
        let mut block = Block { end: images.end, ..Block::default() };
        let mut values = vec![0.0; self.data.pixels()];
        for index in images {
            if let Some(skipped) = self.data.try_write(index, &mut values)? {
                block.skipped.push(skipped);
                continue;
            }
            let start = block.pixels.len();
            block.pixels.extend(values.iter().map(|&value| unscale(value)));
            let label = self.label(index)?;
            block.labels.extend(label.into_iter().flat_map(u32::to_le_bytes));
            block.checksums.extend(format::checksum(label, &block.pixels[start..]).to_le_bytes());
        }
        Ok(block)
    }

    fn label(&self, index: usize) -> Result<Option<u32>, Error> {
        if self.layout.label_of(index).is_none() {
            return Ok(None);
        }
        let label = self.data.label(index);
        if label.is_none_or(|label| label as usize >= self.data.classes().len()) {
            return Err(refused(format!("class {label:?} for image {index}"), "one of the data set's classes"));
        }
        Ok(label)
    }
}

/// The file under its temporary name; removed unless it is finished.
struct Target<'a> {
    file: File,
    temporary: PathBuf,
    path: &'a Path,
}

impl<'a> Target<'a> {
    fn new(path: &'a Path) -> Result<Self, Error> {
        let failed = Error::write(path);
        let name = path.file_name().ok_or_else(|| failed(io::Error::other("the path has no file name")))?;
        if path.is_dir() {
            return Err(failed(io::Error::other("it is a folder")));
        }
        let temporary = path.with_file_name(format!(".{}.packing", name.to_string_lossy()));
        // A link would lead to another place, and opening a FIFO would wait.
        if fs::symlink_metadata(&temporary).is_ok_and(|there| !there.is_file()) {
            return Err(Error::write(&temporary)(io::Error::other("it is not a regular file: remove it")));
        }
        // Truncated only once it is locked: another process may be writing it.
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(&temporary).map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(failed(io::Error::other("another process is packing into it")));
        }
        let target = Self { file, temporary, path };
        target.file.set_len(0).map_err(failed)?;
        Ok(target)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.seek(SeekFrom::Start(at as u64)).and_then(|_| self.file.write_all(bytes));
        written.map_err(Error::write(self.path))
    }

    /// Writes `block` after the `before` images already written.
    fn append(&mut self, block: &Block, before: usize, layout: &Layout) -> Result<(), Error> {
        if let Some(at) = layout.label_of(before) {
            self.put(at, &block.labels)?;
        }
        self.put(layout.checksum_of(before), &block.checksums)?;
        self.put(layout.pixels_of(before).start, &block.pixels)
    }

    /// Moves `count` images from the layout `from` to the layout `to`, which is for at most as many images, and truncates the file.
    fn shorten(&mut self, count: usize, from: &Layout, to: &Layout) -> Result<(), Error> {
        if from != to {
            // Everything moves towards the start, region by region, so that nothing is overwritten before it is read.
            let mut room = vec![0; BLOCK];
            for (from, to) in from.regions(count).into_iter().zip(to.regions(count)) {
                for at in (0..from.len()).step_by(BLOCK) {
                    let bytes = &mut room[..BLOCK.min(from.len() - at)];
                    let read = self.file.seek(SeekFrom::Start((from.start + at) as u64));
                    read.and_then(|_| self.file.read_exact(bytes)).map_err(Error::read(&self.temporary))?;
                    self.put(to.start + at, bytes)?;
                }
            }
        }
        self.file.set_len(to.end as u64).map_err(Error::write(self.path))
    }

    fn finish(self) -> Result<(), Error> {
        let placed = self.file.sync_all().and_then(|()| fs::rename(&self.temporary, self.path));
        placed.map_err(Error::write(self.path))
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        // After the rename, no file has that name.
        fs::remove_file(&self.temporary).ok();
    }
}
