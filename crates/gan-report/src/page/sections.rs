//! Sections of the page as HTML. Every text is escaped.

use super::curves::unknown;
use super::pictures::{Album, Embedded, Film};
use super::{Card, NetworkTable, Page, Severity};
use crate::charts::{Chart, Curve};
use crate::markup::text;
use serde_json::{Value, json};

/// A part of the page with an entry in its contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Identifier of its element.
    pub id: &'static str,
    /// Heading, plain text.
    pub heading: &'static str,
    /// The whole element.
    pub html: String,
}

/// Returns all sections that are not empty, in the order of the page.
pub(super) fn all(page: &Page, album: &Album, charts: &[Chart]) -> Vec<Section> {
    let notes: Vec<&String> = page.notes.iter().chain(&album.notes).collect();
    let sections = [
        section("missing", "What is missing", list(&notes)),
        section("run", "The run", [cards(page), definitions("summary", &page.summary)].concat()),
        section("diagnosis", "What the curves say", diagnoses(page)),
        section("samples", "Over the steps", album.films.iter().enumerate().map(film).collect()),
        section("curves", "Curves", curves(charts)),
        section("pictures", "Pictures", singles(album)),
        section("networks", "Networks", page.networks.iter().map(network).collect()),
        section("settings", "Settings", settings(&page.settings_toml)),
    ];
    sections.into_iter().flatten().collect()
}

fn section(id: &'static str, heading: &'static str, body: String) -> Option<Section> {
    let html = format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{heading}</h2>\n{body}</section>\n"
    );
    (!body.is_empty()).then_some(Section { id, heading, html })
}

/// Returns links to the sections.
pub(super) fn contents(sections: &[Section]) -> String {
    sections.iter().map(|s| format!("<li><a href=\"#{}\">{}</a></li>", s.id, s.heading)).collect()
}

/// Returns `items` inside of an element, or nothing if there are none.
fn wrapped(open: &str, items: String, close: &str) -> String {
    if items.is_empty() { items } else { format!("{open}\n{items}{close}\n") }
}

fn list(items: &[&String]) -> String {
    let items = items.iter().map(|item| format!("<li>{}</li>\n", text(item))).collect();
    wrapped("<ul class=\"notes\">", items, "</ul>")
}

fn definitions(class: &str, pairs: &[(String, String)]) -> String {
    let pair =
        |(name, value): &(String, String)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", text(name), text(value));
    wrapped(&format!("<dl class=\"{class}\">"), pairs.iter().map(pair).collect(), "</dl>")
}

fn cards(page: &Page) -> String {
    let card = |card: &Card| {
        let [label, value, note] = [&card.label, &card.value, &card.note].map(|t| text(t));
        let [class, _] = card.severity.class_and_words();
        format!(
            "<li class=\"card {class}\"><span class=\"label\">{label}</span><span class=\"value\">{value}</span><span class=\"note\">{note}</span></li>\n"
        )
    };
    wrapped("<ul class=\"cards\">", page.cards.iter().map(card).collect(), "</ul>")
}

fn diagnoses(page: &Page) -> String {
    let diagnosis = |d: &super::Diagnosis| {
        let [class, words] = d.severity.class_and_words();
        format!("<li class=\"{class}\"><strong>{words}.</strong> {}</li>\n", text(&d.text))
    };
    wrapped("<ul class=\"diagnoses\">", page.diagnoses.iter().map(diagnosis).collect(), "</ul>")
}

/// Returns a sequence. The last frame is in the HTML, for print and for browsers without scripts; the script has the
/// others.
fn film((at, film): (usize, &Film)) -> String {
    let Some((step, last)) = film.frames.last() else { return String::new() };
    let [name, caption] = [&film.sequence.name, &film.sequence.caption].map(|t| text(t));
    let count = film.frames.len();
    let of = film.sequence.frames.len();
    let left_out = if count == of { String::new() } else { format!(" {count} of {of} pictures are in this page.") };
    let step = grouped(*step);
    let most = count - 1;
    format!(
        "<figure class=\"film\" data-film=\"{at}\">\n<h3>{name}</h3>\n{}\n\
         <div class=\"controls\" hidden>\
         <button type=\"button\" class=\"play\" aria-label=\"Play {name}\">▶ Play</button>\
         <input type=\"range\" min=\"0\" max=\"{most}\" value=\"{most}\" aria-label=\"Step of {name}\">\
         <output>step {step}</output></div>\n\
         <figcaption>{caption}<span class=\"still\"> After step {step}.</span>{left_out}</figcaption>\n</figure>\n",
        zoomable(last, &film.sequence.name),
    )
}

