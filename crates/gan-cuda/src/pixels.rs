//! Maps of pixels without weights.

use crate::Cuda;
use crate::conv::small_count;
use crate::launch::{Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, lock};
use gan_kernels::backend::{Memory, PixelMap, Pixels, Resample, Sides, size};
use std::sync::Arc;

/// A map of pixels, or its gradient, for which a table of weights is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Taps {
    by: Resample,
    input: Sides,
    output: Sides,
    is_grad: bool,
}

fn image(samples: usize, [h, w, c]: [usize; 3]) -> [usize; 4] {
    [samples, h, w, c]
}

#[track_caller]
fn assert_lengths(map: &PixelMap, x: usize, y: usize) {
    assert!(x == map.samples * size(map.input) && y == map.samples * size(map.output), "a map of pixels {map:?}");
}

impl Pixels for Cuda {
    fn resample(&self, map: &PixelMap, by: Resample, x: Slice<'_>, y: SliceMut<'_>) {
        assert_lengths(map, x.len, y.len);
        let [h, w, c] = map.output;
        let [from_h, from_w, _] = map.input;
        let (of, lanes) = Self::lanes(x.of, c, &[x.address, y.address]);
        let count = small_count(y.len / lanes);
        let shape = Shape::flat(y.len / lanes);
        match by {
            Resample::Upsample([down, across]) => {
                self.launch(&format!("upsample_{of}"), shape, arguments![x, &y, count, h, w, c, down, across]);
            }
            Resample::ZeroPad(padding) => {
                let at = [padding.top, padding.left].map(|v| -(v as i32));
                self.window_to(x, image(map.samples, map.input), &y, image(map.samples, map.output), at);
            }
            Resample::AvgPool([down, across]) => {
                let factor = 1.0 / (down * across) as f32;
                let all = arguments![x, &y, count, h, w, c, from_h, from_w, down, across, factor];
                self.launch(&format!("window_sum_{of}"), shape, all);
            }
            Resample::Bilinear(_) | Resample::BlurPool(_) => self.weighted(map, by, false, x, &y),
            Resample::PixelShuffle(side) => self.shuffle(side, map.output, x, &y, false),
        }
    }

    fn resample_grad(&self, map: &PixelMap, by: Resample, g: Slice<'_>, dx: SliceMut<'_>) {
        assert_lengths(map, dx.len, g.len);
        let [h, w, c] = map.input;
        let [from_h, from_w, _] = map.output;
        let (of, lanes) = Self::lanes(g.of, c, &[g.address, dx.address]);
        let count = small_count(dx.len / lanes);
        let shape = Shape::flat(dx.len / lanes);
        match by {
            Resample::Upsample([down, across]) => {
                let all = arguments![g, &dx, count, h, w, c, from_h, from_w, down, across, 1f32];
                self.launch(&format!("window_sum_{of}"), shape, all);
            }
            Resample::ZeroPad(padding) => {
                let at = [padding.top, padding.left].map(|v| v as i32);
                self.window_to(g, image(map.samples, map.output), &dx, image(map.samples, map.input), at);
            }
            Resample::AvgPool([down, across]) => {
                let factor = 1.0 / (down * across) as f32;
                let all = arguments![g, &dx, count, h, w, c, from_h, from_w, down, across, factor];
                self.launch(&format!("window_spread_{of}"), shape, all);
            }
            Resample::Bilinear(_) | Resample::BlurPool(_) => self.weighted(map, by, true, g, &dx),
            Resample::PixelShuffle(side) => self.shuffle(side, map.output, g, &dx, true),
        }
    }

    fn global_max_pool(&self, map: &PixelMap, x: Slice<'_>, y: SliceMut<'_>) {
        assert_lengths(map, x.len, y.len);
        let [h, w, c] = map.input;
        let name = format!("max_pool_{}", x.of.name());
        self.launch(&name, Shape::flat(y.len), arguments![x, &y, small_count(y.len), h * w, c]);
    }

    fn global_max_pool_grad(&self, map: &PixelMap, x: Slice<'_>, y: Slice<'_>, g: Slice<'_>, dx: SliceMut<'_>) {
        assert_lengths(map, x.len, y.len);
        assert!(g.len == y.len && dx.len == x.len, "a gradient has the size of its values");
        let [h, w, c] = map.input;
        let name = format!("max_pool_grad_{}", x.of.name());
        self.launch(&name, Shape::flat(y.len), arguments![x, y, g, &dx, small_count(y.len), h * w, c]);
    }
}

impl Cuda {
    /// Computes every pixel as a weighted sum of pixels.
    fn weighted(&self, map: &PixelMap, by: Resample, is_grad: bool, x: Slice<'_>, y: &SliceMut<'_>) {
        let [from, to] = if is_grad { [map.output, map.input] } else { [map.input, map.output] };
        let [h, w, c] = to;
        let (of, lanes) = Self::lanes(x.of, c, &[x.address, y.address]);
        let count = small_count(y.len / lanes);
        let taps = self.taps(Taps { by, input: map.input, output: map.output, is_grad });
        let all = arguments![x, y, count, h, w, c, from[0], from[1], self.slice(&taps)];
        self.launch(&format!("weighted_{of}"), Shape::flat(y.len / lanes), all);
    }

    /// Returns the table of a map's weights: for the rows and then for the columns, the first tap of each, and their end; then each tap's
    /// index and weight.
    fn taps(&self, of: Taps) -> Arc<Buffer> {
        if let Some(found) = lock(&self.inner.taps).get(&of) {
            return Arc::clone(found);
        }
        let mut table = vec![];
        let mut taps = vec![];
        for i in 0..2 {
            let axis = of.by.axis(i, of.input[i], of.output[i]).expect("a map of each axis by itself");
            let (axis, side) = match of.is_grad {
                true => (axis.transposed(of.input[i]), of.input[i]),
                false => (axis, of.output[i]),
            };
            for to in 0..side {
                table.push(taps.len() as u32 / 2);
                axis.taps(to).iter().for_each(|(at, weight)| taps.extend([*at as u32, weight.to_bits()]));
            }
            table.push(taps.len() as u32 / 2);
        }
        table.extend(taps);
        let table = Arc::new(self.upload_bits("a new map of pixels", &table));
        lock(&self.inner.taps).insert(of, Arc::clone(&table));
        table
    }

    /// Runs a pixel shuffle to images of these sides, or back.
    fn shuffle(&self, side: usize, [h, w, c]: Sides, x: Slice<'_>, y: &SliceMut<'_>, back: bool) {
        assert_eq!(x.of, y.of, "a shuffle has one number format");
        let all = arguments![x, y, small_count(y.len), h, w, c, side, i32::from(back)];
        self.launch(&format!("shuffle_{}", x.of.name()), Shape::flat(y.len), all);
    }
}
