//! Matrix products by the gemm crate, on slices whose lengths are checked: the one place that calls it.

use crate::storage::Real;

/// A `rows × cols` matrix in a slice, with the distances between neighbours.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// `data` as `rows × cols`, row after row.
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows}×{cols} matrix in a slice of another length");
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        let Self { data, rows, cols, row_stride, col_stride } = self;
        Self { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }
}

/// What happens to the numbers that stand in the result's slice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// They are overwritten.
    Fresh,
    /// The product is added to them.
    Sum,
}

/// Over how many threads one product may spread.
#[derive(Clone, Copy)]
pub(crate) enum Threads {
    /// The caller already keeps all threads busy.
    One,
    /// All of rayon's.
    All,
}

/// `to` (row after row) = or += `a`·`b`.
pub(crate) fn product<T: Real>(a: Matrix<T>, b: Matrix<T>, to: &mut [T], onto: Onto, threads: Threads) {
    assert_eq!(a.cols, b.rows, "inner sides of a product differ");
    assert_eq!(Some(to.len()), a.rows.checked_mul(b.cols), "a product's result has another length");
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    let beta = if onto == Onto::Sum { T::ONE } else { T::ZERO };
    // SAFETY: `Matrix` is only made by `new`, which checks that the slice holds rows·cols numbers, and by `t`, which swaps
    // sides and strides together; so every index i·row_stride + j·col_stride lies inside its slice. `to` has rows·cols
    // numbers (checked above), is borrowed mutably and thus overlaps neither input, and is fully initialised.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            to.as_mut_ptr(),
            1,
            b.cols as isize,
            onto == Onto::Sum,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            beta,
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}
