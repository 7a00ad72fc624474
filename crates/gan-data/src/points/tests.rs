//! Compares points with their formulas.

use super::*;
use crate::datasets::{Curve, Curves, Grid, GridModes, Ring, RingModes};

fn all(points: &Points) -> Vec<Vec<f32>> {
    let size = points.pixels();
    (0..points.len())
        .map(|i| {
            let mut point = vec![f32::NAN; size];
            points.write(i, &mut point).unwrap();
            point
        })
        .collect()
}

#[test]
fn the_points_of_curve2d_lie_on_the_scaled_parabola() {
    let points = Points::new(&Curve::default(), 3).unwrap();
    assert_eq!(points.units.ranges(), [[-50.0, 50.0], [10.0, 2510.0]]);
    let mut sum = 0.0;
    for point in all(&points) {
        assert!((-1.0..=1.0).contains(&point[0]) && (point[1] - (2.0 * point[0] * point[0] - 1.0)).abs() < 1e-5);
        sum += f64::from(point[0]);
        let own = points.units.restored(&point);
        assert!((own[1] - (10.0 + own[0] * own[0])).abs() < 0.01);
    }
    assert!((sum / POINTS as f64).abs() < 0.01);
    assert!(points.write(POINTS, &mut [0.0; 2]).is_err() && points.write(0, &mut [0.0; 3]).is_err());
}

#[test]
fn several_curves_share_points_and_units() {
    let curves: Curves =
        serde_json::from_str(r#"{"x": [0, 10], "curves": [{"polynomial": [0, 1]}, {"polynomial": [20, -1]}]}"#)
            .unwrap();
    let points = Points::new(&Curve { curve: curves }, 1).unwrap();
    assert_eq!(points.units.ranges(), [[0.0, 10.0], [0.0, 20.0]]);
    let own: Vec<Vec<f32>> = all(&points).iter().map(|p| points.units.restored(p)).collect();
    let first = own.iter().filter(|p| (p[1] - p[0]).abs() < 1e-3).count();
    let second = own.iter().filter(|p| (p[1] - (20.0 - p[0])).abs() < 1e-3).count();
    assert!(first + second >= POINTS && first.abs_diff(second) < POINTS / 50, "{first} and {second}");
}

#[test]
fn curves_have_any_number_of_dimensions() {
    let text =
        r#"{"x": [-1, 1], "curves": [[{"polynomial": [0, 2]}, {"cosine": 3, "period": 4}, {"polynomial": [7]}]]}"#;
    let points = Points::new(&Curve { curve: serde_json::from_str(text).unwrap() }, 1).unwrap();
    assert_eq!(points.shape(), [4]);
    let own = points.units.restored(&all(&points)[5]);
    let x = f64::from(own[0]);
    let wanted = [x, 2.0 * x, 3.0 * (x * std::f64::consts::FRAC_PI_2).cos(), 7.0];
    assert!(own.iter().zip(wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{own:?} {wanted:?}");
}

#[test]
fn modes_have_the_positions_and_spread_of_pacgan() {
    let ring = Ring::default().modes().unwrap().centres;
    assert_eq!(ring.len(), 8);
    assert!(ring.iter().all(|[x, y]| (x.hypot(*y) - 1.0).abs() < 1e-12));
    let grid = Grid::default().modes().unwrap().centres;
    assert_eq!((grid[0], grid[24], grid.len()), ([-4.0, -4.0], [4.0, 4.0], 25));
    let both: [&dyn PointDistribution; 2] = [&Ring::default(), &Grid::default()];
    for distribution in both {
        let points = Points::new(distribution, 2).unwrap();
        let PointModes { centres: modes, sigma } = distribution.modes().unwrap();
        let mut counts = vec![0usize; modes.len()];
        let (mut squares, mut far) = (0.0, 0);
        for point in all(&points) {
            let own = points.units.restored(&point);
            let distance = |m: &[f64; 2]| (f64::from(own[0]) - m[0]).hypot(f64::from(own[1]) - m[1]);
            let (at, nearest) = modes.iter().map(distance).enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            counts[at] += 1;
            squares += nearest * nearest;
            far += usize::from(nearest > 3.0 * sigma);
        }
        let each = POINTS / modes.len();
        assert!(counts.iter().all(|n| n.abs_diff(each) < each / 5), "{counts:?}");
        // E|r|² = 2σ²; P(r > 3σ) = exp(−4.5) = 1.1 %.
        assert!((squares / POINTS as f64 / (2.0 * sigma * sigma) - 1.0).abs() < 0.03);
        assert!((far as f64 / POINTS as f64 - 0.0111).abs() < 0.002, "{far}");
    }
}

#[test]
fn impossible_shapes_are_refused_with_their_key() {
    let curves = |text: &str| Curve { curve: serde_json::from_str::<Curves>(text).unwrap() };
    let ragged = r#"{"curves": [{"polynomial": [1]}, [{"polynomial": [1]}, {"polynomial": [1]}]]}"#;
    let cases: [(&dyn PointDistribution, &str); 6] = [
        (&curves(r#"{"x": [5, 5], "curves": [{"polynomial": [1]}]}"#), "data.curve.x"),
        (&curves(r#"{"curves": []}"#), "data.curve.curves"),
        (&curves(ragged), "[1, 2] functions"),
        (&curves(r#"{"curves": [{"sine": 1, "period": 0}]}"#), "data.curve.curves"),
        (&Ring { ring: RingModes { modes: 0, ..RingModes::default() } }, "data.ring"),
        (&Grid { grid: GridModes { sigma: -1.0, ..GridModes::default() } }, "data.grid"),
    ];
    for (distribution, words) in cases {
        let message = Points::new(distribution, 1).unwrap_err().to_string();
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }
}
