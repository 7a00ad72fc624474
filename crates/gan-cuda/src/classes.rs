//! Layers that use each sample's class.
//!
//! Classes come from the host with every batch. A captured step reads them where [`Cuda::set_classes`] has put them.

use crate::Cuda;
use crate::conv::small_count;
use crate::launch::{Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type, lock};
use gan_kernels::backend::{Classes, Memory, PixelMap, size};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Classes that were sent last, and where they are, by their number.
pub(crate) type SentClasses = HashMap<usize, (Vec<u32>, Arc<Buffer>)>;

impl Cuda {
    /// Returns the classes of `samples` on the device, each below `known`.
    pub(crate) fn classes(&self, classes: &[u32], known: usize, samples: usize) -> Arc<Buffer> {
        assert!(classes.iter().all(|class| (*class as usize) < known), "classes {classes:?} of {known}");
        assert!(samples == 0 || !classes.is_empty(), "{samples} samples without classes");
        self.set_classes(classes)
    }

    /// Puts the classes of the next samples where captured steps read them: in the same place as those before that were as many.
    pub fn set_classes(&self, classes: &[u32]) -> Arc<Buffer> {
        match lock(&self.inner.classes).entry(classes.len()) {
            Entry::Occupied(mut known) => {
                let (values, buffer) = known.get_mut();
                if values != classes {
                    self.overwrite_bits(buffer, classes);
                    *values = classes.to_vec();
                }
                Arc::clone(buffer)
            }
            Entry::Vacant(new) => {
                let buffer = Arc::new(self.upload_bits("classes", classes));
                Arc::clone(&new.insert((classes.to_vec(), buffer)).1)
            }
        }
    }
}

#[track_caller]
pub(crate) fn assert_f32(parameters: &[Slice<'_>]) {
    assert!(parameters.iter().all(|slice| slice.of == Type::F32), "parameters are f32");
}

impl Classes for Cuda {
    fn concat_class(
        &self,
        map: &PixelMap,
        classes: Option<&[u32]>,
        rows: Option<Slice<'_>>,
        x: Slice<'_>,
        y: SliceMut<'_>,
    ) {
        let [h, w, c] = map.input;
        let wide = map.output[2];
        assert!(x.len == map.samples * size(map.input) && y.len == map.samples * size(map.output), "{map:?}");
        assert_eq!(x.of, y.of, "a concatenation has one number format");
        assert_f32(rows.as_slice());
        let known = rows.map_or(wide - c, |rows| rows.len / (wide - c).max(1));
        let count = classes.map_or(1, <[u32]>::len);
        let classes = classes.map(|classes| self.classes(classes, known, map.samples));
        let classes = classes.as_ref().map(|classes| self.slice(classes));
        let all = arguments![x, &y, small_count(y.len), h * w, c, wide, classes, count, rows];
        self.launch(&format!("concat_class_{}", x.of.name()), Shape::flat(y.len), all);
    }

    fn concat_class_grad(&self, map: &PixelMap, g: Slice<'_>, dx: SliceMut<'_>) {
        let [h, w, c] = map.input;
        let image = |channels| [map.samples, h, w, channels];
        self.window_to(g, image(map.output[2]), &dx, image(c), [0, 0]);
    }

    fn class_rows_grad(&self, map: &PixelMap, classes: &[u32], g: Slice<'_>, rows: SliceMut<'_>) {
        let [h, w, c] = map.input;
        let wide = map.output[2];
        let samples = map.samples;
        assert_eq!(g.len, samples * size(map.output), "{map:?}");
        assert_f32(&[rows.read()]);
        let found = self.classes(classes, rows.len / (wide - c).max(1), samples);
        let found = self.slice(&found);
        let all = arguments![g, &rows, small_count(rows.len), samples, h * w, c, wide, found, classes.len()];
        self.launch(&format!("class_rows_grad_{}", g.of.name()), Shape::flat(rows.len), all);
    }

    fn projection(&self, classes: &[u32], [weight, embed]: [Slice<'_>; 2], x: Slice<'_>, y: SliceMut<'_>) {
        let features = weight.len;
        assert!(x.len == y.len * features && x.of == y.of, "a projection of {x:?} by {weight:?}");
        assert_f32(&[weight, embed]);
        let found = self.classes(classes, embed.len / features.max(1), y.len);
        let found = self.slice(&found);
        let all = arguments![x, weight, embed, &y, small_count(y.len), features, found, classes.len()];
        self.launch(&format!("projection_{}", x.of.name()), Shape::flat(y.len), all);
    }

    fn projection_input_grad(&self, classes: &[u32], [weight, embed]: [Slice<'_>; 2], g: Slice<'_>, dx: SliceMut<'_>) {
        let features = weight.len;
        assert!(dx.len == g.len * features && dx.of == g.of, "a projection's gradient {g:?} by {weight:?}");
        assert_f32(&[weight, embed]);
        let found = self.classes(classes, embed.len / features.max(1), g.len);
        let found = self.slice(&found);
        let all = arguments![g, weight, embed, &dx, small_count(dx.len), features, found, classes.len()];
        self.launch(&format!("projection_input_grad_{}", g.of.name()), Shape::flat(dx.len), all);
    }

    fn projection_grad(&self, classes: Option<&[u32]>, x: Slice<'_>, g: Slice<'_>, rows: SliceMut<'_>) {
        let samples = g.len;
        let features = (x.len / samples.max(1)).max(1);
        assert!(x.len == samples * features && x.of == g.of, "a projection's gradient {g:?} by {x:?}");
        assert_f32(&[rows.read()]);
        let count = classes.map_or(1, <[u32]>::len);
        let found = classes.map(|classes| self.classes(classes, rows.len / features, samples));
        let found = found.as_ref().map(|found| self.slice(found));
        let all = arguments![x, g, &rows, small_count(rows.len), samples, features, found, count];
        self.launch(&format!("projection_grad_{}", x.of.name()), Shape::flat(rows.len), all);
    }
}
