//! The part of each batch that one process reads where several train together.

use std::ops::Range;

/// The part of each batch that one process of a group reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessShard {
    /// The process, counted from 0.
    pub rank: usize,
    /// Processes in the group, at least 1.
    pub ranks: usize,
}

impl ProcessShard {
    /// The whole batch, for a process alone.
    pub const WHOLE: Self = Self { rank: 0, ranks: 1 };

    /// Its samples among `whole`: the parts follow each other, and their sizes differ by one at most.
    pub fn range(self, whole: usize) -> Range<usize> {
        self.rank * whole / self.ranks..(self.rank + 1) * whole / self.ranks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_each_other_and_are_even() {
        for (whole, ranks) in [(128, 3), (7, 4), (3, 5), (10, 1)] {
            let all: Vec<Range<usize>> = (0..ranks).map(|rank| ProcessShard { rank, ranks }.range(whole)).collect();
            assert!(all.iter().cloned().flatten().eq(0..whole));
            let sizes: Vec<usize> = all.iter().map(Range::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
    }
}
