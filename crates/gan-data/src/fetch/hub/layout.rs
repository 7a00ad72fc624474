//! Writing the Hub's rows as the files that the readers expect.

use super::Progress;
use super::rows::{Sample, Table};
use super::staging::Staging;
use crate::fetch::Layout;
use crate::{CelebA, Cifar10, Error, Split};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::PathBuf;

/// Writes the rows of the training, validation and test files `parts` into `staging`. Returns the number of rows.
pub(super) fn write(
    layout: Layout,
    parts: &[Vec<PathBuf>; 3],
    staging: &mut Staging,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<u64, Error> {
    let mut total = 0;
    for path in parts.iter().flatten() {
        total += Table::open(path)?.len();
    }
    let mut rows = Rows { done: 0, total, watch };
    match layout {
        Layout::Idx => {
            idx("train", &parts[0], staging, &mut rows)?;
            idx("t10k", &parts[2], staging, &mut rows)?;
        }
        Layout::Cifar => cifar(parts, staging, &mut rows)?,
        Layout::Celeba => celeba(parts, staging, &mut rows)?,
    }
    Ok(total)
}

/// Reads rows and reports the progress.
struct Rows<'a> {
    done: u64,
    total: u64,
    watch: &'a mut dyn FnMut(Progress<'_>),
}

impl Rows<'_> {
    /// Calls `take` with every row of `files`.
    fn of(&mut self, files: &[PathBuf], mut take: impl FnMut(Sample) -> Result<(), Error>) -> Result<(), Error> {
        for path in files {
            for sample in Table::open(path)?.samples() {
                take(sample?)?;
                self.done += 1;
                (self.watch)(Progress::Unpack { done: self.done, total: self.total });
            }
        }
        Ok(())
    }
}

/// Writes MNIST's or Fashion-MNIST's grey PNG files as two gzipped IDX files.
fn idx(name: &str, files: &[PathBuf], staging: &mut Staging, rows: &mut Rows<'_>) -> Result<(), Error> {
    const SIDE: u32 = 28;
    let mut images = Vec::new();
    let mut labels = Vec::new();
    rows.of(files, |sample| {
        labels.push(sample.label(10)?);
        images.extend_from_slice(&sample.pixels(SIDE)?.into_luma8());
        Ok(())
    })?;
    let n = labels.len() as u32;
    staging.write(&format!("{name}-images-idx3-ubyte.gz"), &gzipped(&[0x803, n, SIDE, SIDE], &images))?;
    staging.write(&format!("{name}-labels-idx1-ubyte.gz"), &gzipped(&[0x801, n], &labels))
}

/// The header's big-endian words and the bytes, gzipped.
fn gzipped(header: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let words: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    let written = encoder.write_all(&words).and_then(|()| encoder.write_all(bytes)).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

/// Writes CIFAR-10's PNG files as binary batches: five of the same size for training, the last ones longer by a row if they do not divide.
fn cifar(parts: &[Vec<PathBuf>; 3], staging: &mut Staging, rows: &mut Rows<'_>) -> Result<(), Error> {
    let train = cifar_records(&parts[0], rows)?;
    let names = Cifar10::files(Split::Train)?;
    for (at, name) in names.iter().enumerate() {
        let batch = &train[at * train.len() / names.len()..(at + 1) * train.len() / names.len()];
        staging.write(name, &batch.concat())?;
    }
    staging.write(&Cifar10::files(Split::Test)?[0], &cifar_records(&parts[2], rows)?.concat())?;
    staging.write(Cifar10::META, (Cifar10::CLASSES.join("\n") + "\n").as_bytes())
}

/// The label and then the planes of each row.
fn cifar_records(files: &[PathBuf], rows: &mut Rows<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let mut records = Vec::new();
    rows.of(files, |sample| {
        let mut record = Vec::with_capacity(1 + Cifar10::PIXELS);
        record.push(sample.label(Cifar10::CLASSES.len())?);
        let image = sample.pixels(32)?.into_rgb8();
        (0..3).for_each(|plane| record.extend(image.pixels().map(|pixel| pixel.0[plane])));
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

/// The forty attributes, as in `list_attr_celeba.txt`. Source: Liu, Luo, Wang, Tang 2015, arXiv:1411.7766.
const ATTRIBUTES: &str = "\
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair \
    Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup \
    High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose \
    Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat \
    Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young";

/// Writes CelebA's JPEG files as they are, and the lists of the authors' archive.
fn celeba(parts: &[Vec<PathBuf>; 3], staging: &mut Staging, rows: &mut Rows<'_>) -> Result<(), Error> {
    let mut lines = Vec::new();
    for (files, part) in parts.iter().zip(0..) {
        rows.of(files, |sample| {
            let name = celeba_name(&sample, lines.len() + 1);
            let attributes = celeba_attributes(&sample)?;
            if !sample.image.data().starts_with(&[0xff, 0xd8, 0xff]) {
                return Err(sample.wrong(format!("an image that is no JPEG file, {name}")));
            }
            staging.write(&format!("img_align_celeba/{name}"), sample.image.data())?;
            lines.push((name, attributes, part));
            Ok(())
        })?;
    }
    lines.sort();
    let attributes: String = lines.iter().map(|(name, attributes, _)| format!("{name}{attributes}\n")).collect();
    let attributes = format!("{}\n{ATTRIBUTES}\n{attributes}", lines.len());
    staging.write(CelebA::ATTRIBUTES, attributes.as_bytes())?;
    let partition: String = lines.iter().map(|(name, _, part)| format!("{name} {part}\n")).collect();
    staging.write(CelebA::PARTITION, partition.as_bytes())
}

/// The file's own name if it has the archive's form, `000001.jpg`; otherwise the image's number in that form.
fn celeba_name(sample: &Sample, number: usize) -> String {
    let own = sample.name.as_deref().and_then(|path| path.rsplit('/').next());
    let is_archives = |name: &&str| {
        name.strip_suffix(".jpg").is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|d| d.is_ascii_digit()))
    };
    own.filter(is_archives).map_or_else(|| format!("{number:06}.jpg"), String::from)
}

/// The attributes as in the list: 1 if the column is 1 or true; -1 if it is 0, −1 or false.
fn celeba_attributes(sample: &Sample) -> Result<String, Error> {
    let mut attributes = String::new();
    for name in ATTRIBUTES.split(' ') {
        match sample.numbers.iter().rfind(|(column, _)| column.eq_ignore_ascii_case(name)) {
            Some((_, 1)) => attributes += "  1",
            Some(_) => attributes += " -1",
            None => return Err(sample.wrong(format!("no attribute \"{name}\""))),
        }
    }
    Ok(attributes)
}
