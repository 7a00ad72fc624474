//! A part of each batch, where several processes read it together.

use std::ops::Range;

/// Which of how many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Counted from 0.
    pub rank: usize,
    /// At least 1.
    pub ranks: usize,
}

impl Share {
    /// All of it.
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
    fn shares_follow_each_other_and_are_even() {
        for (whole, ranks) in [(128, 3), (7, 4), (3, 5), (10, 1)] {
            let all: Vec<Range<usize>> = (0..ranks).map(|rank| Share { rank, ranks }.range(whole)).collect();
            assert!(all.iter().cloned().flatten().eq(0..whole));
            let sizes: Vec<usize> = all.iter().map(Range::len).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
    }
}
