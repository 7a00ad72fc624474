//! Files of a run (metrics, evaluations and features), from which the page and the loss plot are made.

use super::training::TINY;
use crate::place::{self, joined, parts};
use crate::target::{Memory, Outcome, Seed, Target};
use gan_report::plot::losses_figure;
use gan_run::report::{RunState, page};
use gan_run::{Existing, RunFolder};
use gan_train::layering;

/// Writes the page of a run from `metrics.jsonl` and, after separators, `evaluations.jsonl` and `planes.jsonl`.
pub const TARGET: Target =
    Target { name: "report", body, seeds, tokens: TOKENS, memory: Memory { mebibytes: 64, per_byte: 2048 } };

const TOKENS: &[&str] = &[
    "\n=====\n",
    "{\"step\":",
    "\"loss_d\":",
    "\"loss_g\":",
    "\"d_real\":",
    "\"accuracy_d\":",
    "\"images_per_s\":",
    "\"epoch\":",
    "\"fid\":",
    "\"alarm\":",
    "\"at\":",
    "\"evidence\":",
    "\"advice\":",
    "\"done\":\"rollback\"",
    "\"card\":{",
    "\"figures\":[",
    "\"metric\":",
    "\"value\":",
    "null",
    "true",
    "[]",
    "{}",
    "\"</script>\"",
    "\"\\u0000\"",
    "1e308",
    "-1e308",
    "1e-308",
    "}\n",
    ",",
];

fn body(input: &[u8]) -> Outcome {
    let dir = place::folder("report")?;
    if !RunFolder::is_run(&dir) {
        RunFolder::create(&dir, &layering::read(TINY.parse()?)?, Existing::Keep)?;
    }
    let files: [Option<&[u8]>; 3] = parts(input);
    for (name, lines) in ["metrics.jsonl", "evaluations.jsonl", "planes.jsonl"].into_iter().zip(files) {
        place::file(&dir, name, lines.unwrap_or_default())?;
    }
    let html = page(&dir, RunState::AtRest)?.html();
    assert!(html.ends_with("</html>\n"), "the page is cut off");
    let figure = losses_figure(&dir.join("metrics.jsonl"))?;
    // Drawing takes longer than everything else together, so only some inputs are drawn.
    if crc32fast::hash(input).is_multiple_of(16) {
        figure.to_picture([300, 600])?;
    }
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let line = |step: u32| {
        format!(
            "{{\"step\":{step},\"epoch\":0,\"loss_d\":1.2,\"loss_g\":0.8,\"d_real\":0.6,\"d_fake_before\":0.4,\"d_fake_after\":0.3,\
             \"accuracy_d\":0.7,\"grad_norm_d\":3.5,\"grad_norm_g\":2,\"images_per_s\":120}}\n"
        )
    };
    let metrics: String = (1..12).map(line).collect();
    let alarm =
        "{\"step\":12,\"alarm\":\"mode_collapse\",\"at\":12,\"evidence\":\"e\",\"advice\":\"a\",\"done\":\"warn\"}\n";
    let evaluation = "{\"step\":10,\"best\":\"fid\",\"card\":{\"subject\":\"s\",\"figures\":[{\"metric\":\"fid\",\"value\":12.5,\"floor\":1.5}],\
                      \"samples\":10,\"seed\":1,\"reference\":{\"data\":\"d\",\"split\":\"train\",\"samples\":10,\"floor_split\":\"test\",\"hash\":\"00\"},\
                      \"embedder\":{\"name\":\"digits\",\"hash\":\"00\",\"dim\":96},\"library\":\"0\"}}\n";
    let metrics = metrics + alarm;
    vec![
        ("metrics", metrics.clone().into_bytes()),
        ("all", joined(&[metrics.as_bytes(), evaluation.as_bytes(), b"{\"step\":1}\n"])),
    ]
}
