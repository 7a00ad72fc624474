//! The rows of the Hub's Parquet files: an encoded image, perhaps its file's name, and numbers such as a label.

use crate::Error;
use gan_base::regular_file;
use image::{DynamicImage, ImageFormat};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One row.
pub(super) struct Sample {
    /// The image's file, PNG or JPEG.
    pub image: ByteArray,
    /// The name of that file.
    pub name: Option<String>,
    /// Every column of integers or truth values (0 and 1) by its name, in the file's order.
    pub numbers: Vec<(String, i64)>,
    path: Rc<Path>,
    row: usize,
}

impl Sample {
    /// The column `label`, which must be the index of one of `classes` classes.
    pub fn label(&self, classes: usize) -> Result<u8, Error> {
        let label = self.numbers.iter().find(|(name, _)| name == "label");
        let (_, label) = label.ok_or_else(|| self.wrong("no column \"label\"".into()))?;
        let class = u8::try_from(*label).ok().filter(|class| usize::from(*class) < classes);
        class.ok_or_else(|| self.wrong(format!("label {label}, expected 0 or more and less than {classes}")))
    }

    /// The pixels of a PNG file, `side`×`side`.
    pub fn pixels(&self, side: u32) -> Result<DynamicImage, Error> {
        let image = image::load_from_memory_with_format(self.image.data(), ImageFormat::Png);
        let image = image.map_err(|error| self.wrong(format!("an image that is no PNG file ({error})")))?;
        let [height, width] = [image.height(), image.width()];
        if [height, width] != [side, side] {
            return Err(self.wrong(format!("an image of {height}×{width}, expected {side}×{side}")));
        }
        Ok(image)
    }

    /// The error that this row is `found`.
    pub fn wrong(&self, found: String) -> Error {
        wrong(&self.path, self.row, &found)
    }
}

/// A Parquet file of images.
pub(super) struct Table {
    reader: SerializedFileReader<File>,
    path: PathBuf,
}

impl Table {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = regular_file::open(path).map_err(Error::read(path))?;
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, &error))?;
        Ok(Self { reader, path: path.into() })
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The rows in order; an error for a row that cannot be read or has no image.
    pub fn samples(self) -> impl Iterator<Item = Result<Sample, Error>> {
        let path: Rc<Path> = self.path.into();
        self.reader.into_iter().enumerate().map(move |(at, row)| {
            let mut picture = None;
            let mut numbers = Vec::new();
            for (name, field) in row.map_err(|error| damaged(&path, &error))?.into_columns() {
                match field {
                    Field::Group(group) if picture.is_none() => picture = image_and_name(group),
                    field => numbers.extend(number(&field).map(|value| (name, value))),
                }
            }
            let (image, name) = picture.ok_or_else(|| wrong(&path, at, "no column with an image's bytes"))?;
            Ok(Sample { image, name, numbers, path: Rc::clone(&path), row: at })
        })
    }
}

const ADVICE: &str = "the data set on the Hub may have changed its form: get the files by hand, see docs/fetch.md";

fn wrong(path: &Path, row: usize, found: &str) -> Error {
    let found = format!("{found} in row {row}");
    Error::file(path, "not the data set that it should be", found, "an image, and a label or attributes", ADVICE)
}

fn damaged(path: &Path, error: &ParquetError) -> Error {
    let expected = "columns packed with Snappy or not at all";
    Error::file(path, "not a Parquet file that can be read", format!("\"{error}\""), expected, ADVICE)
}

/// The Hub's image, a group of `bytes` and `path`: the image's file, and its name if there is one.
fn image_and_name(group: Row) -> Option<(ByteArray, Option<String>)> {
    let mut bytes = None;
    let mut path = None;
    for (name, field) in group.into_columns() {
        match (name.as_str(), field) {
            ("bytes", Field::Bytes(data)) => bytes = Some(data),
            ("path", Field::Str(text)) => path = Some(text),
            _ => {}
        }
    }
    Some((bytes?, path))
}

fn number(field: &Field) -> Option<i64> {
    Some(match *field {
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => value,
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        _ => return None,
    })
}
