//! A survey of image files for whoever chooses settings for them: how many there are and how many differ, their sizes, channels and classes.
//!
//! Headers and checksums are of all files. What only pixels tell comes from a sample, [`Sample`].

use super::array::ArrayImages;
use super::decode::decoded;
use super::files::headers;
use super::header::{Channels, Header, ImageFile, Turn};
use super::looks::Looks;
use super::source::Source;
use super::walk::{Found, OtherFiles};
use crate::Error;
use crate::dataset::Skipped;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The most images that are decoded, and the most pixels of all of them together.
pub(super) const MOST_DECODED: usize = 2000;
const MOST_PIXELS: usize = 200_000_000;

/// Color counts for a whole set if at least one of this many images has it, and transparency if at least one of these has it: a network
/// that has to learn alpha for few images would make all of them opaque.
const COLOR_ONE_IN: usize = 100;
const ALPHA_ONE_IN: usize = 10;

/// What a folder, an archive or an array of images holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Number of images whose headers can be read.
    pub images: usize,
    /// How many of them differ: exact copies of a file count once.
    pub different: usize,
    /// Bytes of their files.
    pub bytes: u64,
    /// Their heights.
    pub height: Range<usize>,
    /// Their widths.
    pub width: Range<usize>,
    /// The shorter sides.
    pub shorter_side: Range<usize>,
    /// Width divided by height.
    pub aspect: Range<f64>,
    /// `[H, W]` of the most common size, and how many images have it.
    pub most_common_size: ([usize; 2], usize),
    /// How many different sizes there are.
    pub sizes: usize,
    /// How many files hold which channels.
    pub channels: ChannelCounts,
    /// Number of channels of an array, which its images keep.
    pub array_channels: Option<usize>,
    /// How many have 16 bits or more for each channel.
    pub deep: usize,
    /// Number of animations; only their first frames are read.
    pub animated: usize,
    /// Each class with its number of images; empty if the folders are not classes.
    pub classes: Vec<(String, usize)>,
    /// Why there are no classes.
    pub no_classes: Option<String>,
    /// What looks like a mistake, in sentences.
    pub warnings: Vec<String>,
    /// Files that cannot be read.
    pub broken: Vec<Skipped>,
    /// Files that are not images according to their names.
    pub others: OtherFiles,
    /// What only pixels tell.
    pub sample: Sample,
}

/// The smallest, the middle and the largest of some numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range<T> {
    /// The smallest.
    pub min: T,
    /// The lower one of the two in the middle if the count is even.
    pub median: T,
    /// The largest.
    pub max: T,
}

impl<T: PartialOrd + Copy + Default> Range<T> {
    pub(super) fn of(values: impl Iterator<Item = T>) -> Self {
        let mut values: Vec<T> = values.collect();
        values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        Self { min: at(0), median: at(last / 2), max: at(last) }
    }
}

/// How many files hold which channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    /// Grey.
    pub grey: usize,
    /// Grey and alpha.
    pub grey_alpha: usize,
    /// Red, green and blue; palettes too.
    pub rgb: usize,
    /// The same with alpha; palettes with transparent entries too.
    pub rgba: usize,
}

impl ChannelCounts {
    /// Counts the channels of some files.
    pub(crate) fn of(channels: impl Iterator<Item = Channels>) -> Self {
        let mut counts = Self::default();
        channels.for_each(|channels| match channels {
            Channels::Grey => counts.grey += 1,
            Channels::GreyAlpha => counts.grey_alpha += 1,
            Channels::Rgb => counts.rgb += 1,
            Channels::Rgba => counts.rgba += 1,
        });
        counts
    }

    /// Number of files.
    pub fn all(&self) -> usize {
        self.grey + self.grey_alpha + self.rgb + self.rgba
    }

    /// Number of files with alpha, whether it is used or not.
    pub fn with_alpha(&self) -> usize {
        self.grey_alpha + self.rgba
    }

    /// The files that are converted if images are read with `channels` channels.
    pub fn not_of(&self, channels: usize) -> Self {
        match channels {
            1 => Self { grey: 0, ..*self },
            3 => Self { rgb: 0, ..*self },
            _ => Self { rgba: 0, ..*self },
        }
    }
}

