//! Files in NumPy's format, written byte by byte; files whose contents do not match their header; and every layout read back.

use super::*;
use proptest::prelude::*;
use std::fs;

/// Returns a `.npy` file of version 1 with this dictionary, followed by these bytes.
fn npy(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{dictionary:<117}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn of(descr: &str, is_fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if is_fortran { "True" } else { "False" };
    npy(&format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"), data)
}

struct WorkDir(tempfile::TempDir);

impl WorkDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("x.npy");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, bytes: &[u8]) -> (Vec<usize>, Vec<f32>) {
        let file = NpyFile::open(&self.write(bytes)).unwrap();
        (file.shape().to_vec(), read_all(&file))
    }

    #[track_caller]
    fn refused(&self, bytes: &[u8], words: &[&str]) {
        let message = NpyFile::open(&self.write(bytes)).unwrap_err().to_string();
        words.iter().for_each(|word| assert!(message.contains(word), "no \"{word}\" in {message}"));
    }
}

fn read_all(file: &NpyFile) -> Vec<f32> {
    if file.row_len() == 0 {
        return Vec::new();
    }
    file.read_rows(&(0..file.rows()).collect::<Vec<_>>()).unwrap()
}

fn images(path: &Path) -> Result<ImageArray, Error> {
    ImageArray::of(NpyFile::open(path)?, None, None)
}

fn vectors(path: &Path, dim: usize) -> Result<VectorArray, Error> {
    VectorArray::of(NpyFile::open(path)?, dim)
}

