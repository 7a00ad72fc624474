//! Points in the plane as dots.

use crate::Error;
use crate::picture::{Colour, Picture};

/// Pixels of a side.
const SIDE: usize = 400;
/// The picture shows [−REACH, REACH] both ways; the data's range is [−1, 1].
const REACH: f32 = 1.25;

/// Dark dots for `points`, x to the right, y up, on white with grey lines through 0. Points beyond ±1.25 stand at the edge;
/// those that are not numbers are left out.
///
/// # Errors
/// None in practice: the picture's size is fixed.
pub fn scatter(points: &[[f32; 2]]) -> Result<Picture, Error> {
    let mut data = vec![255u8; SIDE * SIDE];
    for i in 0..SIDE {
        data[SIDE / 2 * SIDE + i] = 220;
        data[i * SIDE + SIDE / 2] = 220;
    }
    let place = |v: f32| (((v + REACH) / (2.0 * REACH) * SIDE as f32) as usize).clamp(1, SIDE - 2);
    for [x, y] in points.iter().filter(|p| p.iter().all(|v| !v.is_nan())) {
        let (column, row) = (place(*x), SIDE - 1 - place(*y));
        for (dr, dc) in (0..3).flat_map(|dr| (0..3).map(move |dc| (dr, dc))) {
            let dot = &mut data[(row + dr - 1) * SIDE + column + dc - 1];
            // Corners lighter, so that dots look round; where dots meet they darken.
            *dot = dot.saturating_sub(if dr != 1 && dc != 1 { 60 } else { 140 });
        }
    }
    Picture::new(Colour::Grey, [SIDE, SIDE], data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_where_their_points_are() {
        let picture = scatter(&[[0.5, 0.5], [9.0, f32::NAN], [f32::INFINITY, -7.0]]).unwrap();
        let at = |column: usize, row: usize| picture.data()[row * SIDE + column];
        assert_eq!((picture.width(), picture.height()), (SIDE, SIDE));
        assert!(at(280, 119) < 200 && at(279, 118) < 255);
        assert!(at(SIDE - 2, SIDE - 2) < 200, "a far point stands at the edge");
        assert_eq!(picture.data().iter().filter(|v| **v < 200).count(), 2 * 9);
    }
}
