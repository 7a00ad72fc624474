//! Images in one array of NumPy, `[N, C, H, W]` or `[N, H, W, C]`, with up to 64 channels.

use super::looks::Looks;
use super::pixels::Pixels;
use super::survey::{MOST_DECODED, Range, Sample, Survey};
use super::{ChannelCounts, color};
use crate::Error;
use crate::dataset::Dataset;
use crate::file_kind::{self, Kind};
use crate::npy::{NpyFile, Numbers};
use image::{DynamicImage, GrayImage, RgbImage, RgbaImage};
use rayon::prelude::*;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

/// The most channels of an image.
pub const MOST_CHANNELS: usize = 64;

/// Numbers that are checked at once, unless a single image has more.
const AT_ONCE: usize = 1 << 22;

/// The most images whose bytes are part of the checksum.
const CHECKSUMMED: usize = 64;

/// Tolerance beyond the ends of a range, for rounding in float32.
const ROUNDING: f32 = 1e-3;

/// Images of one size in an array, each read when its sample is requested. They keep the channels of the array.
#[derive(Debug)]
pub struct ArrayImages {
    array: NpyFile,
    channels: usize,
    /// `[H, W]`
    size: [usize; 2],
    /// Whether the channels are the last axis.
    is_channels_last: bool,
    range: ValueRange,
}

/// Which numbers are black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueRange {
    /// 0 to 255.
    Bytes,
    /// 0 to 65,535.
    Words,
    /// 0 to 1.
    Unit,
    /// −1 to 1.
    Signed,
}

impl ValueRange {
    /// The number as a word from 0 to 65,535; a byte becomes 257 times its value.
    fn word(self, value: f32) -> u16 {
        let word = match self {
            Self::Bytes => value * 257.0,
            Self::Words => value,
            Self::Unit => value * 65_535.0,
            Self::Signed => (value + 1.0) * 32_767.5,
        };
        word.round() as u16
    }
}

