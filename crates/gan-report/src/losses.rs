//! The main figure of a run: losses, D's outputs for real and generated images, and D's accuracy.

use std::path::Path;

use crate::{
    Error, Metrics,
    plot::{Chart, Curve, Figure, Guide},
};

/// Reads a run's `metrics.jsonl` and plots it; see [`losses_figure_of`]. Damaged lines are skipped.
///
/// # Errors
/// [`Error::File`] if `metrics` cannot be read.
pub fn losses_figure(metrics: &Path) -> Result<Figure, Error> {
    let bytes = gan_base::regular_file::read(metrics, crate::MOST_BYTES).map_err(Error::file("read", metrics))?;
    Ok(losses_figure_of(&Metrics::of_lines(&bytes).0))
}

/// Returns up to four charts over the step: losses of D and G; D's mean output for real images and for generated ones
/// before and after its update; D's accuracy; gradient norms. Each is present if its fields are; the first always is.
pub fn losses_figure_of(metrics: &Metrics) -> Figure {
    let mut charts = vec![losses(metrics), verdicts(metrics), accuracy(metrics), gradients(metrics)];
    let first = charts.remove(0);
    charts.retain(|chart| !chart.curves.is_empty());
    charts.insert(0, first);
    Figure { charts }
}

fn losses(metrics: &Metrics) -> Chart {
    chart("Losses", "loss", metrics, &[("loss_d", "D"), ("loss_g", "G")])
}

/// Returns the chart of D's outputs. At the optimum, D outputs 0.5 for both kinds of images.
fn verdicts(metrics: &Metrics) -> Chart {
    let fields =
        [("d_real", "D(x)"), ("d_fake_before", "D(G(z)) before D’s step"), ("d_fake_after", "D(G(z)) after D’s step")];
    let guides = vec![Guide { value: 0.5, label: "0.5: cannot tell".into() }];
    let plain = chart("What the discriminator says", "mean probability of real", metrics, &fields);
    Chart { guides, y_range: unit_range(&plain), ..plain }
}

fn accuracy(metrics: &Metrics) -> Chart {
    let guides = vec![Guide { value: 0.5, label: "0.5: chance".into() }];
    let plain = chart("Accuracy of the discriminator", "share judged correctly", metrics, &[("accuracy_d", "D")]);
    Chart { guides, y_range: unit_range(&plain), ..plain }
}

fn gradients(metrics: &Metrics) -> Chart {
    chart("Gradient norms", "L2 norm", metrics, &[("grad_norm_d", "D"), ("grad_norm_g", "G")])
}

fn chart(title: &str, y_label: &str, metrics: &Metrics, fields: &[(&str, &str)]) -> Chart {
    let present = fields.iter().filter(|(field, _)| !metrics.series(field).is_empty());
    let curve = |(field, name): &(&str, &str)| Curve { name: (*name).into(), points: metrics.series(field).to_vec() };
    Chart {
        title: title.into(),
        x_label: "step".into(),
        y_label: y_label.into(),
        curves: present.map(curve).collect(),
        ..Chart::default()
    }
}

/// Returns 0 to 1 for probabilities; a critic's unbounded scores with the same names keep their own range.
fn unit_range(chart: &Chart) -> Option<(f64, f64)> {
    let mut values = chart.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    values.all(|y| !y.is_finite() || (0.0..=1.0).contains(&y)).then_some((0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn figure(text: &str) -> Figure {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        fs::write(&path, text).unwrap();
        losses_figure(&path).unwrap()
    }

    #[test]
    fn charts_follow_the_fields() {
        let all = figure(concat!(
            "{\"step\":10,\"epoch\":0,\"loss_d\":1.4,\"loss_g\":0.7,\"d_real\":0.5,\"d_fake_before\":0.5,",
            "\"d_fake_after\":0.4,\"accuracy_d\":0.6,\"grad_norm_d\":3,\"grad_norm_g\":2,\"images_per_s\":100}\n",
            "{\"step\":20,\"loss_d\":1.2,\"d_real\":0.6}\n"
        ));
        let titles: Vec<_> = all.charts.iter().map(|chart| chart.title.as_str()).collect();
        let expected = ["Losses", "What the discriminator says", "Accuracy of the discriminator", "Gradient norms"];
        assert_eq!(titles, expected);
        let names: Vec<_> = all.charts[0].curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["D", "G"]);
        assert_eq!(all.charts[0].curves[0].points, [(10.0, 1.4), (20.0, 1.2)]);
        assert_eq!(all.charts[1].curves.len(), 3);
        assert_eq!((all.charts[1].guides[0].value, all.charts[1].y_range), (0.5, Some((0.0, 1.0))));
    }

    #[test]
    fn absent_fields_take_no_room() {
        let few = figure("{\"step\":1,\"loss_d\":1.4,\"d_real\":-7.5}\n");
        assert_eq!(few.charts.len(), 2);
        assert_eq!(few.charts[0].curves.len(), 1);
        assert_eq!(few.charts[1].y_range, None, "a critic's score is no probability");
        let damaged = figure("{\"step\":1,\"loss_d\":1.4}\n{\"st\n{\"step\":3,\"loss_d\":1.2}\n");
        assert_eq!(damaged.charts[0].curves[0].points, [(1.0, 1.4), (3.0, 1.2)]);
        let none = figure("");
        assert_eq!((none.charts.len(), none.charts[0].curves.len()), (1, 0));
        none.to_picture(none.suggested_size()).unwrap();
    }
}
