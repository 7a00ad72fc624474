//! A transformation of each image of a batch.

use crate::Cuda;
use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut, Type};
use gan_kernels::backend::size;
use gan_kernels::ops::{ImageLayout, ImageTransform};

impl Cuda {
    /// Transforms images, or computes the gradient by them from that by the transformed ones.
    pub(crate) fn transform(&self, layout: &ImageLayout, by: Slice<'_>, x: Slice<'_>, y: &SliceMut<'_>, is_grad: bool) {
        let samples = by.len / ImageTransform::LEN;
        assert_eq!(by.of, Type::F32, "transformations are f32");
        assert!(layout.is_channels_last, "images on a device are channels-last");
        assert!(x.len == samples * size(layout.sides) && y.len == x.len && y.of == x.of, "{layout:?}: {x:?}, {y:?}");
        if x.len == 0 {
            return;
        }
        let shape = Shape { grid: (samples as u32, 1, 1), block: (256, 1, 1), shared: 0 };
        let [h, w, c] = layout.sides;
        let all = arguments![x, y, by, h, w, c, layout.colors, i32::from(is_grad)];
        self.launch(&format!("transform_images_{}", x.of.name()), shape, all);
    }
}
