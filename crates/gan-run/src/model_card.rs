//! A run's model card: `README.md` of its repository on the Hugging Face Hub, with the front matter that the Hub reads.

use crate::run_summary::RunSummary;
use gan_core::summary::grouped;
use gan_core::weights::Description;
use gan_metrics::format_value;
use serde_json::{Value, json};
use std::fmt::Write;

/// What a model card is about.
#[derive(Clone, Copy, Debug)]
pub struct ModelCard<'a> {
    /// The repository, `owner/name`.
    pub repository: &'a str,
    /// Description of the weight file.
    pub about: &'a Description,
    /// Summary of the run.
    pub summary: &'a RunSummary,
    /// Licence of the weights, as the Hub names it, such as `mit`.
    pub licence: Option<&'a str>,
    /// Whether there is an ONNX file too.
    pub has_onnx: bool,
}

impl ModelCard<'_> {
    /// Returns the page in Markdown.
    pub fn markdown(&self) -> String {
        let name = self.repository.rsplit('/').next().unwrap_or_default();
        // JSON is YAML, and quotes whatever a name holds.
        let front: String = self.front_matter(name).iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        let Description { preset, step, data, latent, .. } = self.about;
        let shape: Vec<String> = data.shape.iter().map(ToString::to_string).collect();
        let kind = if data.shape.len() == 3 { "images" } else { "points" };
        let made = match data.shape.len() {
            3 => format!("{} images", shape.join("×")),
            _ => format!("points with {} coordinates", shape.join("×")),
        };
        let mut page = format!("---\n{front}---\n\n# {name}\n\n![Samples](samples.png)\n\n");
        let _ = writeln!(
            page,
            "A generator of {made}, trained for {} steps on `{}` with the preset `{preset}` of [gan](https://github.com/gan-toolkit/gan). It reads {} {} \
             numbers.\n",
            grouped(*step as usize),
            data.name,
            latent.dim,
            format!("{:?}", latent.distribution).to_lowercase(),
        );
        if !data.classes.is_empty() {
            let _ = writeln!(page, "Classes: {}.\n", data.classes.join(", "));
        }
        let _ = writeln!(
            page,
            "## Use\n\n```sh\ngan generate hub:{0} --count 64 --out samples.png\ngan interpolate hub:{0} --loop --out loop.gif\n```\n",
            self.repository
        );
        if self.has_onnx {
            let class = if data.classes.is_empty() { "" } else { " `class` holds each sample's class (int64)." };
            let _ = writeln!(
                page,
                "`generator.onnx` runs in onnxruntime and others: `z` `[N, {}]` gives `{kind}` in −1 to 1.{class}\n",
                latent.dim
            );
        }
        page.push_str(&self.evaluation());
        page.push_str("## Training\n\n`config.toml` holds every setting; `gan train config.toml` trains the same network again.\n");
        page
    }

    fn front_matter(&self, name: &str) -> Vec<(&'static str, Value)> {
        let is_image = self.about.data.shape.len() == 3;
        let mut front = vec![("library_name", json!("gan"))];
        front.extend(self.licence.map(|licence| ("license", json!(licence))));
        if is_image {
            front.push(("pipeline_tag", json!("unconditional-image-generation")));
        }
        let onnx = self.has_onnx.then_some("onnx");
        let tags: Vec<&str> = ["gan", "candle", "rust"].into_iter().chain(onnx).collect();
        front.push(("tags", json!(tags)));
        if let Some(best) = &self.summary.best {
            let data = &self.about.data.name;
            let metrics: Vec<Value> = best
                .card
                .figures
                .iter()
                .map(|figure| json!({ "type": figure.metric.key, "name": figure.metric.title, "value": figure.value }))
                .collect();
            let task = json!({ "type": if is_image { "unconditional-image-generation" } else { "other" } });
            let result = json!({ "task": task, "dataset": { "type": data, "name": data }, "metrics": metrics });
            front.push(("model-index", json!([{ "name": name, "results": [result] }])));
        }
        front
    }

    fn evaluation(&self) -> String {
        let Some(best) = &self.summary.best else { return String::new() };
        let mut text = String::from("## Evaluation\n\n| metric | value | real samples |\n|---|---|---|\n");
        for figure in &best.card.figures {
            let floor = figure.floor.map(format_value).unwrap_or_default();
            let _ = writeln!(text, "| {} | {} | {floor} |", figure.metric.title, format_value(figure.value));
        }
        let _ = writeln!(text, "\nMeasured at step {}:\n", grouped(best.step as usize));
        for (name, value) in best.card.provenance() {
            let _ = writeln!(text, "- {name}: {value}");
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_summary::Best;
    use gan_metrics::{Card, Metric};

    fn about() -> Description {
        serde_json::from_value(json!({
            "format": gan_core::weights::FORMAT, "network": "generator", "input": [100], "layers": ["tanh"], "preset": "mnist", "step": 12000, "seed": 1, "library": "0",
            "latent": { "dim": 100, "distribution": "normal" },
            "data": { "name": "mnist", "shape": [1, 28, 28], "range": [-1.0, 1.0], "classes": ["0", "1"] }
        }))
        .unwrap()
    }

    fn summary() -> RunSummary {
        let card: Card = serde_json::from_value(json!({
            "subject": "x", "figures": [{"metric": "fd_digits", "value": 0.5, "floor": 0.1}], "samples": 2000, "seed": 1,
            "reference": {"data": "mnist", "split": "test", "samples": 10000, "floor_split": "training samples", "hash": "00"},
            "embedder": {"name": "digits", "hash": "11", "dim": 64}, "library": "0"
        }))
        .unwrap();
        let best = Best { metric: Metric::find("fd_digits").unwrap(), value: 0.5, step: 8000, card, last: (8000, 0.5) };
        RunSummary { best: Some(best), alarms: vec![], steps: 12000, evaluates: true }
    }

    #[test]
    fn a_card_says_what_it_is_how_to_use_it_and_how_good() {
        let about = about();
        let summary = summary();
        let card = ModelCard {
            repository: "a/digits",
            about: &about,
            summary: &summary,
            licence: Some("mit"),
            has_onnx: true,
        };
        let page = card.markdown();
        for part in [
            "---\nlibrary_name: \"gan\"\nlicense: \"mit\"\npipeline_tag: \"unconditional-image-generation\"\n",
            "\"metrics\":[{\"name\":",
            "# digits\n",
            "A generator of 1×28×28 images, trained for 12,000 steps on `mnist` with the preset `mnist`",
            "Classes: 0, 1.",
            "gan generate hub:a/digits --count 64",
            "`z` `[N, 100]` gives `images`",
            "| 0.500 | 0.100 |",
            "Measured at step 8,000:",
        ] {
            assert!(page.contains(part), "{part:?} is not in\n{page}");
        }
    }

    #[test]
    fn a_run_without_evaluation_claims_nothing() {
        let about = about();
        let summary = RunSummary { best: None, ..summary() };
        let page = ModelCard { repository: "a/b", about: &about, summary: &summary, licence: None, has_onnx: false }
            .markdown();
        assert!(
            !page.contains("## Evaluation") && !page.contains("model-index") && !page.contains("license"),
            "{page}"
        );
    }
}
