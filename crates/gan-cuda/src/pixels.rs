//! Maps of pixels without weights.

use crate::Cuda;
use crate::conv::small_count;
use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut};
use gan_kernels::backend::{PixelMap, Pixels, Resample, size};

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
