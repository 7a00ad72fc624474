//! Kernels of layers that use each sample's class. Samples of several batches follow each other, so that sample i has the class i modulo
//! their number.

use super::Cpu;
use crate::backend::{Classes, PixelMap, size};

impl Classes for Cpu {
    fn concat_class(&self, map: &PixelMap, classes: Option<&[u32]>, rows: Option<&[f32]>, x: &[f32], y: &mut [f32]) {
        let [_, _, c] = map.input;
        let [_, _, wide] = map.output;
        let more = wide - c;
        let samples = x.chunks_exact(size(map.input).max(1)).zip(y.chunks_exact_mut(size(map.output)));
        for (sample, (x, y)) in samples.enumerate() {
            let class = classes.map(|classes| classes[sample % classes.len()] as usize);
            for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(wide)) {
                let (same, row) = y.split_at_mut(c);
                same.copy_from_slice(x);
                match (class, rows) {
                    (Some(class), Some(rows)) => row.copy_from_slice(&rows[class * more..][..more]),
                    _ => row.fill(0.0),
                }
                if let (Some(class), None) = (class, rows) {
                    row[class] = 1.0;
                }
            }
        }
    }

    fn concat_class_grad(&self, map: &PixelMap, g: &[f32], dx: &mut [f32]) {
        let [c, wide] = [map.input[2], map.output[2]];
        g.chunks_exact(wide).zip(dx.chunks_exact_mut(c)).for_each(|(g, dx)| dx.copy_from_slice(&g[..c]));
    }

    fn class_rows_grad(&self, map: &PixelMap, classes: &[u32], g: &[f32], rows: &mut [f32]) {
        let [c, wide] = [map.input[2], map.output[2]];
        let more = wide - c;
        rows.fill(0.0);
        for (sample, g) in g.chunks_exact(size(map.output)).enumerate() {
            let row = &mut rows[classes[sample % classes.len()] as usize * more..][..more];
            g.chunks_exact(wide).for_each(|g| row.iter_mut().zip(&g[c..]).for_each(|(to, g)| *to += g));
        }
    }

    fn projection(&self, classes: &[u32], [weight, embed]: [&[f32]; 2], x: &[f32], y: &mut [f32]) {
        let features = weight.len();
        for (sample, (x, y)) in x.chunks_exact(features).zip(y).enumerate() {
            let row = &embed[classes[sample % classes.len()] as usize * features..][..features];
            *y = x.iter().zip(weight).zip(row).map(|((x, w), e)| x * (w + e)).sum();
        }
    }

    fn projection_input_grad(&self, classes: &[u32], [weight, embed]: [&[f32]; 2], g: &[f32], dx: &mut [f32]) {
        let features = weight.len();
        for (sample, (dx, g)) in dx.chunks_exact_mut(features).zip(g).enumerate() {
            let row = &embed[classes[sample % classes.len()] as usize * features..][..features];
            dx.iter_mut().zip(weight).zip(row).for_each(|((dx, w), e)| *dx = g * (w + e));
        }
    }

    fn projection_grad(&self, classes: Option<&[u32]>, x: &[f32], g: &[f32], rows: &mut [f32]) {
        let features = x.len() / g.len().max(1);
        rows.fill(0.0);
        for (sample, (x, g)) in x.chunks_exact(features.max(1)).zip(g).enumerate() {
            let row = classes.map_or(0, |classes| classes[sample % classes.len()] as usize);
            rows[row * features..][..features].iter_mut().zip(x).for_each(|(to, x)| *to += g * x);
        }
    }
}
