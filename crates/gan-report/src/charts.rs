//! The charts of a run: which curves share an axis. The page and the figure of the losses show the same ones.

use crate::Metrics;

/// Curves over the steps that share a vertical axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// Unit of the vertical axis.
    pub unit: String,
    /// Explanation of the chart.
    pub caption: String,
    /// Curves in the order of the legend; colors repeat after six on a page, after seven in a figure.
    pub curves: Vec<Curve>,
    /// Values with a dashed line, and their labels.
    pub guides: Vec<(f64, String)>,
    /// Lowest and highest value to show; by default the range of the values.
    pub y_range: Option<[f64; 2]>,
}

/// A curve of a [`Chart`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Name in the legend; an unnamed curve has no entry there.
    pub name: String,
    /// Name in metrics.jsonl.
    pub field: String,
    /// (step, value); a value that is not finite is a gap.
    pub points: Vec<(f64, f64)>,
}

/// A predefined chart, with its fields and their names in the legend.
pub(crate) struct Known {
    title: &'static str,
    unit: &'static str,
    caption: &'static str,
    pub fields: &'static [(&'static str, &'static str)],
    /// Guide of probabilities; a critic's scores, which have the same names but no bounds, have none.
    guide: Option<(f64, &'static str)>,
}

/// The charts of the losses figure.
pub(crate) const LOSSES: [Known; 4] = [
    Known {
        title: "Losses",
        unit: "loss",
        caption: "Each player's loss depends on the other's play, so neither has to fall: steady is good, one that runs \
                  away is not.",
        fields: &[("loss_d", "D"), ("loss_g", "G")],
        guide: None,
    },
    Known {
        title: "What D says",
        unit: "mean probability of real",
        caption: "D's mean answer to real samples, D(x), and to generated ones, D(G(z)), before and after its own update. \
                  The gap between the last two is what one update teaches D.",
        fields: &[("d_real", "D(x)"), ("d_fake_before", "D(G(z)) before"), ("d_fake_after", "D(G(z)) after")],
        guide: Some((0.5, "0.5: cannot tell")),
    },
    Known {
        title: "Accuracy of D",
        unit: "share judged correctly",
        caption: "At 0.5 D guesses; close to 1 it is rarely wrong, and G may learn little from it.",
        fields: &[("accuracy_d", "D")],
        guide: Some((0.5, "0.5: chance")),
    },
    Known {
        title: "Gradient norms",
        unit: "L2 norm",
        caption: "How strongly each network is pulled. Watch for jumps, and for a fall towards nothing.",
        fields: &[("grad_norm_d", "D"), ("grad_norm_g", "G")],
        guide: None,
    },
];

/// The chart of the speed, which only the page shows.
pub(crate) const SPEED: Known = Known {
    title: "Speed",
    unit: "images per second",
    caption: "Real samples seen a second, drawing and saving included.",
    fields: &[("images_per_s", "images/s")],
    guide: None,
};

impl Known {
    /// Returns the chart of the fields that have numbers.
    pub(crate) fn chart(&self, metrics: &Metrics) -> Chart {
        let present = self.fields.iter().filter(|(field, _)| has_numbers(metrics, field));
        let curves: Vec<Curve> = present.map(|(field, name)| curve(metrics, field, name)).collect();
        let mut values = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        let is_bounded = values.all(|y| !y.is_finite() || (0.0..=1.0).contains(&y));
        let guide = self.guide.filter(|_| is_bounded);
        Chart {
            title: self.title.into(),
            unit: self.unit.into(),
            caption: self.caption.into(),
            curves,
            guides: guide.map(|(value, label)| (value, label.into())).into_iter().collect(),
            y_range: guide.map(|_| [0.0, 1.0]),
        }
    }
}

pub(crate) fn has_numbers(metrics: &Metrics, field: &str) -> bool {
    metrics.series(field).iter().any(|point| point.1.is_finite())
}

pub(crate) fn curve(metrics: &Metrics, field: &str, name: &str) -> Curve {
    Curve { name: name.into(), field: field.into(), points: metrics.series(field).to_vec() }
}