impl fmt::Display for ChannelCounts {
    /// The counts that are not 0: `2 gray, 1 RGB with alpha`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grey, grey_alpha, rgb, rgba } = *self;
        let all = [(grey, "gray"), (grey_alpha, "gray with alpha"), (rgb, "RGB"), (rgba, "RGB with alpha")];
        let some: Vec<String> =
            all.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        f.write_str(&some.join(", "))
    }
}

/// What the pixels of some images tell: up to 2,000 that differ, evenly spread, and fewer where they are large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Number of images that were decoded.
    pub images: usize,
    /// How many of those have alpha in their files.
    pub with_alpha: usize,
    /// How many of those have a pixel that is not opaque.
    pub uses_alpha: usize,
    /// How many show nothing because all pixels are transparent.
    pub invisible: usize,
    /// How many hold colours, but only grey ones.
    pub grey_as_rgb: usize,
    /// How many look like an earlier image of the sample at 16×16, although their files differ.
    pub near_duplicates: usize,
    /// Files whose pixels cannot be read.
    pub broken: Vec<Skipped>,
}

impl Survey {
    /// Surveys the images in a folder, a zip archive or an array, in all threads of rayon's pool.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is no such folder; [`Error::Read`] if it cannot be read; [`Error::File`] for an archive, an array or a
    /// list of labels that cannot be used. A folder without images is not an error.
    pub fn of(path: &Path) -> Result<Self, Error> {
        if ArrayImages::is_source(path) {
            return ArrayImages::open(path)?.survey();
        }
        let source = &Source::open(path)?;
        let Found { images, inventory } = source.find()?;
        let mut broken = inventory.skipped;
        let mut files = Vec::with_capacity(images.len());
        let headers = headers(source, &images);
        for (path, header) in images.into_iter().zip(headers) {
            match header {
                Ok(header) => files.push((path, header)),
                Err(reason) => broken.push(Skipped { path, reason }),
            }
        }
        let names: Vec<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
        let found = source.classes(&names)?;
        let mut classes: Vec<(String, usize)> = found.names.into_iter().map(|name| (name, 0)).collect();
        found.labels.iter().for_each(|label| classes[*label as usize].1 += 1);
        let copies = copies(source, &files);
        let sample = Sample::of(source, &files, &copies);
        let headers = || files.iter().map(|(_, header)| header);
        let mut sizes: BTreeMap<[usize; 2], usize> = BTreeMap::new();
        headers().for_each(|header| *sizes.entry(header.size).or_default() += 1);
        let most_common = sizes.iter().max_by_key(|(_, count)| **count).map(|(size, count)| (*size, *count));
        Ok(Self {
            images: files.len(),
            different: files.len() - copies.len(),
            bytes: headers().map(|header| header.length).sum(),
            height: Range::of(headers().map(|header| header.size[0])),
            width: Range::of(headers().map(|header| header.size[1])),
            shorter_side: Range::of(headers().map(|header| header.size[0].min(header.size[1]))),
            aspect: Range::of(headers().map(|header| header.size[1] as f64 / header.size[0] as f64)),
            most_common_size: most_common.unwrap_or_default(),
            sizes: sizes.len(),
            channels: ChannelCounts::of(headers().map(|header| header.channels)),
            array_channels: None,
            deep: headers().filter(|header| header.depth > 8).count(),
            animated: headers().filter(|header| header.is_animated).count(),
            classes,
            no_classes: found.why_none,
            warnings: found.warnings,
            broken,
            others: inventory.others,
            sample,
        })
    }

    /// The value of `data.channels` for these images: 4 if at least one in ten has transparent pixels, else 3 if one in a hundred has
    /// color channels, else 1. An array has its own.
    pub fn recommended_channels(&self) -> usize {
        if let Some(channels) = self.array_channels {
            return channels;
        }
        let Sample { with_alpha, uses_alpha, .. } = self.sample;
        recommended_channels(&self.channels, uses_alpha, with_alpha)
    }
}

