//! Collective communication between processes that train one model (ranks).
//!
//! Every rank calls the same functions in the same order, and each call waits for all ranks. In reading order: [`Communicator`], the trait;
//! [`Single`], a single process; [`threads`](mod@threads), ranks as threads of one process; `Mpi` (with the feature `mpi`), ranks that
//! `mpirun` or `srun` has started; `Nccl`, sums between their GPUs; [`launch`], information about a process from these programs;
//! [`Statistics`], the sums of batch norm.
//!
//! ```
//! use gan_comm::{Communicator, threads};
//!
//! let sums = threads::run(3, |team| {
//!     let mut values = [team.rank() as f32, 1.0];
//!     team.sum(&mut values)?;
//!     Ok(values)
//! })?;
//! assert_eq!(sums, [[3.0, 3.0]; 3]);
//! # Ok::<(), gan_comm::Error>(())
//! ```

pub mod launch;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
pub mod threads;

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
#[cfg(feature = "nccl")]
pub use nccl::Nccl;

use candle_core::Tensor;
use gan_kernels::Sums;
use std::fmt::Debug;
use std::sync::Arc;

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank is gone.
    #[error("rank {rank} of {size} ended before the others; its own message, above, says why")]
    Lost {
        /// Number of the lost rank.
        rank: usize,
        /// Number of ranks.
        size: usize,
    },
    /// Ranks called different functions, or with numbers of different length.
    #[error(
        "the ranks do not do the same: rank {rank} came with {found}, rank 0 with {expected}; start all with the same command"
    )]
    Differ {
        /// Rank that differs.
        rank: usize,
        /// Call of that rank.
        found: String,
        /// Call of rank 0.
        expected: String,
    },
    /// The ranks cannot work together.
    #[error("{0}")]
    Refused(String),
    /// The communication library cannot be used.
    #[error("{0}")]
    Library(String),
}

/// Collective communication as seen by one rank. Each call fails with [`Error::Lost`] if a rank is gone, and with [`Error::Differ`] if the
/// ranks do not make the same calls.
pub trait Communicator: Send + Sync + Debug {
    /// Returns the number of this rank, counted from 0. Rank 0 prints, logs and saves.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn size(&self) -> usize;

    /// Replaces each number by its sum over all ranks, with the same bits on each of them and every time.
    fn sum(&self, values: &mut [f32]) -> Result<(), Error>;

    /// Sums in double precision.
    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error>;

    /// Returns the sums over all ranks of f32 numbers on a device, if the ranks can sum without copies to the host.
    fn sum_tensor(&self, _values: &Tensor) -> Result<Option<Tensor>, Error> {
        Ok(None)
    }

    /// Returns the bytes of each rank, in the order of the ranks, on rank 0, and nothing on the others.
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error>;

    /// Returns the bytes of rank 0 on every rank.
    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error>;

    /// Ends the other ranks too when this one cannot continue; if they are processes, also this one.
    fn abandon(&self) {}
}

/// A single process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Single;

impl Communicator for Single {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _: &mut [f32]) -> Result<(), Error> {
        Ok(())
    }

    fn sum_wide(&self, _: &mut [f64]) -> Result<(), Error> {
        Ok(())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(vec![bytes.to_vec()])
    }

    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(bytes.to_vec())
    }
}

/// Sums of batch norm's statistics over the batches of all ranks.
#[derive(Clone, Debug)]
pub struct Statistics(pub Arc<dyn Communicator>);

impl Sums for Statistics {
    fn sum(&self, values: &mut [f64]) {
        // Kernels cannot return errors about ranks; the next sum of gradients reports the problem.
        if self.0.sum_wide(values).is_err() {
            values.fill(f64::NAN);
        }
    }
}
