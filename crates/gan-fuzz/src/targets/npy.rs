//! NumPy's `.npy` files: numbers, images and latent vectors.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_data::npy::{ImageArray, NpyFile, VectorArray};

/// Reads an array as numbers, as images and as latent vectors.
pub const TARGET: Target =
    Target { name: "npy", body, seeds, tokens: TOKENS, names: Vec::new, memory: Memory { mebibytes: 8, per_byte: 64 } };

const TOKENS: &[&str] = &[
    "\u{93}NUMPY",
    "'descr': ",
    "'fortran_order': True",
    "'fortran_order': False",
    "'shape': (",
    "'<f4'",
    "'>f4'",
    "'<f8'",
    "'|u1'",
    "'|b1'",
    "'<f2'",
    "'>i8'",
    "'|O'",
    "(2,)",
    "()",
    ", ",
    "}",
    "1L",
    "18446744073709551615",
    "\"",
    "\n",
];

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("npy")?, "array.npy", input)?;
    let array = NpyFile::open(&path)?;
    let count: usize = array.shape().iter().product();
    if count > 0 {
        let all: Vec<usize> = (0..array.rows()).collect();
        assert_eq!(array.read_rows(&all)?.len(), count);
    }
    if array.rows() > 0 && !array.shape().is_empty() {
        let last = array.rows() - 1;
        let rows = array.read_rows(&[last, 0])?;
        assert_eq!(rows.len(), 2 * array.row_len());
    }
    if let Ok(mut images) = ImageArray::of(NpyFile::open(&path)?, Some(3), None) {
        let [c, h, w] = images.shape();
        assert_eq!(images.read(0, images.count())?.len(), images.count() * c * h * w);
    }
    if let Ok(mut vectors) = VectorArray::of(NpyFile::open(&path)?, 3) {
        vectors.first(vectors.count())?;
    }
    Ok(())
}

/// Returns a file with this header and body.
fn file(header: &str, body: &[u8]) -> Vec<u8> {
    let padded = format!("{header:<width$}\n", width = (10 + header.len() + 1).next_multiple_of(64) - 11);
    [b"\x93NUMPY\x01\x00", &(padded.len() as u16).to_le_bytes()[..], padded.as_bytes(), body].concat()
}

fn seeds() -> Vec<Seed> {
    let floats: Vec<u8> = (0..24).flat_map(|i| (i as f32 / 12.0 - 1.0).to_le_bytes()).collect();
    let swapped: Vec<u8> = (0..6).flat_map(|i| f64::from(i).to_be_bytes()).collect();
    vec![
        ("images", file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, 3, 4), }", &floats)),
        ("bytes", file("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, 2, 2), }", &[7; 12])),
        ("vectors", file("{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3), }", &swapped)),
        ("number", file("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", &floats[..4])),
    ]
}
