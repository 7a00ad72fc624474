//! Samples as bytes, for files and screens.

use candle_core::{DType, Device, Result, Tensor, bail};

/// Returns the pixels of each image as bytes: x `[N, C, H, W]` in [−1, 1] -> N times H·W·C bytes, row by row, with the channels of a pixel
/// beside each other, as image encoders expect them.
///
/// A value becomes round((x + 1)·127.5), limited to 0 to 255, as in the pictures that `gan generate` writes.
///
/// # Errors
/// If x has another number of axes.
pub fn pixels(images: &Tensor) -> Result<Vec<Vec<u8>>> {
    let [count, channels, height, width] = images.dims()[..] else {
        bail!("pixels are those of images [N, C, H, W], got {:?}", images.dims());
    };
    let rows = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.permute((0, 2, 3, 1))?.flatten_all()?;
    let bytes: Vec<u8> = rows.to_vec1::<f32>()?.iter().map(|x| ((x + 1.0) * 127.5).round() as u8).collect();
    let size = (channels * height * width).max(1);
    let mut images: Vec<Vec<u8>> = bytes.chunks_exact(size).map(<[u8]>::to_vec).collect();
    images.resize(count, vec![]);
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_a_pixel_are_side_by_side() {
        let x = Tensor::new(&[-1f32, 1.0, 0.0, -0.5, 2.0, -3.0, 0.25, 0.0], &Device::Cpu).unwrap();
        let found = pixels(&x.reshape((1, 2, 2, 2)).unwrap()).unwrap();
        assert_eq!(found, [[0, 255, 255, 0, 128, 159, 64, 128]]);
        assert_eq!(pixels(&x.reshape((4, 1, 1, 2)).unwrap()).unwrap()[1], [128, 64]);
        let problem = pixels(&x).unwrap_err().to_string();
        assert!(problem.contains("got [8]"), "{problem}");
    }
}
