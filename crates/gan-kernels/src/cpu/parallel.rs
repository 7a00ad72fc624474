//! Distribution of work over rayon's threads, if it is large enough.

use super::buffer::Shared;
use rayon::prelude::*;
use std::cell::Cell;

thread_local! {
    /// Whether this thread does all of its work itself.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f(0)` … `f(n - 1)`, over all threads if there are several and the work is large enough.
pub(crate) fn each(n: usize, f: impl Fn(usize) + Sync + Send) {
    if n <= 1 || ALONE.get() || rayon::current_num_threads() == 1 {
        (0..n).for_each(f);
    } else {
        (0..n).into_par_iter().for_each(f);
    }
}

/// Returns `f(0)` … `f(n - 1)` in this order, over all threads as [`each`].
pub(crate) fn map<T: Send>(n: usize, f: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if n <= 1 || ALONE.get() || rayon::current_num_threads() == 1 {
        (0..n).map(f).collect()
    } else {
        (0..n).into_par_iter().map(f).collect()
    }
}

/// Calls `f(sample, its `len` numbers)` for each sample, over all threads.
pub(crate) fn each_sample(samples: usize, len: usize, to: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync + Send) {
    assert_eq!(to.len(), samples * len, "a part for each sample");
    let to = Shared::new(to);
    each(samples, |sample| {
        // SAFETY: each sample has a part, as checked above, and only this task uses it.
        f(sample, unsafe { std::slice::from_raw_parts_mut(to.ahead(sample * len).get(), len) });
    });
}

/// Multiply-adds below which waking other threads costs more than it saves.
const WORTH: usize = 1 << 20;

/// Runs `f`, which has about `work` multiply-adds: small work in this thread alone, large work inside the pool from the beginning, so that
/// its parallel parts start without waking the pool each time.
pub(crate) fn with_work<R: Send>(work: usize, f: impl FnOnce() -> R + Send) -> R {
    if work >= WORTH {
        return if rayon::current_num_threads() == 1 { f() } else { rayon::join(f, || ()).0 };
    }
    /// Restores the old value, also if `f` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restore = Restore(ALONE.replace(true));
    f()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn everything_is_done_once_and_small_work_by_this_thread() {
        let sum = AtomicUsize::new(0);
        each(1000, |i| _ = sum.fetch_add(i, Ordering::Relaxed));
        let here = std::thread::current().id();
        with_work(10, || each(100, |_| assert_eq!(std::thread::current().id(), here)));
        with_work(usize::MAX, || each(1000, |i| _ = sum.fetch_add(i, Ordering::Relaxed)));
        assert_eq!(sum.into_inner(), 2 * 499_500);
        assert!(map(1000, |i| 2 * i).into_iter().eq((0..2000).step_by(2)));
        assert!(!ALONE.get());
    }
}
