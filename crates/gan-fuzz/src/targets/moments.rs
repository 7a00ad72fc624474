//! Statistics of real samples' features: a `.npz` file of their mean and covariance, as pytorch-fid stores it.

use crate::target::{Memory, Outcome, Seed, Target};
use gan_metrics::{Moments, frechet};

/// Reads statistics and computes their Fréchet distance to themselves.
pub const TARGET: Target = Target {
    name: "moments",
    body,
    seeds,
    tokens: TOKENS,
    // Matrix products allocate 64 MiB for packed blocks, whatever the size of the matrices.
    names: Vec::new,
    memory: Memory { mebibytes: 80, per_byte: 64 },
};

const TOKENS: &[&str] = &[
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "mu.npy",
    "sigma.npy",
    "NUMPY\u{1}\u{0}",
    "'<f8'",
    "'<f4'",
    "'fortran_order': True",
    "'shape': (2, 2)",
];

/// Maximum number of dimensions, because distances in more dimensions take too long.
const DIMENSIONS: usize = 16;

fn body(input: &[u8]) -> Outcome {
    let moments = Moments::from_npz(input)?;
    if moments.dim() <= DIMENSIONS {
        frechet::distance(&moments, &moments)?;
    }
    Ok(())
}

fn seeds() -> Vec<Seed> {
    vec![("one", npz(1)), ("four", npz(4))]
}

/// Returns a file of `dim` features with the identity as covariance.
fn npz(dim: usize) -> Vec<u8> {
    let mean: Vec<f64> = (0..dim).map(|i| i as f64 / 2.0).collect();
    let covariance: Vec<f64> = (0..dim * dim).map(|at| f64::from(u8::from(at / dim == at % dim))).collect();
    let mut file = vec![];
    let mut directory = vec![];
    for (name, shape, values) in
        [("mu.npy", format!("({dim},)"), mean), ("sigma.npy", format!("({dim}, {dim})"), covariance)]
    {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let content =
            [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &data].concat();
        let sizes = [(content.len() as u32).to_le_bytes(); 2].concat();
        let length = (name.len() as u16).to_le_bytes();
        let start = (file.len() as u32).to_le_bytes();
        file.extend([b"PK\x03\x04", &[0; 14][..], &sizes, &length, &[0; 2], name.as_bytes(), &content].concat());
        directory.extend([b"PK\x01\x02", &[0; 16][..], &sizes, &length, &[0; 12], &start, name.as_bytes()].concat());
    }
    let start = (file.len() as u32).to_le_bytes();
    let size = (directory.len() as u32).to_le_bytes();
    [&file[..], &directory, b"PK\x05\x06", &[0; 4], &[2, 0, 2, 0], &size, &start, &[0; 2]].concat()
}