fn f4(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn every_type_and_byte_order_of_numpy_is_read() {
    let dir = WorkDir::new();
    for (descr, bytes) in [
        ("<f4", &[0, 0, 192, 63, 0, 0, 32, 192][..]),
        (">f4", &[63, 192, 0, 0, 192, 32, 0, 0]),
        ("<f2", &[0, 62, 0, 193]),
        (">f2", &[62, 0, 193, 0]),
        (">f8", &[63, 248, 0, 0, 0, 0, 0, 0, 192, 4, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(dir.read(&of(descr, false, "(2,)", bytes)), (vec![2], vec![1.5, -2.5]), "{descr}");
    }
    for (descr, bytes, values) in [
        ("|u1", &[0, 255][..], [0.0, 255.0]),
        ("|i1", &[128, 127], [-128.0, 127.0]),
        ("|b1", &[0, 1], [0.0, 1.0]),
        ("<i2", &[0xfe, 0xff, 0, 1], [-2.0, 256.0]),
        (">u2", &[1, 0, 0xff, 0xff], [256.0, 65_535.0]),
        ("<i4", &[0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0], [-1.0, 7.0]),
        (">i8", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9], [-3.0, 9.0]),
    ] {
        assert_eq!(dir.read(&of(descr, false, "(2,)", bytes)).1, values, "{descr}");
    }
    // The smallest subnormal, the largest number and an infinity of 16 bits.
    let halves = dir.read(&of("<f2", false, "(3,)", &[1, 0, 0xff, 0x7b, 0, 0xfc])).1;
    assert_eq!(halves, [2f32.powi(-24), 65_504.0, f32::NEG_INFINITY]);
}

#[test]
fn arrays_in_fortran_order_are_transposed_on_reading() {
    // np.asfortranarray([[0, 1, 2], [3, 4, 5]])
    let columns = f4(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let whole = WorkDir::new().read(&of("<f4", true, "(2, 3)", &columns));
    assert_eq!(whole, (vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
}

#[test]
fn headers_of_later_versions_and_other_writers_are_read() {
    let dir = WorkDir::new();
    let header = "{\"shape\": (2L, 1L), 'fortran_order': False, 'descr': \"<f4\"}\n";
    for version in [2, 3] {
        let head = [b"\x93NUMPY", &[version, 0][..], &(header.len() as u32).to_le_bytes(), header.as_bytes()].concat();
        assert_eq!(dir.read(&[head, f4(&[1.0, 2.0])].concat()), (vec![2, 1], vec![1.0, 2.0]));
    }
    assert_eq!(dir.read(&of("<f4", false, "()", &f4(&[7.0]))), (vec![], vec![7.0]));
    assert_eq!(dir.read(&of("<f4", true, "(0, 5)", &[])), (vec![0, 5], vec![]));
}

#[test]
fn headers_with_missing_extra_or_duplicate_keys_are_refused() {
    let dir = WorkDir::new();
    let data = f4(&[1.0, 2.0]);
    let header = |text: &str| npy(text, &data);
    for (text, words) in [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (200000000000,)}", "'shape' twice"),
        ("{'shape': (2,), 'descr': '<f4', 'descr': '<f4', 'fortran_order': False}", "'descr' twice"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "the key 'more'"),
        ("{'descr': '<f4', 'shape': (2,)}", "no key 'fortran_order'"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} {'shape': (9,)}", "found {'descr'"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "damaged .npy header"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "damaged .npy header"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "damaged .npy header"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "damaged .npy header"),
        ("{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", "damaged .npy header"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "damaged .npy header"),
        ("", "damaged .npy header"),
    ] {
        dir.refused(&header(text), &[words, "expected"]);
    }
    dir.refused(&npy("{'descr': '\x1b[31m', 'fortran_order': False, 'shape': (1,)}", &[]), &["\\u{1b}"]);
}

#[test]
fn the_length_of_a_file_must_match_its_shape() {
    let dir = WorkDir::new();
    for (shape, words) in [
        ("(3,)", "expected 12 bytes"),
        ("(1,)", "expected 4 bytes"),
        ("(200000000000,)", "expected 800000000000 bytes"),
        ("(4294967296, 4294967296, 4)", "more than any file can hold"),
        ("(0, 4294967296, 4294967296, 4)", "more than any file can hold"),
        ("(9223372036854775807, 0)", "found 8 bytes"),
    ] {
        dir.refused(&of("<f4", false, shape, &f4(&[1.0, 2.0])), &["found 8 bytes after the header", words]);
    }
    let whole = of("<f4", false, "(2,)", &f4(&[1.0, 2.0]));
    (0..whole.len()).for_each(|end| dir.refused(&whole[..end], &["x.npy: not a"]));
    dir.refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", &["header too long"]);
    dir.refused(b"\x93NUMPY\x09\x00\x00\x00\x00\x00", &["version 9"]);
    let empty = dir.read(&of("<f4", false, "(1000000000000000, 0)", &[]));
    assert!(empty.1.is_empty());
}

#[test]
fn files_that_are_not_numeric_arrays_are_named_by_kind() {
    let dir = WorkDir::new();
    dir.refused(b"PK\x03\x04rest of an archive", &["a .npz holds several arrays; save one with np.save"]);
    dir.refused(b"\x80\x04\x95pickled", &["a Python pickle"]);
    dir.refused(b"", &["an empty file"]);
    dir.refused(b"not numbers, but words", &["a file of another format"]);
    for (descr, words) in [
        ("'|O'", "Python objects"),
        ("'<c8'", "complex numbers"),
        ("'<U5'", "text"),
        ("'<M8[ns]'", "dates or times"),
        ("'<f16'", "the type <f16"),
        ("[('a', '<f4'), ('b', '<i4')]", "a structured array"),
    ] {
        dir.refused(&npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"), &[0; 16]), &[words]);
    }
    let folder = NpyFile::open(dir.0.path()).unwrap_err().to_string();
    assert!(folder.contains("not a regular file"), "{folder}");
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_at_once() {
    let dir = WorkDir::new();
    let pipe = dir.0.path().join("pipe.npy");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let zero = dir.0.path().join("zero.npy");
    std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
    for path in [pipe, zero] {
        let message = NpyFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("not a regular file"), "{message}");
    }
}

/// Returns the message for an array of images of this shape, whose layout is refused.
fn images_message(shape: &str, count: usize) -> String {
    let dir = WorkDir::new();
    let path = dir.write(&of("<f4", false, shape, &vec![0; 4 * count]));
    images(&path).unwrap_err().to_string()
}

#[test]
fn arrays_of_images_must_have_the_layout_of_images() {
    for (shape, count, words) in [
        ("(2, 5, 5, 3)", 150, "it looks like [N, H, W, C]: transpose it with x.transpose(0, 3, 1, 2)"),
        ("(2, 28, 28, 1)", 1568, "it looks like [N, H, W, C]"),
        ("(2, 5, 5, 4)", 200, "it looks like [N, H, W, C]"),
        ("(2, 2, 6, 5)", 120, "choose 1, 3 or 4 channels"),
        ("(4, 5, 3)", 60, "one image [H, W, C]"),
        ("(3, 4, 5)", 60, "one image [C, H, W]"),
        ("(9, 4, 5)", 180, "x[:, None]"),
        ("(0, 3, 4, 5)", 0, "there has to be an image"),
        ("(2, 3, 0, 5)", 0, "there has to be an image"),
        ("(5,)", 5, "four axes"),
    ] {
        let message = images_message(shape, count);
        assert!(message.contains(words) && message.contains("expected [N, C, H, W]"), "{shape}: {message}");
    }
}

/// Reads an array `[1, 1, 1, 4]` of this type and these bytes, or returns the error message.
fn four(descr: &str, bytes: &[u8]) -> Result<(Vec<f32>, bool), String> {
    let dir = WorkDir::new();
    let path = dir.write(&of(descr, false, "(1, 1, 1, 4)", bytes));
    let mut images = self::images(&path).map_err(|error| error.to_string())?;
    Ok((images.read(0, 1).unwrap(), images.is_within_zero_and_one()))
}

#[test]
fn image_values_are_bytes_or_numbers_from_minus_one_to_one() {
    assert_eq!(four("|u1", &[0, 51, 204, 255]), Ok((vec![-1.0, -0.6, 0.6, 1.0], false)));
    let whole = [-1.0, 0.25, 1.0004, 0.0];
    assert_eq!(four("<f4", &f4(&whole)), Ok((whole.to_vec(), false)));
    assert_eq!(four("<f4", &f4(&[0.0, 0.5, 1.0, 0.0])).map(|found| found.1), Ok(true));
    for (descr, bytes, words) in [
        (
            "<f4",
            f4(&[0.0, 17.0, 255.0, 3.0]),
            "found numbers from 0 to 255, expected numbers from -1 to 1; they look like bytes",
        ),
        ("<f4", f4(&[-2.5, 0.0, 1.0, 0.0]), "found numbers from -2.5 to 1, expected numbers from -1 to 1; bring them"),
        (
            "<f4",
            f4(&[0.0, f32::NAN, 1.0, 0.0]),
            "found NaN in image 0, expected finite numbers; nothing can be measured",
        ),
        ("<f4", f4(&[0.0, 1.0, f32::INFINITY, 0.0]), "found inf in image 0"),
        ("<i2", vec![0; 8], "found int16, expected floating point"),
        ("|b1", vec![1; 4], "found bool, expected floating point"),
    ] {
        let message = four(descr, &bytes).unwrap_err();
        assert!(message.contains(words), "no \"{words}\" in {message}");
    }
}

#[test]
fn alpha_is_straight_in_files_and_premultiplied_when_read() {
    let dir = WorkDir::new();
    // One pixel: 200, 100, 0, and an alpha of 128, as bytes and as numbers from -1 to 1.
    let bytes = [200, 100, 0, 128];
    let floats = f4(&bytes.map(|byte| f32::from(byte) / 127.5 - 1.0));
    for data in [of("|u1", false, "(1, 4, 1, 1)", &bytes), of("<f4", false, "(1, 4, 1, 1)", &floats)] {
        let read = images(&dir.write(&data)).unwrap().read(0, 1).unwrap();
        let wanted = [200.0, 100.0, 0.0, 255.0].map(|color: f32| color * 128.0 / 255.0 / 127.5 - 1.0);
        assert!(read.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{read:?} {wanted:?}");
    }
}

#[test]
fn vectors_must_have_the_expected_length() {
    let dir = WorkDir::new();
    let path = dir.write(&of("<f4", true, "(3, 2)", &f4(&[0.0, 2.0, 4.0, 1.0, 3.0, 5.0])));
    let mut vectors = self::vectors(&path, 2).unwrap();
    assert_eq!((vectors.count(), vectors.first(2).unwrap()), (3, vec![0.0, 1.0, 2.0, 3.0]));
    assert_eq!(vectors.spread(2).unwrap(), [0.0, 1.0, 2.0, 3.0]);
    let message = self::vectors(&path, 3).unwrap_err().to_string();
    assert!(
        message.contains("found an array of shape [3, 2], expected [N, 3]; it looks like its transpose"),
        "{message}"
    );
    let path = dir.write(&of("<f4", false, "(2, 1)", &f4(&[0.0, f32::NAN])));
    let mut vectors = self::vectors(&path, 1).unwrap();
    assert_eq!(vectors.first(1).unwrap(), [0.0]);
    assert!(vectors.first(2).unwrap_err().to_string().contains("NaN in row 1"));
}

/// Returns a file of this layout with an array of this shape whose values are their own indices in C order.
fn counted(shape: &[usize], is_fortran: bool, is_big_endian: bool) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut data = vec![0; 4 * count];
    for dir in 0..count {
        // Converts the position in C order to indices, and these to the position in the file.
        let mut rest = dir;
        let mut indices: Vec<usize> = shape.iter().rev().map(|side| (rest % side, rest /= side).0).collect();
        indices.reverse();
        let strides = |order: Vec<usize>| {
            order.iter().fold((0, 1), |(at, stride), axis| (at + indices[*axis] * stride, stride * shape[*axis])).0
        };
        let at =
            if is_fortran { strides((0..shape.len()).collect()) } else { strides((0..shape.len()).rev().collect()) };
        let value = dir as f32;
        let bytes = if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        data[4 * at..][..4].copy_from_slice(&bytes);
    }
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    of(if is_big_endian { ">f4" } else { "<f4" }, is_fortran, &format!("({sides})"), &data)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_any_layout_are_read(
        shape in proptest::collection::vec(1usize..5, 1..5),
        is_fortran in any::<bool>(),
        is_big_endian in any::<bool>(),
        picks in proptest::collection::vec(0usize..100, 0..6),
    ) {
        let dir = WorkDir::new();
        let file = NpyFile::open(&dir.write(&counted(&shape, is_fortran, is_big_endian))).unwrap();
        let count: usize = shape.iter().product();
        prop_assert_eq!(read_all(&file), (0..count).map(|i| i as f32).collect::<Vec<_>>());
        let (rows, row_len) = (file.rows(), file.row_len());
        let picks: Vec<usize> = picks.iter().map(|pick| pick % rows).collect();
        let wanted: Vec<f32> = picks.iter().flat_map(|row| (row * row_len..(row + 1) * row_len).map(|i| i as f32)).collect();
        prop_assert_eq!(file.read_rows(&picks).unwrap(), wanted);
    }

    #[test]
    fn random_headers_do_not_panic(text in "[-{}()':,A-Za-z0-9<>|\\\\ \"]{0,80}", data in proptest::collection::vec(any::<u8>(), 0..40)) {
        let dir = WorkDir::new();
        if let Ok(file) = NpyFile::open(&dir.write(&npy(&text, &data))) {
            prop_assert!(read_all(&file).len() <= data.len());
        }
    }

    #[test]
    fn random_dictionaries_do_not_panic(
        shape in "\\([0-9, L]{0,30}\\)",
        descr in "[<>|=]?[fiubcOUSV][0-9]{0,3}",
        is_fortran in any::<bool>(),
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let dir = WorkDir::new();
        if let Ok(file) = NpyFile::open(&dir.write(&of(&descr, is_fortran, &shape, &data))) {
            prop_assert!(read_all(&file).len() <= data.len());
        }
    }
}
