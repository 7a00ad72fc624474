//! The pyramid against its definition, and distances that see texture.

use super::*;
use candle_core::Device;

/// Random images `[n, c, side, side]` whose pixels are means over `soft` × `soft` pixels of noise.
fn images(seed: u64, [n, c, side]: [usize; 3], soft: usize) -> Tensor {
    let mut rng = Rng::new(seed);
    let wide = side + soft - 1;
    let mut values = Vec::new();
    for _ in 0..n * c {
        let noise: Vec<f32> = (0..wide * wide).map(|_| rng.normal()).collect();
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let area = (0..soft * soft).map(|i| noise[(y + i / soft) * wide + x + i % soft]);
            values.push(area.sum::<f32>() / soft as f32);
        }
    }
    Tensor::from_vec(values, (n, c, side, side), &Device::Cpu).unwrap()
}

fn of(images: &Tensor) -> Patches {
    let mut patches = Patches::default();
    patches.push(images, &(0..images.dims()[0]).collect::<Vec<_>>()).unwrap();
    patches
}

fn mean(real: &Patches, generated: &Patches) -> f64 {
    let levels = distances(real, generated, &mut Rng::new(3)).unwrap();
    levels.iter().sum::<f64>() / levels.len() as f64
}

#[test]
fn levels_end_at_16_and_add_up_to_the_image() {
    assert_eq!(sizes([64, 64]), [[64, 64], [32, 32], [16, 16]]);
    assert_eq!(sizes([33, 50]), [[33, 50], [17, 25]]);
    assert_eq!(sizes([16, 99]), [[16, 99]]);
    for (h, w) in [(64, 64), (33, 50), (8, 8)] {
        let mut rng = Rng::new(1);
        let image: Vec<f32> = (0..2 * h * w).map(|_| rng.normal()).collect();
        let mut levels = pyramid(&image, [h, w]);
        let last = levels.pop().unwrap();
        let (mut sum, mut size) = (last.planes, last.size);
        for level in levels.iter().rev() {
            sum = up(&sum, size, level.size).iter().zip(&level.planes).map(|(a, b)| a + b).collect();
            size = level.size;
        }
        assert!(sum.iter().zip(&image).all(|(a, b)| (a - b).abs() < 1e-5), "{h}×{w}");
    }
}

#[test]
fn filters_keep_constant_images() {
    let constant = vec![0.7; 3 * 20 * 17];
    let near = |values: Vec<f32>| values.iter().all(|x| (x - 0.7).abs() < 1e-6);
    assert!(near(filtered(&constant, [20, 17])) && near(down(&constant, [20, 17])));
    assert!(near(up(&down(&constant, [20, 17]), [10, 9], [20, 17])));
}

#[test]
fn channels_are_normalized_over_all_patches() {
    let patches = normalized(&of(&images(1, [40, 3, 16], 2)).levels[0]).unwrap();
    for c in 0..3 {
        let values: Vec<f64> = patches.rows().flat_map(|row| &row[c * 49..][..49]).map(|x| f64::from(*x)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5, "{mean} {square}");
    }
}

#[test]
fn softer_images_are_further_away_than_others_of_the_same_texture() {
    let real = of(&images(1, [200, 1, 32], 1));
    let same = mean(&real, &of(&images(2, [200, 1, 32], 1)));
    let softer = mean(&real, &of(&images(2, [200, 1, 32], 4)));
    assert!(softer > 1.4 * same, "{same} {softer}");
    assert_eq!(mean(&real, &real), 0.0);
}

#[test]
fn patches_do_not_depend_on_batches() {
    let all = images(1, [10, 3, 32], 1);
    let mut parts = Patches::default();
    parts.push(&all.narrow(0, 0, 4).unwrap(), &[0, 1, 2, 3]).unwrap();
    parts.push(&all.narrow(0, 4, 6).unwrap(), &[0, 1, 2, 3, 4, 5]).unwrap();
    assert_eq!(parts.levels, of(&all).levels);
    assert_eq!(parts.levels[1].dim(), 3 * 49);
    assert_eq!(parts.levels[1].len(), 80);
}

#[test]
fn images_without_patches_or_of_several_sizes_are_an_error() {
    let message = |generated: &Patches| {
        distances(&of(&images(1, [5, 1, 16], 1)), generated, &mut Rng::new(1)).unwrap_err().to_string()
    };
    assert!(message(&of(&images(1, [5, 1, 6], 1))).contains("at least 7×7"));
    assert!(message(&of(&images(1, [5, 1, 32], 1))).contains("different sizes"));
    let mut mixed = of(&images(1, [5, 1, 16], 1));
    mixed.push(&images(1, [5, 1, 20], 1), &[0]).unwrap();
    assert!(message(&mixed).contains("generated images: they have different sizes"));
}