impl ArrayImages {
    /// Whether `path` is a file that is meant as an array: by its ending, `.npy` or `.npz`, or by its first bytes.
    pub fn is_source(path: &Path) -> bool {
        let is_called = |known: &str| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(known));
        path.is_file() && (is_called("npy") || is_called("npz") || file_kind::of_file(path) == Some(Kind::Array))
    }

    /// Opens a `.npy` file, or a `.npz` archive with one array of four axes. Numbers may be uint8, uint16, or floating point from 0 to 1,
    /// from −1 to 1 or from 0 to 255; which of these is found by looking at all of them.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] if the array has another shape, type or range.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let array = NpyFile::open_images(path)?;
        let refused =
            |what, found: String, expected: &str, advice: &str| Err(array.refused(what, found, expected, advice));
        let &[count, a, b, c] = array.shape() else {
            let advice = match array.shape() {
                [_, _, 1 | 3] => "it looks like one image: save several as x of shape [N, H, W, C]",
                [_, _, _] => "if these are gray images [N, H, W], save x[:, None]",
                _ => "save the images as one array of four axes",
            };
            let found = format!("an array of shape {:?}", array.shape());
            return refused("shape of the array", found, "[N, C, H, W] or [N, H, W, C]", advice);
        };
        let is_channels_last = is_channels_last([a, b, c]);
        let [channels, height, width] = if is_channels_last { [c, a, b] } else { [a, b, c] };
        if count * height * width == 0 || !(1..=MOST_CHANNELS).contains(&channels) {
            let found = format!("an array of shape {:?}", array.shape());
            let expected = format!("images with 1 to {MOST_CHANNELS} channels, and at least one");
            return refused("shape of the array", found, &expected, "save [N, C, H, W] or [N, H, W, C]");
        }
        let range = match array.numbers() {
            Numbers::Unsigned(1) => ValueRange::Bytes,
            Numbers::Unsigned(2) => ValueRange::Words,
            Numbers::Float(_) => float_range(&array)?,
            other => {
                let advice = "save x.astype('u1') where the numbers go from 0 to 255";
                return refused("type of the numbers", other.to_string(), "uint8, uint16 or floating point", advice);
            }
        };
        Ok(Self { channels, size: [height, width], is_channels_last, range, array })
    }

    /// Image `index`, with alpha premultiplied.
    fn image(&self, index: usize) -> Result<Pixels, Error> {
        let values = self.array.read_rows(&[index])?;
        let channels = self.channels;
        let plane = self.size[0] * self.size[1];
        let word = |at: usize| self.range.word(values[at]);
        let words: Vec<u16> = match self.is_channels_last {
            true => (0..values.len()).map(word).collect(),
            false => (0..values.len()).map(|at| word(at % channels * plane + at / channels)).collect(),
        };
        let bytes = match channels {
            4 => color::convert::<65_535, u16>(&words, 4, [0; 3]),
            _ => words.into_iter().map(|word| ((u32::from(word) + 128) / 257) as u8).collect(),
        };
        Ok(Pixels { size: self.size, channels, bytes })
    }

    /// Surveys the images.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub(super) fn survey(&self) -> Result<Survey, Error> {
        let count = self.len();
        let hash = |index: usize| {
            let mut hasher = DefaultHasher::new();
            self.array.read_rows(&[index])?.iter().for_each(|value| hasher.write_u32(value.to_bits()));
            Ok(hasher.finish())
        };
        let hashes: Vec<u64> = (0..count).into_par_iter().map(hash).collect::<Result<_, Error>>()?;
        let different: HashSet<u64> = hashes.into_iter().collect();
        let decoded = count.min(MOST_DECODED);
        let look = |i: usize| self.image(i * count / decoded).map(looks);
        let looks: Vec<Option<Looks>> = (0..decoded).into_par_iter().map(look).collect::<Result<_, Error>>()?;
        let [height, width] = self.size;
        let one = |side| Range { min: side, median: side, max: side };
        let of = |channels| if self.channels == channels { count } else { 0 };
        Ok(Survey {
            images: count,
            different: different.len(),
            bytes: (count * self.array.row_len() * self.array.numbers().size()) as u64,
            height: one(height),
            width: one(width),
            shorter_side: one(height.min(width)),
            aspect: Range::of([width as f64 / height as f64].into_iter()),
            most_common_size: (self.size, count),
            sizes: 1,
            channels: ChannelCounts { grey: of(1), rgb: of(3), rgba: of(4), grey_alpha: 0 },
            array_channels: Some(self.channels),
            deep: if self.range == ValueRange::Bytes { 0 } else { count },
            no_classes: Some("an array has no classes".into()),
            sample: Sample::of_looks(looks.into_iter().flatten().collect(), self.channels == 4),
            ..Survey::default()
        })
    }
}

/// What the pixels tell; `None` for channels that are not colors.
fn looks(image: Pixels) -> Option<Looks> {
    let [height, width] = image.size.map(|side| side as u32);
    let image = match image.channels {
        1 => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, image.bytes)?),
        3 => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, image.bytes)?),
        4 => DynamicImage::ImageRgba8(RgbaImage::from_raw(width, height, image.bytes)?),
        _ => return None,
    };
    Some(Looks::of(image))
}

/// Whether the channels of an image are its last axis. If two neighboring axes are equal, they are height and width. Otherwise the usual
/// numbers of channels decide, or else the smaller one.
fn is_channels_last([first, middle, last]: [usize; 3]) -> bool {
    let is_usual = |channels| matches!(channels, 1 | 3 | 4);
    match (first == middle, middle == last) {
        (true, false) => true,
        (false, true) => false,
        _ if is_usual(first) || is_usual(last) => !is_usual(first),
        _ => last < first,
    }
}

