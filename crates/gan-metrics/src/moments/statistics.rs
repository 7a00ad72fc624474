//! Mean and covariance that others computed, as pytorch-fid and TTUR keep them: a `.npz` of `mu` `[D]` and `sigma` `[D, D]` in f64.

use super::Moments;
use crate::error::{Error, Result};
use crate::linalg::mirror;
use crate::zip;
use faer::Mat;
use gan_base::regular_file;
use std::collections::BTreeMap;
use std::path::Path;

/// The most bytes of a file: twice what Inception-v3's features take.
const MOST_BYTES: u64 = 1 << 26;
/// Such files do not say how many samples they are of: enough that Σ may have full rank and that no distance is called too uncertain.
const COUNT: u64 = 1 << 32;

impl Moments {
    /// Reads the statistics in the `.npz` file at `path`, which is not compressed.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read or holds something else.
    pub fn read_statistics(path: &Path) -> Result<Self> {
        let bytes =
            regular_file::read(path, MOST_BYTES).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        let advice = "save them again by numpy.savez(file, mu=mu, sigma=sigma), in float64";
        of_npz(&bytes).map_err(|problem| Error::file(path, format!("{problem}: {advice}")))
    }
}

fn of_npz(bytes: &[u8]) -> std::result::Result<Moments, String> {
    let files = zip::files(bytes)?;
    let mean = numbers(&files, "mu.npy")?;
    let sigma = numbers(&files, "sigma.npy")?;
    let dim = mean.len();
    if dim == 0 || sigma.len() != dim * dim {
        return Err(format!("mu has {dim} numbers and sigma {}, expected D and D × D", sigma.len()));
    }
    let mut scatter = Mat::from_fn(dim, dim, |row, column| sigma[row * dim + column] * (COUNT - 1) as f64);
    mirror(&mut scatter);
    if (0..dim).any(|i| scatter[(i, i)] < 0.0) {
        return Err("sigma has negative variances".into());
    }
    Ok(Moments { count: COUNT, mean, scatter })
}

/// The finite numbers of an array `<f8` in the archive.
fn numbers(files: &BTreeMap<&str, &[u8]>, name: &str) -> std::result::Result<Vec<f64>, String> {
    let file = files.get(name).ok_or_else(|| format!("holds no {name}"))?;
    let data = f64s(file).ok_or_else(|| format!("{name} is not an array of float64"))?;
    let values: Vec<f64> = data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(format!("{name} has numbers that are not finite")),
    }
}

/// What follows the header of a `.npy` file of little-endian float64.
fn f64s(file: &[u8]) -> Option<&[u8]> {
    let rest = file.strip_prefix(b"\x93NUMPY")?;
    let length = match *rest.first()? {
        1 => usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)) + 4,
        _ => usize::try_from(u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?)).ok()?.checked_add(6)?,
    };
    let header = std::str::from_utf8(rest.get(..length)?.get(4..)?).ok()?;
    header.contains("'<f8'").then(|| &rest[length..]).filter(|data| data.len().is_multiple_of(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::metrics::frechet;
    use crate::zip::tests::archive_of;
    use gan_base::Rng;

    fn npy(descr: &str, values: &[f64]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({},), }}\n", values.len());
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }

    fn moments(seed: u64) -> Moments {
        let mut rng = Rng::new(seed);
        Moments::of(&Features::new((0..300).map(|_| rng.normal() + seed as f32).collect(), 3).unwrap()).unwrap()
    }

    #[test]
    fn the_distance_to_statistics_is_that_to_the_samples_they_are_of() {
        let (real, generated) = (moments(1), moments(2));
        let covariance = real.covariance().unwrap();
        let bytes = archive_of(&[("mu.npy", &npy("<f8", real.mean())), ("sigma.npy", &npy("<f8", &covariance))]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let read = Moments::read_statistics(file.path()).unwrap();
        let of = |real: &Moments| frechet::distance(real, &generated).unwrap().distance;
        assert!((of(&read) - of(&real)).abs() < 1e-9 * of(&real), "{} and {}", of(&read), of(&real));
    }

    #[test]
    fn other_files_are_refused() {
        let mean = npy("<f8", &[0.0, 1.0]);
        for (files, words) in [
            (vec![("mu.npy", mean.clone())], "holds no sigma.npy"),
            (vec![("mu.npy", mean.clone()), ("sigma.npy", npy("<f8", &[1.0; 3]))], "mu has 2 numbers and sigma 3"),
            (vec![("mu.npy", npy("<f4", &[0.0])), ("sigma.npy", mean.clone())], "mu.npy is not an array of float64"),
            (vec![("mu.npy", mean.clone()), ("sigma.npy", npy("<f8", &[-1.0; 4]))], "negative variances"),
            (vec![("mu.npy", npy("<f8", &[f64::NAN])), ("sigma.npy", mean)], "not finite"),
        ] {
            let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
            let problem = of_npz(&archive_of(&files)).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
        assert!(of_npz(b"no archive").is_err());
    }
}
