//! Errors of communication between ranks.

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