/// Looks at all numbers, which must be finite.
fn float_range(array: &NpyFile) -> Result<ValueRange, Error> {
    let mut low = f32::INFINITY;
    let mut high = f32::NEG_INFINITY;
    let at_once = (AT_ONCE / array.row_len().max(1)).max(1);
    for from in (0..array.rows()).step_by(at_once) {
        let rows: Vec<usize> = (from..array.rows().min(from + at_once)).collect();
        for value in array.read_finite(&rows, "image")? {
            low = low.min(value);
            high = high.max(value);
        }
    }
    match (low >= -ROUNDING, low >= -1.0 - ROUNDING, high) {
        (true, _, high) if high <= 1.0 + ROUNDING => Ok(ValueRange::Unit),
        (true, _, high) if high <= 255.0 + ROUNDING => Ok(ValueRange::Bytes),
        (false, true, high) if high <= 1.0 + ROUNDING => Ok(ValueRange::Signed),
        _ => {
            let found = format!("numbers from {low} to {high}");
            let expected = "numbers from 0 to 1, from -1 to 1 or from 0 to 255";
            Err(array.refused("range of the array", found, expected, "bring them to one of these ranges"))
        }
    }
}

impl Dataset for ArrayImages {
    fn len(&self) -> usize {
        self.array.rows()
    }

    fn shape(&self) -> Vec<usize> {
        vec![self.channels, self.size[0], self.size[1]]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        self.image(index)?.scale_into(out);
        Ok(())
    }

    /// CRC-32 of the shape and of the numbers of some images.
    fn checksum(&self) -> Option<u32> {
        let mut crc = crc32fast::Hasher::new();
        self.array.shape().iter().for_each(|side| crc.update(&(*side as u64).to_le_bytes()));
        let count = self.len().min(CHECKSUMMED);
        for index in (0..count).map(|i| i * self.len() / count) {
            // A file that cannot be read is reported when its image is requested.
            let values = self.array.read_rows(&[index]).unwrap_or_default();
            values.iter().for_each(|value| crc.update(&value.to_bits().to_le_bytes()));
        }
        Some(crc.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::tests::{Member, archive};
    use crate::{DatasetSpec, Folder, OpenOptions};
    use std::fs;

    fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
        let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({},), }}", sides.join(", "));
        let header = format!("{text:<117}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn open(name: &str, bytes: &[u8]) -> Result<ArrayImages, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert!(ArrayImages::is_source(&path), "{name}");
        ArrayImages::open(&path)
    }

