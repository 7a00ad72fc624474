//! The registry: names, documentation, and the metrics that are measured by default.

use super::*;

mod peers;

const KINDS: [DataKind; 5] =
    [DataKind::Classes, DataKind::ManyClasses, DataKind::Images, DataKind::PointsAroundModes, DataKind::Points];

#[test]
fn every_metric_has_unique_keys_and_a_paper() {
    for metric in Metric::all() {
        let Metric { key, title, paper, aliases, .. } = *metric;
        let names = |name: &str| Metric::all().filter(|m| m.key == name || m.aliases.contains(&name)).count();
        assert!(names(key) == 1 && aliases.iter().all(|alias| names(alias) == 1), "{key}");
        assert!(!paper.is_empty() && !title.is_empty(), "{key}");
    }
}

#[test]
fn keys_are_read_and_written() {
    for metric in Metric::all() {
        let written = serde_json::to_value(metric).unwrap();
        assert_eq!(written, metric.key);
        let read = serde_json::from_value::<&Metric>(written);
        assert_eq!(read.is_ok(), metric.needs != Needs::Protocol, "{metric:?}");
    }
    assert_eq!(Metric::find("none"), None);
}

#[test]
fn names_are_read_in_any_case_and_under_usual_aliases() {
    for (name, key) in [
        ("FD-Digits", "fd_digits"),
        (" Kid ", "kid"),
        ("Near-Copies", "near_copies"),
        ("IS", "inception_score"),
        ("SWD", "swd"),
    ] {
        assert_eq!(Metric::from_user(name).unwrap().key, key);
    }
    assert!(Metric::from_user("fd_digit").unwrap_err().contains("did you mean \"fd_digits\"?"));
    assert!(Metric::from_user("FID").unwrap_err().contains("--protocol fid50k"));
}

#[test]
fn every_kind_of_data_has_metrics_and_one_that_selects_the_best() {
    let spaces = |kind| match kind {
        DataKind::Classes | DataKind::ManyClasses => {
            vec![FeatureSpace::Digits, FeatureSpace::Inception, FeatureSpace::Classifier]
        }
        DataKind::Images => vec![FeatureSpace::Texture, FeatureSpace::Thumbnails, FeatureSpace::Inception],
        DataKind::PointsAroundModes | DataKind::Points => vec![FeatureSpace::Coordinates],
    };
    for kind in KINDS {
        for space in spaces(kind) {
            let best = Metric::best(kind, space).unwrap();
            assert!(Metric::defaults(kind, space, Occasion::Training).contains(&best), "{kind:?} {space:?}");
        }
    }
    let keys = |kind, space, occasion| {
        let metrics = Metric::defaults(kind, space, occasion);
        metrics.into_iter().map(|metric| metric.key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        keys(DataKind::Classes, FeatureSpace::Digits, Occasion::Evaluation),
        "fd_digits precision recall density coverage confidence class_balance class_accuracy diversity memorisation near_copies \
         kid digit_score swd"
    );
    assert_eq!(
        keys(DataKind::PointsAroundModes, FeatureSpace::Coordinates, Occasion::Evaluation),
        "modes high_quality reverse_kl energy coverage diversity swd precision recall two_sample"
    );
    assert_eq!(
        keys(DataKind::Images, FeatureSpace::Thumbnails, Occasion::Training),
        "fd_thumbnails precision recall density coverage diversity memorisation near_copies augment_leak"
    );
    assert_eq!(
        keys(DataKind::Images, FeatureSpace::Texture, Occasion::Evaluation),
        "fd_texture precision recall density coverage diversity memorisation near_copies augment_leak kid mind swd swd_patches"
    );
}

#[test]
fn nan_is_never_better() {
    for better in [Better::Lower, Better::Higher] {
        assert!(better.prefers(1.0, f64::NAN) && !better.prefers(f64::NAN, 1.0));
        assert!(!better.prefers(1.0, 1.0));
    }
    assert!(Better::Lower.prefers(1.0, 2.0) && Better::Higher.prefers(2.0, 1.0));
}
