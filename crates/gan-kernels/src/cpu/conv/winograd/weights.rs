//! Weights for Winograd's products: the filter of every phase, transformed and packed in panels.

use super::plan::Slide;
use super::transform::{MOST, Tile, store_words, taps2};
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{APART, Format, PANEL};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::marker::PhantomData;

/// Returns the distance between the panels of two filter points, in words.
pub(super) fn point_words<P: Format>([k, n]: [usize; 2]) -> usize {
    k.div_ceil(P::PAIR) * n.next_multiple_of(PANEL) + APART
}

/// Returns the number of words of the packed filters of all phases.
pub(super) fn packed_len<P: Format, W: Tile>(slide: &Slide) -> usize {
    slide.phases().count() * W::ALL * point_words::<P>(slide.channels)
}

/// Packs taps-major weights `[tap][k][n]` -> `[phase][point][panel][k words][32]`.
pub(super) fn pack<P: Format, W: Tile>(level: Level, slide: &Slide, taps_major: &[f32]) -> Buffer {
    let [k, n] = slide.channels;
    let points = W::ALL;
    let phases: Vec<_> = slide.phases().map(|p| p.taps).collect();
    let panels = n.div_ceil(PANEL);
    assert!(taps_major.len() >= slide.weights(), "weights for all phases");
    let mut packed = Buffer::any(packed_len::<P, W>(slide));
    let to = Shared::new(&mut packed);
    each(phases.len() * panels, |i| {
        let phase = i / panels;
        let panel = i % panels;
        let job = PackPanel::<P, W> {
            taps: phases[phase],
            from: taps_major,
            k,
            n,
            panel,
            to: to.ahead(phase * points * point_words::<P>([k, n])).get(),
            kind: PhantomData,
        };
        // SAFETY: there are as many weights as the phases read, as checked above. The parts of the phases follow each other in `packed`,
        // and each task writes its own panel of its own phase.
        unsafe { level.run(job) }
    });
    packed
}

struct PackPanel<'a, P, W> {
    taps: [[usize; 3]; 3],
    from: &'a [f32],
    k: usize,
    n: usize,
    panel: usize,
    to: *mut f32,
    kind: PhantomData<(P, W)>,
}

impl<P: Format, W: Tile> PackPanel<'_, P, W> {
    /// Returns the transformed filter of channel `c` of the source and sixteen channels of the target.
    #[inline(always)]
    unsafe fn filter<S: Simd>(&self, c: usize, column: usize) -> [[S; MOST]; MOST] {
        // SAFETY: loads stay inside row (tap, c) of `from`.
        unsafe {
            let mut g = [[S::zero(); 3]; 3];
            if c < self.k && column < self.n {
                let lanes = LANES.min(self.n - column);
                for (a, g) in g.iter_mut().enumerate().take(W::TAPS) {
                    for (b, g) in g.iter_mut().enumerate().take(W::TAPS) {
                        let from = self.from.as_ptr().add((self.taps[a][b] * self.k + c) * self.n + column);
                        *g = S::load_upto(from, lanes);
                    }
                }
            }
            taps2::<S, W>(&g)
        }
    }
}

impl<P: Format, W: Tile> Job for PackPanel<'_, P, W> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let words = self.k.div_ceil(P::PAIR);
        let point = point_words::<P>([self.k, self.n]);
        for word in 0..words {
            for half in 0..2 {
                let column = self.panel * PANEL + half * LANES;
                // SAFETY: panel `panel` of every point has room for `words` rows of 32.
                unsafe {
                    let first = self.filter::<S>(word * P::PAIR, column);
                    let second = if P::PAIR == 2 { self.filter::<S>(word * P::PAIR + 1, column) } else { first };
                    let to = self.to.add((self.panel * words + word) * PANEL + half * LANES);
                    store_words::<S, P, W>(&first, &second, to, point);
                }
            }
        }
    }
}
