//! Writing any data set of images as a pack: threads read the images, the calling thread writes them in order.

use super::format::{self, Header, Layout};
use super::{EXTENSION, parts};
use crate::dataset::unscale;
use crate::ordered::OrderedThreads;
use crate::{Dataset, Error, Skipped, Subset};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Approximate bytes of pixels in a block, which a thread reads at once.
const BLOCK: usize = 1 << 20;

/// The most images in a block, however small they are.
const MOST_IMAGES: usize = 4096;

/// The name and origin that a pack's header states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The data set's name.
    pub name: &'a str,
    /// What the pack was made from, for people.
    pub from: &'a str,
}

/// Packs `data` into the file `path`, or, with `part`, into a folder of files with at most that many images each. Returns the files' paths
/// and the images that were left out because their files cannot be read; no other image takes their place.
///
/// At least one thread, or `threads`, read and decode; `watch` is called with the number of images done and of all. A pixel v in [−1, 1]
/// becomes the byte round((v + 1) · 127.5), from which it was scaled. Takes a few MiB per thread, however many images there are. A file
/// appears whole, replacing an older one; the next run overwrites what a killed process left, `.NAME.packing`. A part is empty if none of its
/// images can be read.
///
/// # Errors
/// [`Error::Setting`] if the samples are points, if there are no samples or none for a single file can be read, if a label has no class, or
/// if `part` is 0; [`Error::File`] if the folder holds other packs; those of reading images; [`Error::Write`].
pub fn write(
    path: &Path,
    data: &Arc<dyn Dataset>,
    origin: &Origin<'_>,
    part: Option<usize>,
    threads: usize,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<(Vec<PathBuf>, Vec<Skipped>), Error> {
    let total = data.len();
    let Some(most) = part else {
        let skipped = write_file(path, data, 1, origin, threads, &mut |done| watch(done, total))?;
        return Ok((vec![path.into()], skipped));
    };
    if most == 0 {
        return Err(Error::setting("images of a part", 0, "at least 1", "100000 serves most"));
    }
    let count = total.div_ceil(most).max(1);
    let wanted: Vec<PathBuf> = (0..count).map(|number| path.join(parts::name(number, count))).collect();
    if let Some(other) = parts::files(path).into_iter().find(|file| !wanted.contains(file)) {
        let expected = format!("no packs but part-…-of-{count:05}.{EXTENSION}");
        let advice = "name another folder, or remove it";
        return Err(Error::file(path, "holds another set", other.display(), expected, advice));
    }
    fs::create_dir_all(path).map_err(Error::write(path))?;
    let mut skipped = Vec::new();
    for (number, path) in wanted.iter().enumerate() {
        let range = number * total / count..(number + 1) * total / count;
        let mut watch = |done| watch(range.start + done, total);
        let part: Arc<dyn Dataset> = Arc::new(Subset::range(Arc::clone(data), range.clone()));
        skipped.extend(write_file(path, &part, 0, origin, threads, &mut watch)?);
    }
    Ok((wanted, skipped))
}

/// Packs `data` into the file `path`, which is an error if fewer than `fewest` images can be read.
fn write_file(
    path: &Path,
    data: &Arc<dyn Dataset>,
    fewest: usize,
    origin: &Origin<'_>,
    threads: usize,
    watch: &mut dyn FnMut(usize),
) -> Result<Vec<Skipped>, Error> {
    let mut header = header(data.as_ref(), origin)?;
    let (_, layout) = start(&header)?;
    let mut target = Target::new(path)?;
    let maker = BlockMaker { data: Arc::clone(data), layout, per_block: (BLOCK / data.pixels()).clamp(1, MOST_IMAGES) };
    let blocks = data.len().div_ceil(maker.per_block) as u64;
    let mut ahead = OrderedThreads::start(threads.max(1), 0..blocks, move |number, _| maker.block(number as usize))?;
    header.count = 0;
    let mut skipped = Vec::new();
    for number in 0..blocks {
        let block = ahead.take(number)?;
        target.append(&block, header.count, &layout)?;
        header.count += block.checksums.len() / 4;
        skipped.extend(block.skipped);
        watch(block.end);
    }
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

#[derive(Clone)]
struct BlockMaker {
    data: Arc<dyn Dataset>,
    layout: Layout,
    per_block: usize,
}

impl BlockMaker {
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
