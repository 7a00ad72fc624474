//! Any data set of images written down as a pack: read by threads, written in order by the caller's.

use super::format::{self, Header, Layout};
use crate::{Dataset, Error, Skipped};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of pixels that are handed over at once, approximately.
const BLOCK: usize = 1 << 20;

/// The most images that are handed over at once, however small they are.
const MOST_IMAGES: usize = 4096;

/// How many finished blocks wait for each thread at most.
const AHEAD: usize = 2;

/// The name and origin that a pack's header states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The data set's name.
    pub name: &'a str,
    /// What it was made from, for people.
    pub from: &'a str,
}

/// How far the writing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Images written.
    pub done: usize,
    /// Images in all.
    pub total: usize,
}

/// Packs `data` into the file `path` with `threads` threads (at least one) that read and decode.
///
/// Images whose files cannot be read are left out and returned; none takes their place.
///
/// A pixel v in [−1, 1] becomes the byte round((v + 1) · 127.5), which is the byte that it was made from by
/// [`scale`](crate::dataset::scale). Takes a few MiB a thread, however many images there are. The file appears whole, replacing
/// an older one; what a killed process left beside it, `.NAME.packing`, the next one overwrites.
///
/// # Errors
/// [`Error::Setting`] if the samples are points, if there are no samples or none can be read, or if a label has no class; whatever else reading
/// an image brings; [`Error::Write`].
pub fn write(
    path: &Path,
    data: &dyn Dataset,
    origin: &Origin<'_>,
    threads: usize,
    watch: &mut dyn FnMut(Progress),
) -> Result<Vec<Skipped>, Error> {
    pack(path, data, origin, threads, watch, 1)
}

/// As [`write`], but where no image can be read the pack holds none.
pub(super) fn write_some(
    path: &Path,
    data: &dyn Dataset,
    origin: &Origin<'_>,
    threads: usize,
    watch: &mut dyn FnMut(Progress),
) -> Result<Vec<Skipped>, Error> {
    pack(path, data, origin, threads, watch, 0)
}

/// Packs at least `fewest` images.
fn pack(
    path: &Path,
    data: &dyn Dataset,
    origin: &Origin<'_>,
    threads: usize,
    watch: &mut dyn FnMut(Progress),
    fewest: usize,
) -> Result<Vec<Skipped>, Error> {
    let mut header = header(data, origin)?;
    let (_, layout) = start(&header)?;
    let mut target = Target::new(path)?;
    let job = Job { data, layout, per_block: (BLOCK / data.pixels()).clamp(1, MOST_IMAGES), threads: threads.max(1) };
    let (mut written, mut skipped) = (0, Vec::new());
    job.run(&mut |block| {
        let (images, done) = (block.checksums.len() / 4, block.end);
        skipped.extend_from_slice(&block.skipped);
        target.take(block, written, &layout)?;
        written += images;
        watch(Progress { done, total: data.len() });
        Ok(())
    })?;
    if let (true, Some(first)) = (written < fewest, skipped.first()) {
        let found = format!("no image that can be read; the first, {}: {}", first.path.display(), first.reason);
        return Err(refused(found, "one image or more"));
    }
    header.count = written;
    let (start, shorter) = start(&header)?;
    target.shorten(written, &layout, &shorter)?;
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
    let (name, made_from) = (origin.name.into(), origin.from.into());
    Ok(Header { name, made_from, count: data.len(), shape, classes: data.classes().to_vec() })
}

fn refused(found: String, expected: &str) -> Error {
    let advice = "name other data".into();
    Error::Setting { key: "data to pack", found, expected: expected.into(), advice }
}

