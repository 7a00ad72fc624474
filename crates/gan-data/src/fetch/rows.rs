//! The rows of the Hub's Parquet files: an encoded image, perhaps its file's name, and numbers such as a label.

use crate::Error;
use gan_base::regular_file;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::fs::File;
use std::path::{Path, PathBuf};

/// One row.
#[derive(Debug)]
pub struct Sample {
    /// The image's file as it was, PNG or JPEG.
    pub image: ByteArray,
    /// What that file was called.
    pub name: Option<String>,
    /// Every column of whole numbers or truth values (0 and 1) by its name, in the file's order.
    pub numbers: Vec<(String, i64)>,
}

impl Sample {
    /// The column `label`, which must be an index of one of `classes` classes.
    ///
    /// # Errors
    /// What is there instead, in words.
    pub fn label(&self, classes: usize) -> Result<u8, String> {
        let (_, label) = self.numbers.iter().find(|(name, _)| name == "label").ok_or("no column \"label\"")?;
        let label = u8::try_from(*label).map_err(|_| format!("label {label}"))?;
        if usize::from(label) < classes {
            Ok(label)
        } else {
            Err(format!("label {label}, expected less than {classes}"))
        }
    }
}

/// A Parquet file of images.
pub struct Table {
    reader: SerializedFileReader<File>,
    path: PathBuf,
}

impl Table {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] where it is no Parquet file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = regular_file::open(path).map_err(|cause| Error::Read { path: path.into(), cause })?;
        let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, &error))?;
        Ok(Self { reader, path: path.into() })
    }

    /// How many rows it has.
    pub fn len(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Its rows in turn.
    ///
    /// # Errors
    /// Each of them [`Error::File`] where it cannot be read or has no image.
    pub fn samples(self) -> impl Iterator<Item = Result<Sample, Error>> {
        let path = self.path;
        self.reader.into_iter().enumerate().map(move |(at, row)| {
            let row = row.map_err(|error| damaged(&path, &error))?;
            sample(row).ok_or_else(|| wrong(&path, at, "no column with an image's bytes".into()))
        })
    }
}

/// The error that row `at` of the file at `path` is `found`.
pub fn wrong(path: &Path, at: usize, found: String) -> Error {
    Error::File {
        path: path.into(),
        what: "not the data set that it should be",
        found: format!("{found} in row {at}"),
        expected: "an image, and a label or attributes".into(),
        advice: "the data set on the Hub may have changed its form: get the files by hand, see docs/fetch.md".into(),
    }
}

fn damaged(path: &Path, error: &ParquetError) -> Error {
    Error::File {
        path: path.into(),
        what: "not a Parquet file that can be read",
        found: format!("\"{error}\""),
        expected: "columns packed with Snappy or not at all".into(),
        advice: "the data set on the Hub may have changed its form: get the files by hand, see docs/fetch.md".into(),
    }
}

fn sample(row: Row) -> Option<Sample> {
    let (mut image, mut numbers) = (None, Vec::new());
    for (name, field) in row.into_columns() {
        match field {
            Field::Group(group) if image.is_none() => image = picture(group),
            field => numbers.extend(number(&field).map(|value| (name, value))),
        }
    }
    let (image, name) = image?;
    Some(Sample { image, name, numbers })
}

/// The Hub's image: a group of `bytes` and `path`.
fn picture(group: Row) -> Option<(ByteArray, Option<String>)> {
    let (mut bytes, mut path) = (None, None);
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
