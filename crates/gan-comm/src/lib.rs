//! What processes that train one model (ranks) say to each other.
//!
//! Every rank calls the same functions in the same order; each call waits for all. In reading order: [`Communicator`], the trait;
//! [`Single`], a process alone; [`threads`](mod@threads), ranks as threads of one process; `mpi` (with the feature of that name), ranks that `mpirun`
//! or `srun` has started; `nccl`, sums between their GPUs; [`launch`], what those say of a process; [`Statistics`], what batch norm needs of ranks; [`error`].
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

/// One rank's way to all others.
pub trait Communicator: Send + Sync + Debug {
    /// Which of the ranks this is, counted from 0. Rank 0 prints, logs and saves.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn size(&self) -> usize;

    /// Each number becomes its sum over all ranks: the same bits on each of them, and every time.
    ///
    /// # Errors
    /// [`Error::Lost`], here as below, where a rank is gone; [`Error::Differ`] where the ranks do not do the same.
    fn sum(&self, values: &mut [f32]) -> Result<(), Error>;

    /// The same in double precision.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn sum_wide(&self, values: &mut [f64]) -> Result<(), Error>;

    /// The sums over all ranks of f32 numbers that lie on a device, where the ranks have a shorter way than over the host.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn sum_tensor(&self, _values: &Tensor) -> Result<Option<Tensor>, Error> {
        Ok(None)
    }

    /// What each rank gives, in the order of the ranks, on rank 0; on the others nothing.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error>;

    /// What rank 0 gives, on every rank.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn broadcast(&self, bytes: &[u8]) -> Result<Vec<u8>, Error>;

    /// Ends the other ranks too, where this one cannot go on; where they are processes, this one with them.
    fn abandon(&self) {}
}