/// Returns the number of channels for files with these channel counts. `uses_alpha` of `looked_at` decoded images with alpha have a pixel
/// that is not opaque.
pub(crate) fn recommended_channels(counts: &ChannelCounts, uses_alpha: usize, looked_at: usize) -> usize {
    let is_common = |count: usize, one_in: usize| count > 0 && count.saturating_mul(one_in) >= counts.all();
    let transparent = (counts.with_alpha() as u128 * uses_alpha as u128).div_ceil(looked_at.max(1) as u128) as usize;
    match (is_common(transparent, ALPHA_ONE_IN), is_common(counts.rgb + counts.rgba, COLOR_ONE_IN)) {
        (true, _) => 4,
        (false, true) => 3,
        (false, false) => 1,
    }
}

/// The numbers of files that have the bytes of an earlier one. Only files of the same length are read.
fn copies(source: &Source, files: &[(PathBuf, Header)]) -> HashSet<usize> {
    let mut lengths: HashMap<u64, usize> = HashMap::new();
    files.iter().for_each(|(_, header)| *lengths.entry(header.length).or_default() += 1);
    let hash = |(path, header): &(PathBuf, Header)| {
        if lengths[&header.length] < 2 {
            return None;
        }
        let bytes = ImageFile::all(source, path, &mut Turn::default()).ok()?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        Some((header.length, hasher.finish()))
    };
    let hashes: Vec<Option<(u64, u64)>> = files.par_iter().map(hash).collect();
    let mut known = HashSet::new();
    let repeats = hashes.into_iter().enumerate().filter(|(_, hash)| hash.is_some_and(|hash| !known.insert(hash)));
    repeats.map(|(index, _)| index).collect()
}

impl Sample {
    fn of(source: &Source, files: &[(PathBuf, Header)], copies: &HashSet<usize>) -> Self {
        let different: Vec<&(PathBuf, Header)> =
            (0..files.len()).filter(|index| !copies.contains(index)).map(|index| &files[index]).collect();
        let pixels = |file: &(PathBuf, Header)| file.1.size[0] * file.1.size[1];
        let all: usize = different.iter().map(|file| pixels(file)).sum();
        let mean = all / different.len().max(1);
        let count = different.len().min(MOST_DECODED).min((MOST_PIXELS / mean.max(1)).max(1));
        let chosen: Vec<&(PathBuf, Header)> = (0..count).map(|i| different[i * different.len() / count]).collect();
        let look = |file: &&(PathBuf, Header)| {
            let mut turn = Turn::default();
            let image = || decoded(&ImageFile::all(source, &file.0, &mut turn)?, &mut turn).map(Looks::of);
            catch_unwind(std::panic::AssertUnwindSafe(image)).unwrap_or_else(|_| Err("its decoder failed".into()))
        };
        let looks: Vec<Result<Looks, String>> = chosen.par_iter().map(look).collect();
        let mut sample = Self::default();
        let mut known: Vec<Looks> = Vec::new();
        for ((path, header), looks) in chosen.into_iter().zip(looks) {
            match looks {
                Ok(looks) => sample.add(looks, header.channels.has_alpha(), &mut known),
                Err(reason) => sample.broken.push(Skipped { path: path.clone(), reason }),
            }
        }
        sample
    }

    /// The sample of images that are in memory already, all with the same channels.
    pub(super) fn of_looks(looks: Vec<Looks>, has_alpha: bool) -> Self {
        let mut sample = Self::default();
        let mut known: Vec<Looks> = Vec::new();
        looks.into_iter().for_each(|looks| sample.add(looks, has_alpha, &mut known));
        sample
    }

    /// Adds an image that may look like `known` ones.
    fn add(&mut self, looks: Looks, has_alpha: bool, known: &mut Vec<Looks>) {
        self.images += 1;
        self.with_alpha += usize::from(has_alpha);
        self.uses_alpha += usize::from(looks.uses_alpha);
        self.invisible += usize::from(looks.is_invisible);
        self.grey_as_rgb += usize::from(looks.is_grey);
        self.near_duplicates += usize::from(known.iter().any(|other| other.is_like(&looks)));
        known.push(looks);
    }
}

#[cfg(test)]
mod tests;