/// Returns steps and pictures for the slider. If the pictures are embedded, the last one is only in the HTML.
pub(super) fn film_data(film: &Film) -> Value {
    let last = film.frames.len().saturating_sub(1);
    let frame = |(at, (step, picture)): (usize, &(u64, Embedded))| {
        let is_elsewhere = at == last && picture.uri.starts_with("data:");
        let uri = if is_elsewhere { "" } else { picture.uri.as_str() };
        json!({ "step": step, "src": uri })
    };
    film.frames.iter().enumerate().map(frame).collect()
}

fn singles(album: &Album) -> String {
    let single = |(caption, picture): &(&str, Embedded)| {
        format!("<figure>\n{}\n<figcaption>{}</figcaption>\n</figure>\n", zoomable(picture, caption), text(caption))
    };
    wrapped("<div class=\"gallery\">", album.singles.iter().map(single).collect(), "</div>")
}

fn zoomable(picture: &Embedded, alt: &str) -> String {
    let alt = text(alt);
    let Embedded { uri, width, height } = picture;
    format!(
        "<button type=\"button\" class=\"zoomable\" aria-label=\"Enlarge: {alt}\"><img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\"></button>"
    )
}

const CONTROLS: &str = r#"<div class="controls bar" id="curve-controls" hidden>
<label>Smoothing <input type="range" id="smoothing" min="0" max="0.99" step="0.01" value="0"> <output id="smoothing-value">0</output></label>
<button type="button" id="whole" disabled>Whole run</button>
<details class="help"><summary>How to use the charts</summary>
<p>Point at a chart for its values. Drag across it to zoom into those steps, with Shift to move; pinch on a touch screen. The
wheel zooms with Ctrl or ⌘, or once the chart was clicked. Double-click for the whole run.</p>
<p>With the keyboard: Tab to a chart, <kbd>←</kbd> <kbd>→</kbd> go from point to point (<kbd>Shift</kbd>: ten),
<kbd>Home</kbd> and <kbd>End</kbd> to the ends, <kbd>+</kbd> <kbd>−</kbd> zoom, <kbd>0</kbd> shows the whole run. The names
in the legend switch curves off and on. All charts show the same steps.</p></details>
</div>
<noscript><p>The charts need JavaScript; the table below does not.</p></noscript>
"#;

fn curves(charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let chart = |(at, chart): (usize, &Chart)| {
        let [title, caption] = [&chart.title, &chart.caption].map(|t| text(t));
        format!(
            "<figure class=\"chart\" data-chart=\"{at}\">\n<div class=\"head\"><h3>{title}</h3></div>\n<div class=\"plot\"></div>\n<figcaption>{caption}</figcaption>\n</figure>\n"
        )
    };
    let figures: String = charts.iter().enumerate().map(chart).collect();
    format!("{CONTROLS}<div class=\"charts\">\n{figures}</div>\n{}", numbers(charts))
}

/// Returns the curves as a table, for screen readers and for quoting.
fn numbers(charts: &[Chart]) -> String {
    let rows: String =
        charts.iter().flat_map(|c| c.curves.iter().map(move |curve| (c, curve))).filter_map(row).collect();
    let head = "<th scope=\"col\">Curve</th><th scope=\"col\">first</th><th scope=\"col\">last</th>\
                <th scope=\"col\">lowest, at step</th><th scope=\"col\">highest, at step</th><th scope=\"col\">points</th>";
    format!(
        "<details class=\"numbers\"><summary>The curves as a table</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The curves as a table\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div></details>\n"
    )
}

