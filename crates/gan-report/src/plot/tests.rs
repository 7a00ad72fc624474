//! Whole figures: the contents of the SVG, the drawn pixels of the PNG, and data that must not cause errors.

use std::time::Instant;

use super::*;
use crate::charts::Curve;

const BLUE: [u8; 3] = [0, 114, 178];

fn curve(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Curve {
    Curve { name: name.into(), field: String::new(), points: points.into_iter().collect() }
}

fn chart(curves: Vec<Curve>) -> Chart {
    let guides = vec![(0.5, "half".into())];
    Chart { title: "Title".into(), unit: "loss".into(), curves, guides, ..Chart::default() }
}

fn alone(chart: Chart) -> Figure {
    Figure { charts: vec![chart] }
}

fn picture(chart: &Chart) -> Picture {
    alone(chart.clone()).to_picture([400, 240]).unwrap()
}

/// Returns where the pixels of one color are: their columns and rows, from the first to the last.
fn extent(picture: &Picture, colour: [u8; 3]) -> Option<[usize; 4]> {
    let found = (0..picture.height()).flat_map(|y| (0..picture.width()).map(move |x| (x, y)));
    let found: Vec<_> = found.filter(|&(x, y)| picture.pixel(x, y) == Some(&colour)).collect();
    let (xs, ys) = (found.iter().map(|p| p.0), found.iter().map(|p| p.1));
    Some([xs.clone().min()?, xs.max()?, ys.clone().min()?, ys.max()?])
}

#[test]
fn svg_is_well_formed_and_contains_every_label() {
    let svg = alone(chart(vec![curve("D(x) <real> & more", [(0.0, 0.0), (1000.0, 1.0)])])).to_svg([500, 300]).unwrap();
    let (escaped, y_tick, x_tick) = ("D(x) &lt;real&gt; &amp; more", ">\n0.2\n<", ">\n400\n<");
    for label in ["Title", "step", "loss", "half", escaped, y_tick, x_tick, "@font-face"] {
        assert!(svg.contains(label), "{label} is missing");
    }
    assert!(svg.starts_with(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"500\" height=\"300\" viewBox=\"0 0 4000 2400\""
    ));
    assert!(svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<svg").count(), 1);
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert!(svg.contains("sans-serif"), "a fallback for viewers that ignore embedded fonts");
}

#[test]
fn a_rising_line_runs_from_corner_to_corner() {
    let mut rising = chart(vec![curve("", (0..=10).map(|i| (f64::from(i), f64::from(i) / 10.0)))]);
    rising.y_range = Some([0.0, 1.0]);
    let [left, right, top, bottom] = extent(&picture(&rising), BLUE).unwrap();
    // The plot ends 24 pixels before the right edge, and begins below the title's 30 + 4.
    assert!(left < 70 && (372..=378).contains(&right), "{left}…{right}");
    assert!((33..=38).contains(&top) && (175..=200).contains(&bottom), "{top}…{bottom}");
}

#[test]
fn a_gap_is_not_drawn() {
    let broken = (0..=10).map(|i| (f64::from(i), if (3..=7).contains(&i) { f64::NAN } else { 1.0 }));
    let drawn = picture(&chart(vec![curve("", broken)]));
    let [_, _, top, bottom] = extent(&drawn, BLUE).unwrap();
    assert!(bottom - top <= 2, "a constant curve is level");
    let inked = |x| (top..=bottom).any(|y| drawn.pixel(x, y) == Some(&BLUE));
    assert!(inked(80) && inked(360));
    assert!((200..=240).all(|x| !inked(x)));
}

#[test]
fn degenerate_curves_are_drawn_without_errors() {
    let nan = f64::NAN;
    let cases: Vec<Vec<(f64, f64)>> = vec![
        vec![],
        vec![(5.0, 2.0)],
        vec![(nan, nan), (0.0, f64::INFINITY)],
        vec![(0.0, 3.0), (1.0, 3.0)],
        vec![(1.0, 1.0), (1.0, 2.0), (1.0, -7.0)],
        vec![(0.0, -1e300), (1.0, 1e300), (2.0, 1e37), (3.0, -1e37)],
        vec![(1e37, 1e-320), (-1e37, 0.0)],
        vec![(0.0, 1e9), (1.0, 1e9 + 1e-6)],
    ];
    for points in cases {
        let made = chart(vec![curve("D", points.clone()), curve("G", points.clone())]);
        assert_eq!(picture(&made).width(), 400, "{points:?}");
        assert!(alone(made).to_svg([400, 240]).unwrap().contains("</svg>"));
    }
    let single = picture(&chart(vec![curve("", [(5.0, 2.0)])]));
    assert!(extent(&single, BLUE).is_some(), "a single point is a dot");
    assert!(Figure { charts: vec![Chart::default()] }.to_svg([400, 240]).unwrap().contains("no data yet"));
}

#[test]
fn plots_of_long_runs_are_small_and_fast() {
    let noisy = |seed: u64| (0..100_001u64).map(move |i| (i as f64, ((i * 7919 + seed) % 1009) as f64 / 1009.0));
    let figure = alone(chart(vec![curve("D", noisy(0)), curve("G", noisy(500))]));
    let start = Instant::now();
    let (svg, png) = (figure.to_svg([1000, 320]).unwrap(), figure.to_picture([1000, 320]).unwrap().to_png().unwrap());
    assert!(svg.len() < 150_000, "{} bytes", svg.len());
    assert!(png.len() < 400_000, "{} bytes", png.len());
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn a_long_legend_takes_more_rows() {
    let names = (0..9).map(|i| curve(&format!("a rather long name, number {i}"), [(0.0, 0.0), (1.0, f64::from(i))]));
    let svg = alone(chart(names.collect())).to_svg([400, 400]).unwrap();
    assert_eq!(svg.matches("a rather long name").count(), 9);
}

#[test]
fn files_are_written_and_invalid_sizes_refused() {
    let dir = tempfile::tempdir().unwrap();
    let chart = chart(vec![curve("D", [(0.0, 0.0), (1.0, 1.0)])]);
    let figure = Figure { charts: vec![chart.clone(), chart.clone()] };
    let (png, svg) = (dir.path().join("f.png"), dir.path().join("f.svg"));
    figure.save_png(&png, [300, 300]).unwrap();
    alone(chart.clone()).save_svg(&svg, [300, 200]).unwrap();
    let read = Picture::open_png(&png).unwrap();
    assert_eq!((read.width(), read.height()), (300, 300));
    assert!(std::fs::read_to_string(&svg).unwrap().contains("viewBox"));
    assert!(figure.to_svg([300, 200]).unwrap_err().to_string().contains("2 charts"));
    assert!(figure.to_svg([60_000, 60_000]).is_err());
    assert!(Figure::default().to_svg([300, 200]).is_err());
    let message = alone(chart).save_png(&dir.path().join("no/f.png"), [300, 200]).unwrap_err().to_string();
    assert!(message.contains("f.png"), "{message}");
}

fn figure(text: &str) -> Figure {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    std::fs::write(&path, text).unwrap();
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
    let expected = ["Losses", "What D says", "Accuracy of D", "Gradient norms"];
    assert_eq!(titles, expected);
    let names: Vec<_> = all.charts[0].curves.iter().map(|curve| curve.name.as_str()).collect();
    assert_eq!(names, ["D", "G"]);
    assert_eq!(all.charts[0].curves[0].points, [(10.0, 1.4), (20.0, 1.2)]);
    assert_eq!(all.charts[1].curves.len(), 3);
    assert_eq!((all.charts[1].guides[0].0, all.charts[1].y_range), (0.5, Some([0.0, 1.0])));
}

#[test]
fn absent_fields_get_no_panel() {
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