/// A row of images, ready to be written, without those that cannot be read.
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
    /// Hands every block to `take`, in order: thread i of n makes the blocks b with b mod n = i.
    fn run(&self, take: &mut dyn FnMut(Block) -> Result<(), Error>) -> Result<(), Error> {
        thread::scope(|scope| {
            let start = |first| {
                let (sender, receiver) = sync_channel(AHEAD);
                let spawned = thread::Builder::new().spawn_scoped(scope, move || self.make(first, &sender));
                let failed = |cause: io::Error| Error::Worker { batch: first as u64, message: cause.to_string() };
                spawned.map(|_| receiver).map_err(failed)
            };
            let receivers = (0..self.threads).map(start).collect::<Result<Vec<Receiver<_>>, Error>>()?;
            // Leaving early drops the receivers, and the threads stop at their next block.
            (0..self.blocks()).try_for_each(|number| {
                let gone = |_| Error::Worker { batch: number as u64, message: "it stopped".into() };
                take(receivers[number % self.threads].recv().map_err(gone)??)
            })
        })
    }

    fn blocks(&self) -> usize {
        self.data.len().div_ceil(self.per_block)
    }

    fn make(&self, first: usize, sender: &SyncSender<Result<Block, Error>>) {
        for number in (first..self.blocks()).step_by(self.threads) {
            let block = self.block(number);
            let last = block.is_err();
            if sender.send(block).is_err() || last {
                return;
            }
        }
    }

    fn block(&self, number: usize) -> Result<Block, Error> {
        let first = number * self.per_block;
        let images = first..(first + self.per_block).min(self.data.len());
        let mut block = Block {
            end: images.end,
            skipped: Vec::new(),
            labels: Vec::new(),
            checksums: Vec::new(),
            pixels: Vec::new(),
        };
        let mut values = vec![0.0; self.data.pixels()];
        for index in images {
            if let Some(skipped) = self.data.try_write(index, &mut values)? {
                block.skipped.push(skipped);
                continue;
            }
            let start = block.pixels.len();
            block.pixels.extend(values.iter().map(|&value| byte(value)));
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
        let (label, classes) = (self.data.label(index), self.data.classes().len());
        match label.filter(|&label| (label as usize) < classes) {
            Some(label) => Ok(Some(label)),
            None => Err(refused(format!("class {label:?} for image {index}"), "one of the data set's classes")),
        }
    }
}

/// The byte that [`scale`](crate::dataset::scale) makes `value` from.
fn byte(value: f32) -> u8 {
    ((value + 1.0) * 127.5).round() as u8
}

/// The file under its temporary name; removed unless it is finished.
struct Target<'a> {
    file: File,
    temporary: PathBuf,
    path: &'a Path,
}

impl<'a> Target<'a> {
    fn new(path: &'a Path) -> Result<Self, Error> {
        let failed = |cause| Error::Write { path: path.into(), cause };
        let name = path.file_name().ok_or_else(|| failed(io::Error::other("the path has no file name")))?;
        if path.is_dir() {
            return Err(failed(io::Error::other("it is a folder")));
        }
        let temporary = path.with_file_name(format!(".{}.packing", name.to_string_lossy()));
        // A link would lead to another place, and opening a FIFO would wait.
        if fs::symlink_metadata(&temporary).is_ok_and(|there| !there.is_file()) {
            return Err(Error::Write {
                path: temporary,
                cause: io::Error::other("it is not a regular file: remove it"),
            });
        }
        // Not truncated before it is locked: another process may be at it.
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(&temporary).map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(failed(io::Error::other("another process is packing into it")));
        }
        let target = Self { file, temporary, path };
        target.file.set_len(0).map_err(failed)?;
        Ok(target)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.seek(SeekFrom::Start(at as u64)).and_then(|_| self.file.write_all(bytes));
        written.map_err(|cause| Error::Write { path: self.path.into(), cause })
    }

    /// Writes `block` behind the `before` images that are there.
    fn take(&mut self, block: Block, before: usize, layout: &Layout) -> Result<(), Error> {
        if let Some(at) = layout.label_of(before) {
            self.put(at, &block.labels)?;
        }
        self.put(layout.checksum_of(before), &block.checksums)?;
        self.put(layout.pixels_of(before).start, &block.pixels)
    }

    /// Moves `count` images from where `from` has them to where `to`, which is for no more images, has them, and ends the file there.
    fn shorten(&mut self, count: usize, from: &Layout, to: &Layout) -> Result<(), Error> {
        if from != to {
            // Everything moves towards the start, region by region, so that nothing is overwritten before it was read.
            let mut room = vec![0; BLOCK];
            for (from, to) in from.regions(count).into_iter().zip(to.regions(count)) {
                for at in (0..from.len()).step_by(BLOCK) {
                    let bytes = &mut room[..BLOCK.min(from.len() - at)];
                    let read = self.file.seek(SeekFrom::Start((from.start + at) as u64));
                    read.and_then(|_| self.file.read_exact(bytes))
                        .map_err(|cause| Error::Read { path: self.temporary.clone(), cause })?;
                    self.put(to.start + at, bytes)?;
                }
            }
        }
        let cut = self.file.set_len(to.end as u64);
        cut.map_err(|cause| Error::Write { path: self.path.into(), cause })
    }

    fn finish(self) -> Result<(), Error> {
        let placed = self.file.sync_all().and_then(|()| fs::rename(&self.temporary, self.path));
        placed.map_err(|cause| Error::Write { path: self.path.into(), cause })
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        // After the rename there is nothing of that name.
        fs::remove_file(&self.temporary).ok();
    }
}
