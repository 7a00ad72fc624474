//! The table's 3×3 windows over channels-last images; what lies beyond the edges is left out.

use super::table::Pool;
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;

impl Pool {
    /// One side of the output.
    pub fn side(self, input: usize) -> usize {
        if self == Self::MaxHalve { (input - 3) / 2 + 1 } else { input }
    }

    /// The inputs that make output `at`, along one side.
    fn window(self, at: usize, side: usize) -> Range<usize> {
        match self {
            Self::MaxHalve => 2 * at..2 * at + 3,
            Self::MaxSame | Self::MeanSame => at.saturating_sub(1)..(at + 2).min(side),
        }
    }

    /// x `[N, H, W, C]` -> `[N, H', W', C]`, f32 on the CPU.
    ///
    /// # Errors
    /// From candle.
    pub fn run(self, x: &Tensor) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let (oh, ow) = (self.side(h), self.side(w));
        let values = x.flatten_all()?.to_vec1::<f32>()?;
        let mut out = vec![0.0; n * oh * ow * c];
        out.par_chunks_exact_mut(ow * c).enumerate().for_each(|(row, out)| {
            let image = &values[row / oh * h * w * c..][..h * w * c];
            let rows = self.window(row % oh, h);
            for (at, out) in out.chunks_exact_mut(c).enumerate() {
                self.pixel(image, w, rows.clone(), self.window(at, w), out);
            }
        });
        Tensor::from_vec(out, (n, oh, ow, c), &Device::Cpu)
    }

    /// Every channel of one output pixel.
    fn pixel(self, image: &[f32], width: usize, rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        let (c, count) = (out.len(), (rows.len() * columns.len()) as f32);
        let places = rows.flat_map(|y| columns.clone().map(move |x| y * width + x));
        let mut pixels = places.map(|place| &image[place * c..][..c]);
        if let Some(first) = pixels.next() {
            out.copy_from_slice(first);
        }
        for pixel in pixels {
            match self {
                Self::MeanSame => out.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value),
                _ => out.iter_mut().zip(pixel).for_each(|(most, value)| *most = most.max(*value)),
            }
        }
        if self == Self::MeanSame {
            out.iter_mut().for_each(|sum| *sum /= count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pool: Pool) -> Vec<f32> {
        // Two channels, the second the first's negative: 0 … 8 in rows of three.
        let values: Vec<f32> = (0..9).flat_map(|i| [i as f32, -(i as f32)]).collect();
        let x = Tensor::from_vec(values, (1, 3, 3, 2), &Device::Cpu).unwrap();
        pool.run(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn edges_count_only_what_is_there() {
        let mean = run(Pool::MeanSame);
        // (0 + 1 + 3 + 4) / 4, (0 + … + 5) / 6, and the whole image's mean in the middle.
        assert_eq!((mean[0], mean[2], mean[8], mean[9]), (2.0, 2.5, 4.0, -4.0));
        let most = run(Pool::MaxSame);
        assert_eq!((most[0], most[1], most[8], most[9], most[17]), (4.0, 0.0, 8.0, 0.0, -4.0));
    }

    #[test]
    fn halving_stays_inside() {
        assert_eq!(run(Pool::MaxHalve), [8.0, 0.0]);
        assert_eq!([147, 71, 35, 17].map(|side| Pool::MaxHalve.side(side)), [73, 35, 17, 8]);
    }
}
