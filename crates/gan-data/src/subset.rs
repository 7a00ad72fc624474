//! A part of a data set: samples spread evenly over it, or a contiguous range.

use crate::images::{Inventory, Pixels};
use crate::{Dataset, Error, Skipped, Units};
use std::ops::Range;
use std::sync::Arc;

/// Some samples of another set.
pub struct Subset {
    whole: Arc<dyn Dataset>,
    range: Range<usize>,
    len: usize,
}

impl Subset {
    /// `len` samples at even distances, so that every class of a sorted set is represented; at most all of `whole`.
    pub fn of(whole: Arc<dyn Dataset>, len: usize) -> Self {
        Self { range: 0..whole.len(), len: len.min(whole.len()), whole }
    }

    /// The samples in `range`, which must lie within `whole`.
    pub fn range(whole: Arc<dyn Dataset>, range: Range<usize>) -> Self {
        Self { whole, len: range.len(), range }
    }

    fn index(&self, index: usize) -> usize {
        // In u128, since the product of two lengths may not fit.
        self.range.start + (index as u128 * self.range.len() as u128 / self.len.max(1) as u128) as usize
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> Vec<usize> {
        self.whole.shape()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        self.whole.write(self.index(index), out)
    }

    fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        self.check(index, out.len())?;
        self.whole.try_write(self.index(index), out)
    }

    fn label(&self, index: usize) -> Option<u32> {
        (index < self.len).then(|| self.whole.label(self.index(index)))?
    }

    fn classes(&self) -> &[String] {
        self.whole.classes()
    }

    fn inventory(&self) -> Option<&Inventory> {
        self.whole.inventory()
    }

    fn checksum(&self) -> Option<u32> {
        self.whole.checksum()
    }

    fn stored_size(&self, index: usize) -> Option<[usize; 2]> {
        (index < self.len).then(|| self.whole.stored_size(self.index(index)))?
    }

    fn stored(&self, index: usize) -> Result<Option<Pixels>, Error> {
        if index < self.len { self.whole.stored(self.index(index)) } else { Ok(None) }
    }

    fn units(&self) -> Option<&Units> {
        self.whole.units()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SyntheticSamples;

    #[test]
    fn samples_lie_at_even_distances() {
        let whole = Arc::new(SyntheticSamples::new(1, 10, [1, 1, 2]).unwrap().with_classes(10));
        let subset = Subset::of(Arc::clone(&whole) as Arc<dyn Dataset>, 4);
        assert_eq!((subset.len(), subset.classes().len()), (4, 10));
        assert_eq!([0, 1, 2, 3, 4].map(|i| subset.label(i)), [Some(0), Some(2), Some(5), Some(7), None]);
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        subset.write(2, &mut a).unwrap();
        whole.write(5, &mut b).unwrap();
        assert_eq!(a, b);
        assert!(subset.write(4, &mut a).is_err());
        assert_eq!(Subset::of(Arc::clone(&whole) as Arc<dyn Dataset>, 99).len(), 10);
        let stretch = Subset::range(whole, 4..7);
        assert_eq!([0, 1, 2, 3].map(|i| stretch.label(i)), [Some(4), Some(5), Some(6), None]);
    }
}
