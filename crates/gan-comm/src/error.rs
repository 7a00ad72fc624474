//! What can go wrong between ranks.

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rank is gone.
    #[error("rank {rank} of {size} ended before the others; its own message, above, says why")]
    Lost {
        /// Which.
        rank: usize,
        /// Of how many.
        size: usize,
    },

    /// Ranks called different functions, or with numbers of different length.
    #[error(
        "the ranks do not do the same: rank {rank} came with {found}, rank 0 with {expected}; start all with the same command"
    )]
    Differ {
        /// The one that differs.
        rank: usize,
        /// With what it came.
        found: String,
        /// With what rank 0 came.
        expected: String,
    },

    /// The ranks cannot work together.
    #[error("{0}")]
    Refused(String),

    /// The library between the ranks cannot be used.
    #[error("{0}")]
    Library(String),
}
