//! The parts as one file: `page.html` filled in, with a policy that forbids all requests.

use super::{Page, charts, escape, pictures, sections};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest, Sha256};

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// Scripts that are concatenated in one script element.
const SCRIPTS: [&str; 5] = [
    include_str!("js/axis.js"),
    include_str!("js/chart.js"),
    include_str!("js/input.js"),
    include_str!("js/frames.js"),
    include_str!("js/page.js"),
];

pub(super) fn filled(page: &Page) -> String {
    let album = pictures::album(page);
    let charts = charts::charts(page);
    let data = json!({
        "charts": charts.iter().map(charts::data).collect::<Vec<_>>(),
        "sequences": album.films.iter().map(sections::film_data).collect::<Vec<_>>(),
    });
    let script = SCRIPTS.concat();
    let main = sections::all(page, &album, &charts);
    fill(
        HTML,
        &[
            ("policy", &policy(STYLE, &script)),
            ("title", &escape::text(&page.title)),
            ("lead", &escape::text(&page.lead)),
            ("style", STYLE),
            ("contents", &sections::contents(&main)),
            ("main", &main.iter().map(|section| section.html.as_str()).collect::<String>()),
            ("data", &escape::json(&data)),
            ("script", &script),
        ],
    )
}

/// Returns the policy: nothing may be loaded, pictures are in the file itself, and exactly this style and this script
/// are used, so that even markup that escaped the escaping could not run. W3C, Content Security Policy Level 3, section
/// 2.3.
fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script)
    )
}

/// Replaces each `{{name}}` of `template` by its value, without replacing anything in values.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        let value = values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        out.extend([value, rest]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_templates() {
        assert_eq!(fill("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "2")]), "<{{b}}|2>");
    }

    #[test]
    fn scripts_fit_into_a_script_element() {
        let script = SCRIPTS.concat();
        assert!(!script.contains("</") && !script.contains("<!--") && !STYLE.contains("</"));
        assert!(script.lines().all(|line| line.chars().count() <= 120));
    }
}
