//! Collective communication between processes that train one model (ranks).
//!
//! Every rank calls the same functions in the same order, and each call waits for all ranks. In reading order: [`Communicator`], the trait;
//! [`Single`], a single process; [`threads`](mod@threads), ranks as threads of one process; `mpi` (with the feature of that name), ranks that
//! `mpirun` or `srun` has started; `nccl`, sums between their GPUs; [`launch`], information about a process from these programs; [`Statistics`],
//! the sums of batch norm; [`error`].
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

pub mod error;
pub mod launch;
#[cfg(feature = "mpi")]
pub mod mpi;
#[cfg(feature = "nccl")]
pub mod nccl;
mod single;
mod statistics;
pub mod threads;

pub use error::Error;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
#[cfg(feature = "nccl")]
pub use nccl::Nccl;
pub use single::Single;
pub use statistics::Statistics;
pub use threads::Threads;

use candle_core::Tensor;
use std::fmt::Debug;

/// Collective communication as seen by one rank.
pub trait Communicator: Send + Sync + Debug {
    /// Returns the number of this rank, counted from 0. Rank 0 prints, logs and saves.
    fn rank(&self) -> usize;

    /// Returns the number of ranks.
    fn size(&self) -> usize;

    /// Replaces each number by its sum over all ranks, with the same bits on each of them and every time.
    ///
    /// # Errors
    /// [`Error::Lost`], here and below, if a rank is gone; [`Error::Differ`] if the ranks do not make the same calls.
    fn sum(&self, values: &mut [f32]) -> Result<(), Error>;

    /// Sums in double precision.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error>;

    /// Returns the sums over all ranks of f32 numbers on a device, if the ranks can sum without copies to the host.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn sum_tensor(&self, _values: &Tensor) -> Result<Option<Tensor>, Error> {
        Ok(None)
    }

    /// Returns the bytes of each rank, in the order of the ranks, on rank 0, and nothing on the others.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error>;

    /// Returns the bytes of rank 0 on every rank.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error>;

    /// Ends the other ranks too when this one cannot continue; if they are processes, also this one.
    fn abandon(&self) {}
}
