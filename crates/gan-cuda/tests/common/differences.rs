//! How far results are from those expected.

/// Returns the largest difference of two results, relative to the largest number.
pub fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let one = |(a, b): (&Vec<f32>, &Vec<f32>)| {
        assert_eq!(a.len(), b.len());
        let scale = b.iter().fold(1e-20f32, |m, v| m.max(v.abs()));
        let error = a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() });
        // A maximum would ignore a NaN.
        error.fold(0f32, |m, v| if v.is_nan() || v > m { v } else { m }) / scale
    };
    a.iter().zip(b).map(one).fold(0f32, |m, v| if v.is_nan() || v > m { v } else { m })
}

/// Returns the largest distance of two results, relative to their length as vectors: a number on the other side of a kink counts little.
pub fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>();
    let one = |(a, b): (&Vec<f32>, &Vec<f32>)| {
        let off = square(&mut a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { a - b }));
        (off / square(&mut b.iter().copied()).max(1e-30)).sqrt() as f32
    };
    a.iter().zip(b).map(one).fold(0f32, |m, v| if v.is_nan() || v > m { v } else { m })
}