    fn f4(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn image(data: &ArrayImages, index: usize) -> Vec<u8> {
        data.image(index).unwrap().bytes
    }

    #[test]
    fn both_layouts_are_read() {
        let first = open("x.npy", &npy("|u1", &[2, 3, 1, 2], &(0..12).collect::<Vec<u8>>())).unwrap();
        let last = open("x.npy", &npy("|u1", &[2, 1, 2, 3], &(0..12).collect::<Vec<u8>>())).unwrap();
        // [2, 1, 2, 3] has one channel in the usual place.
        assert_eq!((first.shape(), last.shape()), (vec![3, 1, 2], vec![1, 2, 3]));
        let last = open("x.npy", &npy("|u1", &[2, 2, 1, 3], &(0..12).collect::<Vec<u8>>())).unwrap();
        assert_eq!((last.shape(), image(&last, 1)), (vec![3, 2, 1], vec![6, 7, 8, 9, 10, 11]));
        assert_eq!(image(&first, 1), [6, 8, 10, 7, 9, 11]);
        for (shape, channels) in [([1, 8, 64, 64], 8), ([1, 64, 64, 8], 8), ([1, 2, 5, 5], 2)] {
            let data = open("x.npy", &npy("|u1", &shape, &vec![0; shape.iter().product()])).unwrap();
            assert_eq!(data.shape()[0], channels, "{shape:?}");
        }
    }

    #[test]
    fn numbers_of_each_range_are_rounded_to_bytes() {
        let words: Vec<u8> = [0u16, 128, 129, 65_535].iter().flat_map(|word| word.to_le_bytes()).collect();
        for (descr, data, bytes) in [
            ("<u2", words, [0, 0, 1, 255]),
            ("<f4", f4(&[0.0, 0.5, 1.0, 0.25]), [0, 128, 255, 64]),
            ("<f4", f4(&[-1.0, 0.0, 1.0, 0.5]), [0, 128, 255, 191]),
            ("<f4", f4(&[0.0, 7.0, 255.0, 128.4]), [0, 7, 255, 128]),
        ] {
            assert_eq!(image(&open("x.npy", &npy(descr, &[1, 1, 2, 2], &data)).unwrap(), 0), bytes, "{bytes:?}");
        }
        let transparent = open("x.npy", &npy("|u1", &[1, 4, 1, 1], &[200, 100, 50, 128])).unwrap();
        assert_eq!(image(&transparent, 0), [100, 50, 25, 128]);
    }

    #[test]
    fn arrays_that_are_no_images_are_refused() {
        for (descr, shape, data, words) in [
            ("|u1", &[4, 4][..], vec![0; 16], &["shape of the array", "[4, 4]", "four axes"][..]),
            ("|u1", &[2, 4, 4], vec![0; 32], &["save x[:, None]"]),
            ("|u1", &[1, 70, 70, 70], vec![0; 343_000], &["1 to 64 channels"]),
            ("<i4", &[1, 1, 1, 1], vec![0; 4], &["type of the numbers", "int32", "uint8, uint16"]),
            ("<f4", &[1, 1, 1, 1], f4(&[-3.0]), &["range of the array", "-3"]),
            ("<f4", &[1, 1, 1, 1], f4(&[f32::NAN]), &["finite"]),
            ("|u1", &[0, 1, 1, 1], vec![], &["at least one"]),
        ] {
            let message = open("x.npy", &npy(descr, shape, &data)).unwrap_err().to_string();
            words.iter().for_each(|word| assert!(message.contains(word), "{word}: {message}"));
        }
        let truncated = npy("|u1", &[9, 1, 2, 2], &[0; 7]);
        assert!(open("x.npy", &truncated).unwrap_err().to_string().contains("not a whole .npy file"));
    }

    #[test]
    fn the_only_array_of_images_in_an_archive_is_read() {
        let images = npy("|u1", &[2, 1, 2, 2], &(0..8).collect::<Vec<u8>>());
        let labels = npy("<i4", &[2], &[0; 8]);
        for is_deflated in [false, true] {
            let member = |name, bytes| Member { name, bytes, is_deflated };
            let bytes = archive(&[member("x.npy", &images), member("y.npy", &labels)], |_| ());
            let data = open("x.npz", &bytes).unwrap();
            assert_eq!((data.len(), image(&data, 1)), (2, vec![4, 5, 6, 7]));
            let two = archive(&[member("train.npy", &images), member("val.npy", &images)], |_| ());
            let message = open("x.npz", &two).unwrap_err().to_string();
            for words in ["train [2, 1, 2, 2], val [2, 1, 2, 2]", "exactly one array", "save the images alone"] {
                assert!(message.contains(words), "{message}");
            }
        }
    }

    #[test]
    fn arrays_are_resized_and_surveyed_as_folders_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let values: Vec<u8> = (0..3 * 5 * 16u32).map(|at| (at % 80) as u8).collect();
        fs::write(&path, npy("|u1", &[3, 5, 4, 4], &values)).unwrap();
        let data = Folder::default().open(&OpenOptions::default().dir(&path).size(2)).unwrap();
        assert_eq!((data.len(), data.shape()), (3, vec![5, 2, 2]));
        let whole = Folder::default().open(&OpenOptions::default().dir(&path)).unwrap();
        assert_eq!((whole.shape(), whole.checksum().is_some()), (vec![5, 4, 4], true));
        let survey = Survey::of(&path).unwrap();
        assert_eq!((survey.images, survey.different, survey.recommended_channels()), (3, 1, 5));
    }
}
