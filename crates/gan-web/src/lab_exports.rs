//! The functions of the laboratory that the page calls. Results are handed over as in [`crate::exports`].
// SAFETY of every block: as in `exports.rs`.

use crate::Lab;
use crate::exports::{bytes, keep};
use std::cell::RefCell;

thread_local! {
    static LAB: RefCell<Option<Lab>> = const { RefCell::new(None) };
}

/// Runs `f` on the laboratory and keeps its result.
fn with_lab<E: ToString>(f: impl FnOnce(&mut Lab) -> Result<Vec<f32>, E>) -> isize {
    keep(LAB.with_borrow_mut(|lab| {
        let lab = lab.as_mut().ok_or_else(|| "no laboratory is set up".to_string())?;
        f(lab).map(|numbers| bytes(&numbers)).map_err(|e| e.to_string())
    }))
}

/// Sets up a laboratory from settings in JSON. The result is [`Lab::about`].
///
/// # Safety
/// `at` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lab_new(at: *const u8, length: usize) -> isize {
    // SAFETY: see the top of the file.
    let text = unsafe { std::slice::from_raw_parts(at, length) };
    let lab = std::str::from_utf8(text).map_err(|e| e.to_string()).and_then(Lab::new);
    keep(lab.map(|lab| LAB.with_borrow_mut(|own| own.insert(lab).about().into_bytes())))
}

/// Trains ([`Lab::train`]). The result is f32: both losses, D(x), D(G(z)) before and after D's update, both gradient norms.
#[unsafe(no_mangle)]
pub extern "C" fn lab_train(rounds: usize, d: usize, g: usize) -> isize {
    with_lab(|lab| {
        lab.train(rounds, d, g).map(|round| {
            let all = round.losses.iter().chain(&round.judged).chain(&round.norms);
            all.map(|number| *number as f32).collect()
        })
    })
}

/// Returns [`Lab::points`].
#[unsafe(no_mangle)]
pub extern "C" fn lab_points() -> isize {
    with_lab(|lab| lab.points())
}

/// Returns [`Lab::features`].
#[unsafe(no_mangle)]
pub extern "C" fn lab_features() -> isize {
    with_lab(|lab| lab.features())
}

/// Returns [`Lab::surface`].
#[unsafe(no_mangle)]
pub extern "C" fn lab_surface(side: usize) -> isize {
    with_lab(|lab| lab.surface(side))
}

/// Returns [`Lab::mesh`].
#[unsafe(no_mangle)]
pub extern "C" fn lab_mesh(side: usize) -> isize {
    with_lab(|lab| lab.mesh(side))
}

/// Returns [`Lab::distances`].
#[unsafe(no_mangle)]
pub extern "C" fn lab_distances() -> isize {
    with_lab(|lab| lab.distances().map(|found| found.map(|d| d as f32).to_vec()))
}