fn row((chart, curve): (&Chart, &Curve)) -> Option<String> {
    let Numbers { first, last, lowest, highest, count } = Numbers::of(&curve.points)?;
    let name = if curve.name == curve.field {
        text(&curve.name)
    } else {
        format!("{}: {}", text(&chart.title), text(&curve.name))
    };
    let at = |(step, value)| format!("{}, {}", short(value), grouped(step as u64));
    let cells = [short(first), short(last), at(lowest), at(highest), grouped(count as u64)];
    let cells = cells.map(|cell| format!("<td>{cell}</td>")).concat();
    Some(format!("<tr><th scope=\"row\">{name}</th>{cells}</tr>\n"))
}

/// What is quoted of the finite points of a curve: values, and steps with their values.
struct Numbers {
    first: f64,
    last: f64,
    lowest: (f64, f64),
    highest: (f64, f64),
    count: usize,
}

impl Numbers {
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        let finite = || points.iter().copied().filter(|point| point.1.is_finite());
        let by_value = |a: &(f64, f64), b: &(f64, f64)| a.1.total_cmp(&b.1);
        Some(Self {
            first: finite().next()?.1,
            last: finite().next_back()?.1,
            lowest: finite().min_by(by_value)?,
            highest: finite().max_by(by_value)?,
            count: finite().count(),
        })
    }
}

fn network(table: &NetworkTable) -> String {
    let row = |row: &[String; 5]| {
        let [name, layer, output, parameters, macs] = row.each_ref().map(|t| text(t));
        format!(
            "<tr><td><code>{name}</code></td><td>{layer}</td><td>{output}</td><td>{parameters}</td><td>{macs}</td></tr>\n"
        )
    };
    let [name, input] = [&table.name, &table.input].map(|t| text(t));
    let rows: String = table.rows.iter().map(row).collect();
    format!(
        "<h3>{name}</h3>\n<p>One input: {input}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Layers of the {name}\"><table class=\"layers\">\n\
         <thead><tr><th scope=\"col\">name</th><th scope=\"col\">layer</th><th scope=\"col\">output</th><th scope=\"col\">parameters</th><th scope=\"col\">multiply-adds</th></tr></thead>\n\
         <tbody>\n{rows}</tbody></table></div>\n{}",
        definitions("totals", &table.totals)
    )
}

fn settings(toml: &str) -> String {
    if toml.is_empty() {
        return String::new();
    }
    format!(
        "<details><summary>All settings, as <code>config.toml</code></summary>\n<pre tabindex=\"0\"><code>{}</code></pre></details>\n",
        text(toml)
    )
}

/// Returns fields without a known chart, and their last, lowest and highest values, for cards.
pub(super) fn measured(page: &Page) -> Vec<Card> {
    let card = |field| {
        let Numbers { last, lowest, highest, .. } = Numbers::of(page.metrics.series(field))?;
        let at = |(step, value)| format!("{} at step {}", short(value), grouped(step as u64));
        let note = format!("lowest {}, highest {}", at(lowest), at(highest));
        Some(Card { label: page.called(field), value: short(last), note, severity: Severity::Plain })
    };
    unknown(&page.metrics).filter_map(card).collect()
}

/// Formats a value with four digits.
pub(super) fn short(value: f64) -> String {
    to_digits(value, 4)
}

/// Formats a number with a given number of significant digits, without trailing zeros.
pub fn to_digits(value: f64, digits: i32) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1000.0..1e9).contains(&size) => {
            format!("{}{}", if value < 0.0 { "−" } else { "" }, grouped(size.round() as u64))
        }
        size if !(1e-4..1e9).contains(&size) => format!("{value:.2e}"),
        size => {
            let places = (digits - 1 - size.log10().floor() as i32).clamp(0, 7) as usize;
            let fixed = format!("{value:.places$}");
            if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').into() } else { fixed }
        }
    }
}

/// Formats 1234567 as 1,234,567.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let place = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(place).collect()
}
