//! .npy files that users hand over, read with care: their headers promise whatever they like.

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use std::io::Read;
use std::path::Path;

/// The array in `path` as float32; `expected` is its shape, for messages.
pub fn read(path: &Path, expected: &str) -> Result<Tensor> {
    let wrong =
        |problem: String| anyhow::anyhow!("{}: {problem}; expected a .npy file, float32 {expected}", path.display());
    let size = std::fs::metadata(path).map_err(|e| wrong(format!("cannot be read ({e})")))?.len();
    if elements(path).is_none_or(|n| n > size) {
        return Err(wrong("is not a whole .npy file".into()));
    }
    let array = Tensor::read_npy(path).map_err(|_| wrong("is not a whole .npy file of numbers".into()))?;
    array.to_dtype(DType::F32).with_context(|| format!("{}: expected numbers", path.display()))
}

/// How many numbers the header of a .npy file promises, if it is one.
fn elements(path: &Path) -> Option<u64> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(1024).read_to_end(&mut head).ok()?;
    let text = String::from_utf8_lossy(head.strip_prefix(b"\x93NUMPY")?).into_owned();
    let shape = text.split("'shape':").nth(1)?.split('(').nth(1)?.split(')').next()?.to_string();
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    sides.map(|side| side.parse::<u64>().ok()).try_fold(1u64, |n, side| n.checked_mul(side?))
}
