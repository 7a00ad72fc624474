//! The functions that the page calls. Addresses are those of the module's memory; texts and results stay valid until the next call.
//!
//! A function that can fail returns the length of its result, or −1 if it failed; [`gan_result`] is the address of the result, or of the error's text,
//! whose length [`gan_length`] returns.
// SAFETY of every block: the page passes the address of a block that `gan_alloc` returned, with at most its length, and nothing else refers to it
// during the call. The module has one thread.

use crate::Session;
use std::cell::RefCell;

/// What the module keeps between calls.
#[derive(Default)]
struct State {
    session: Option<Session>,
    result: Vec<u8>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Allocates `length` bytes, aligned for any number.
#[unsafe(no_mangle)]
pub extern "C" fn gan_alloc(length: usize) -> *mut u8 {
    Box::into_raw(vec![0u64; length.div_ceil(8)].into_boxed_slice()).cast()
}

/// Frees a block of [`gan_alloc`].
///
/// # Safety
/// `at` and `length` are those of a block that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gan_free(at: *mut u8, length: usize) {
    // SAFETY: see the top of the file.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(at.cast::<u64>(), length.div_ceil(8))) });
}

/// Returns the address of the last result or error.
#[unsafe(no_mangle)]
pub extern "C" fn gan_result() -> *const u8 {
    STATE.with_borrow(|state| state.result.as_ptr())
}

/// Returns the length of the last result or error in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn gan_length() -> usize {
    STATE.with_borrow(|state| state.result.len())
}

/// Keeps a result for the page and returns its length, or keeps the text of an error and returns −1.
#[cfg(feature = "lab")]
pub(crate) fn keep(result: Result<Vec<u8>, String>) -> isize {
    STATE.with_borrow_mut(|state| finish(state, result))
}

/// As `keep`, for a state that is borrowed already.
fn finish(state: &mut State, result: Result<Vec<u8>, String>) -> isize {
    let is_error = result.is_err();
    state.result = result.unwrap_or_else(String::into_bytes);
    if is_error { -1 } else { state.result.len() as isize }
}

/// Runs `f` on the generator.
fn with_session(f: impl FnOnce(&Session) -> Result<Vec<u8>, String>) -> isize {
    STATE.with_borrow_mut(|state| {
        let result = state.session.as_ref().ok_or_else(|| "no generator is loaded".into()).and_then(f);
        finish(state, result)
    })
}

pub(crate) fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Loads the generator in the bytes of a weight file. The result is its description as JSON ([`Session::about`]).
///
/// # Safety
/// `at` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gan_load(at: *const u8, length: usize) -> isize {
    // SAFETY: see the top of the file.
    let weights = unsafe { std::slice::from_raw_parts(at, length) };
    STATE.with_borrow_mut(|state| {
        let loaded = Session::load(weights);
        let result = loaded.map(|session| state.session.insert(session).about().into_bytes());
        finish(state, result)
    })
}

/// Draws `count` latent vectors of a seed, with no number further than `within` from 0 unless that is 0. The result is f32 `[N, latent]`.
#[unsafe(no_mangle)]
pub extern "C" fn gan_latents(seed: f64, within: f64, count: usize) -> isize {
    with_session(|session| session.latents(seed as u64, (within > 0.0).then_some(within), count).map(|z| bytes(&z)))
}

/// Interpolates spherically from the latent vector `a` to `b`, at t in [0, 1] ([`gan_core::slerp`]). The result is f32 `[latent]`.
///
/// # Safety
/// `a` and `b` point to a latent vector each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gan_between(a: *const f32, b: *const f32, t: f32) -> isize {
    with_session(|session| {
        // SAFETY: see the top of the file.
        let [a, b] = [a, b].map(|at| unsafe { std::slice::from_raw_parts(at, session.latent()) });
        Ok(bytes(&gan_core::slerp(a, b, t)))
    })
}

/// Generates samples from `count` latent vectors at `z`, and as many classes at `classes` if the generator is conditional. The result is RGBA
/// bytes `[N, H, W, 4]`, or f32 `[N, D]` for points.
///
/// # Safety
/// `z` points to `count` latent vectors of f32, `classes` to `count` u32.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gan_generate(z: *const f32, classes: *const u32, count: usize) -> isize {
    with_session(|session| {
        // SAFETY: see the top of the file.
        let z = unsafe { std::slice::from_raw_parts(z, count * session.latent()) };
        // SAFETY: see the top of the file.
        let classes = unsafe { std::slice::from_raw_parts(classes, count) };
        if session.makes_points() { session.samples(z, classes).map(|x| bytes(&x)) } else { session.pixels(z, classes) }
    })
}
