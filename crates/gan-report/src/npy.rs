//! Arrays in NumPy's `.npy` format, written incrementally, so that an array may be larger than the memory.

use crate::Error;
use gan_base::atomic::AtomicFile;
use std::path::Path;

/// Number of bytes of magic number, version and header length.
const PREFIX: usize = 10;

/// A float32 array in the `.npy` format, version 1.0 (NumPy Enhancement Proposal 1). The file appears under its name only when it is
/// complete.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("points.npy");
/// let mut array = gan_report::NpyWriter::create(&path, &[3, 2])?;
/// array.write(&[0.0, 1.0])?;
/// array.write(&[2.0, 3.0, 4.0, 5.0])?;
/// array.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NpyWriter {
    file: AtomicFile,
    shape: Vec<usize>,
    /// Number of values in all.
    count: usize,
    /// Number of values written.
    written: usize,
}

impl NpyWriter {
    /// Starts an array of `shape` in the file `path`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an invalid shape, [`Error::File`] naming `path`.
    pub fn create(path: &Path, shape: &[usize]) -> Result<Self, Error> {
        let impossible = || Error::Shape(format!("an array of shape {shape:?} is too large for a .npy file"));
        let count = shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
        let count = count.filter(|count| count.checked_mul(size_of::<f32>()).is_some()).ok_or_else(impossible)?;
        let header = header(shape).ok_or_else(impossible)?;
        let mut file = AtomicFile::create(path)?;
        file.write_all(&header)?;
        Ok(Self { file, shape: shape.to_vec(), count, written: 0 })
    }

    /// Appends `values`, in C order.
    ///
    /// # Errors
    /// [`Error::Shape`] for more values than the shape has, [`Error::File`] naming the file.
    pub fn write(&mut self, values: &[f32]) -> Result<(), Error> {
        self.written = self.written.saturating_add(values.len());
        if self.written > self.count {
            return Err(self.wrong_count());
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(self.file.write_all(&bytes)?)
    }

    /// Renames the complete file to its name, replacing an older one.
    ///
    /// # Errors
    /// [`Error::Shape`] if values are missing, [`Error::File`] naming the file.
    pub fn finish(self) -> Result<(), Error> {
        if self.written == self.count { Ok(self.file.commit()?) } else { Err(self.wrong_count()) }
    }

    fn wrong_count(&self) -> Error {
        let Self { shape, count, written, .. } = self;
        Error::Shape(format!("an array of shape {shape:?} has {count} values, but {written} were written"))
    }
}

/// Returns everything before the values: a multiple of 64 bytes that ends in a new line.
fn header(shape: &[usize]) -> Option<Vec<u8>> {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // A tuple of one in Python has a comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{comma}), }}", sides.join(", "));
    let padded = (PREFIX + dict.len() + 1).next_multiple_of(64) - PREFIX;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(padded).ok()?.to_le_bytes());
    bytes.extend(format!("{dict:<width$}\n", width = padded - 1).bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_bytes_are_those_that_numpy_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let mut array = NpyWriter::create(&path, &[2, 3]).unwrap();
        array.write(&[1.0, -2.5]).unwrap();
        array.write(&[0.0, 1e-3, 7.0, -1.0]).unwrap();
        array.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes[10..128], *format!("{text:<117}\n").as_bytes());
        let values: Vec<f32> =
            bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(values, [1.0, -2.5, 0.0, 1e-3, 7.0, -1.0]);
    }

    #[test]
    fn a_row_and_a_single_value_are_tuples_of_python() {
        let text = |shape: &[usize]| String::from_utf8_lossy(&header(shape).unwrap()[PREFIX..]).into_owned();
        assert!(text(&[5]).contains("(5,)") && text(&[]).contains("()"));
        assert!(header(&[1; 30_000]).is_none());
    }

    #[test]
    fn too_few_and_too_many_values_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let mut array = NpyWriter::create(&path, &[2, 2]).unwrap();
        array.write(&[0.0; 3]).unwrap();
        let message = array.write(&[0.0; 2]).unwrap_err().to_string();
        assert!(message.contains("[2, 2] has 4 values, but 5 were written"), "{message}");
        assert!(array.finish().is_err());
        let mut array = NpyWriter::create(&path, &[2, 2]).unwrap();
        array.write(&[0.0; 3]).unwrap();
        assert!(array.finish().unwrap_err().to_string().contains("but 3 were written"));
        assert!(NpyWriter::create(&path, &[usize::MAX, 2]).unwrap_err().to_string().contains("too large"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
