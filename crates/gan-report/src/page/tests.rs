//! Whole pages: their contents, omissions, and escaping.

use super::*;
use crate::{Colour, Picture};
use std::fs;

const EVIL: &str = "</script><script>alert(1)</script>\"'&<img src=x onerror=alert(1)>{{script}}";

/// Returns a page in which every text tries to break out, with pictures in `dir`.
fn evil(dir: &Path) -> Page {
    let text = || EVIL.to_string();
    let png = |name: &str, shade: u8| {
        let path = dir.join(name);
        Picture::new(Colour::Grey, [4, 3], vec![shade; 12]).unwrap().save_png(&path).unwrap();
        path
    };
    let line = serde_json::json!({ "step": 1, EVIL: 2.0, "loss_d": 1.0 });
    Page {
        title: text(),
        lead: text(),
        notes: vec![text()],
        charts: vec![],
        names: [(EVIL.to_string(), text())].into(),
        summary: vec![(text(), text())],
        cards: vec![Card { label: text(), value: text(), note: text(), severity: Severity::Bad }],
        diagnoses: vec![Diagnosis { severity: Severity::Warn, text: text() }],
        metrics: Metrics::of_lines(line.to_string().as_bytes()).0.into(),
        sequences: vec![Sequence {
            name: text(),
            caption: text(),
            frames: (1..=3).map(|step| Frame { step, path: png(&format!("{step}.png"), step as u8) }).collect(),
        }],
        pictures: vec![Single { caption: text(), path: png("one.png", 9) }],
        networks: vec![NetworkTable {
            name: text(),
            input: text(),
            rows: vec![[(); 5].map(|()| text())],
            totals: vec![(text(), text())],
        }],
        settings_toml: text(),
    }
}

#[test]
fn text_is_never_interpreted_as_markup() {
    let dir = tempfile::tempdir().unwrap();
    let html = evil(dir.path()).html();
    assert!(!html.contains("alert(1)</script>") && !html.contains("<img src=x"), "broke out");
    assert_eq!(html.matches("</script>").count(), 2, "the data and the script");
    assert_eq!(html.matches("{{").count(), html.matches("{{script}}").count(), "a place that was not filled");
    assert_eq!(html, evil(dir.path()).html(), "the same page gives the same bytes");
}

#[test]
fn the_page_forbids_loading_anything() {
    let dir = tempfile::tempdir().unwrap();
    let html = evil(dir.path()).html();
    assert!(html.contains("content=\"default-src 'none'; img-src data:; style-src 'sha256-"));
    for word in ["src=\"http", "href=\"http", "url(http", "@import", "fetch(", "XMLHttpRequest", "unsafe-inline"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn an_empty_page_is_valid() {
    let html = Page { title: "Nothing yet".into(), ..Page::default() }.html();
    assert!(html.contains("<h1>Nothing yet</h1>") && !html.contains("<section"));
    assert!(html.contains("{\"charts\":[],\"sequences\":[]}"));
}

#[test]
fn unreadable_pictures_are_named_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut page = evil(dir.path());
    page.sequences[0].name = "Samples".into();
    fs::write(dir.path().join("2.png"), "not a picture").unwrap();
    fs::remove_file(dir.path().join("one.png")).unwrap();
    let html = page.html();
    assert!(html.contains("2.png is left out: not a readable PNG") && html.contains("one.png is left out"));
    assert!(html.contains("2 of 3 pictures are in this page"));
    assert!(!html.contains(&dir.path().display().to_string()), "a path of this machine");
    page.sequences[0].frames.retain(|frame| frame.step == 2);
    assert!(!page.html().contains("Over the steps"));
}

#[test]
fn many_frames_are_thinned_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    let mut page = evil(dir.path());
    let one = page.sequences[0].frames[0].path.clone();
    page.sequences[0].frames = (1..=500).map(|step| Frame { step, path: one.clone() }).collect();
    let html = page.html();
    assert!(html.contains("60 of 500 pictures are in this page.") && html.contains("After step 500."));
    assert_eq!(html.matches("data:image/png").count(), 60 + 1, "the frames and the single picture");
}

#[test]
fn saving_names_the_file_that_cannot_be_written() {
    let message = Page::default().save(Path::new("/no/such/folder/report.html")).unwrap_err().to_string();
    assert!(message.contains("report.html"), "{message}");
}

#[test]
fn numbers_in_sentences_are_rounded() {
    let written = [0.123_456, 12.0, 1234.56, 0.000_01, -0.5, 0.0, 7_654_321.0].map(sections::short);
    assert_eq!(written, ["0.1235", "12", "1,235", "1.00e-5", "-0.5", "0", "7,654,321"]);
}

#[test]
fn values_are_not_templates() {
    assert_eq!(fill("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "2")]), "<{{b}}|2>");
}

#[test]
fn scripts_fit_into_a_script_element() {
    let script = SCRIPTS.concat();
    assert!(!script.contains("</") && !script.contains("<!--") && !STYLES.concat().contains("</"));
    assert!(script.lines().all(|line| line.chars().count() <= 120));
}
