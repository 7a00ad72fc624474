//! Synthetic curves, each with one thing to describe.

use super::*;

/// Returns a repeatable value in −1 to 1 for `n`.
fn noise(n: u64) -> f64 {
    let mixed = (n.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Name of a field, its course over the run from 0 to 1, and its noise.
type Field = (&'static str, &'static dyn Fn(f64) -> f64, f64);

/// Returns metrics of steps 1 to `n`; each field is a function of the progress, with noise.
fn made(n: u64, fields: &[Field]) -> Metrics {
    let line = |step: u64| {
        let share = step as f64 / n as f64;
        let values = fields.iter().enumerate().map(|(at, (name, of, size))| {
            let value = of(share) + size * noise(step * 31 + at as u64);
            format!("\"{name}\":{}", if value.is_finite() { value.to_string() } else { "null".into() })
        });
        format!("{{\"step\":{step},{}}}\n", values.collect::<Vec<_>>().join(","))
    };
    Metrics::of_lines((1..=n).map(line).collect::<String>().as_bytes()).0
}

/// Returns a run without anything to report.
fn calm() -> Vec<Field> {
    vec![
        ("loss_d", &|_| 1.0, 0.05),
        ("loss_g", &|_| 1.5, 0.05),
        ("d_real", &|_| 0.7, 0.02),
        ("d_fake_before", &|_| 0.3, 0.02),
        ("d_fake_after", &|_| 0.25, 0.02),
        ("accuracy_d", &|_| 0.8, 0.05),
        ("grad_norm_d", &|_| 10.0, 1.0),
        ("grad_norm_g", &|_| 8.0, 1.0),
        ("images_per_s", &|_| 1000.0, 20.0),
    ]
}

/// Returns the diagnoses of the calm run with changes to some fields.
fn with(changes: &[Field]) -> Vec<Diagnosis> {
    let mut fields = calm();
    for change in changes {
        fields.retain(|field| field.0 != change.0);
        fields.push(*change);
    }
    curves(&made(1000, &fields))
}

#[track_caller]
fn says(found: &[Diagnosis], severity: Severity, words: &[&str]) {
    let found = found.iter().any(|r| r.severity == severity && words.iter().all(|word| r.text.contains(word)));
    assert!(found, "{words:?} not said as {severity:?} in {found:#?}");
}

#[test]
fn a_steady_run_has_no_warnings() {
    let found = with(&[]);
    assert!(found.iter().all(|r| r.severity == Severity::Plain), "{found:#?}");
    says(&found, Severity::Plain, &["D(x) is 0.7", "D(G(z)) 0.3", "clearly ahead"]);
    assert!(found.last().unwrap().text.contains("do not show how good"));
}

#[test]
fn balance_is_described_as_a_good_sign_without_proof() {
    let found = with(&[("d_real", &|_| 0.53, 0.02), ("d_fake_before", &|_| 0.47, 0.02)]);
    says(&found, Severity::Good, &["D(x) 0.53", "D(G(z)) 0.4", "near 0.5", "cannot say which"]);
}

#[test]
fn scores_of_a_critic_are_not_treated_as_probabilities() {
    let found = with(&[("d_real", &|_| 0.5, 9.0), ("d_fake_before", &|_| 0.5, 9.0), ("loss_d", &|_| -4.0, 0.1)]);
    assert!(found.iter().all(|r| !r.text.contains("near 0.5")), "{found:#?}");
}

#[test]
fn diverging_losses_are_described() {
    let found = with(&[("loss_d", &|x| 1.2 - 0.8 * x, 0.05), ("loss_g", &|x| 1.0 + 3.0 * x, 0.1)]);
    says(&found, Severity::Plain, &["From step 501 to 1,000", "rose from 2."]);
    let both = with(&[("loss_d", &|x| 1.0 + x, 0.05), ("loss_g", &|x| 1.0 + 3.0 * x, 0.1)]);
    assert!(both.iter().all(|r| !r.text.contains("while D’s fell")), "{both:#?}");
}

#[test]
fn gradients_are_compared_with_their_own_median() {
    says(
        &with(&[("grad_norm_g", &|x| if x < 0.85 { 8.0 } else { 400.0 }, 1.0)]),
        Severity::Warn,
        &["G’s gradient norm grows", "its median over the run is 8"],
    );
    says(
        &with(&[("grad_norm_d", &|x| if x < 0.85 { 10.0 } else { 0.02 }, 0.01)]),
        Severity::Bad,
        &["D’s gradient norm vanishes: 0.02"],
    );
    says(
        &with(&[("grad_norm_d", &|x| if x == 0.5 { 900.0 } else { 10.0 }, 1.0)]),
        Severity::Plain,
        &["jumps to 90", "at step 500", "times its median"],
    );
}

#[test]
fn missing_lines_are_named() {
    let text: String =
        (1..=200u64).filter(|s| !(60..140).contains(s)).map(|s| format!("{{\"step\":{s},\"loss_d\":1}}\n")).collect();
    says(&curves(&Metrics::of_lines(text.as_bytes()).0), Severity::Warn, &["between steps 59 and 140"]);
}

#[test]
fn losses_that_settle_are_described_as_level() {
    let settle: &'static dyn Fn(f64) -> f64 = &|x| 1.0 + (0.5 - x).max(0.0) * 4.0;
    let found = with(&[("loss_d", settle, 0.05), ("loss_g", settle, 0.05)]);
    says(&found, Severity::Plain, &["level since about step 501", "D’s at 1", "no sign that learning is over"]);
}

#[test]
fn slower_training_at_the_end_is_described() {
    says(
        &with(&[("images_per_s", &|x| if x < 0.6 { 1000.0 } else { 500.0 }, 20.0)]),
        Severity::Warn,
        &["slower: ", "images a second since step 751"],
    );
}

#[test]
fn a_short_run_has_only_a_note() {
    let found = curves(&made(29, &calm()));
    assert_eq!(found.len(), 2);
    says(&found, Severity::Plain, &["29 logged steps are too few", "30"]);
    assert_eq!(curves(&Metrics::default()).len(), 2);
}

#[test]
fn constant_losses_and_rising_gradients_are_described() {
    let found = with(&[("grad_norm_g", &|x| 1.0 + 9.0 * x, 0.2)]);
    says(&found, Severity::Plain, &["level from the start"]);
    says(&found, Severity::Plain, &["G’s gradient norm rises steadily: 2.1"]);
}
