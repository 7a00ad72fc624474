//! Responses to `gan data fetch`: a commit and, after separators, a page of the list of files and a `Link` header.

use crate::place::{joined, parts};
use crate::target::{Memory, Outcome, Seed, Target};
use gan_hub::answers::{Refusal, commit, files, next_page};
use std::path::{Component, Path};

/// Reads the responses and checks that all paths in them are inside the repository.
pub const TARGET: Target = Target {
    name: "fetch",
    body,
    seeds,
    tokens: TOKENS,
    names: Vec::new,
    memory: Memory { mebibytes: 1, per_byte: 64 },
};

const TOKENS: &[&str] = &[
    "\n=====\n",
    "{\"sha\":\"",
    "\"path\":\"",
    "\"lfs\":{",
    "\"oid\":\"",
    "\"size\":",
    ".parquet",
    "../",
    "/",
    "\\\\",
    "\\u0000",
    "..",
    "//",
    "<",
    ">",
    "; rel=\"next\"",
    ",",
    "null",
    "[",
    "]",
    "{",
    "}",
];

fn body(input: &[u8]) -> Outcome {
    let [sha, page, link] = parts(input);
    let words = |refusal: Refusal| match refusal {
        Refusal::Passing(found) | Refusal::Final(found) => found,
    };
    let sha = commit(sha.unwrap_or_default()).map_err(words)?;
    assert!(!sha.is_empty() && sha.bytes().all(|digit| digit.is_ascii_hexdigit()));
    for file in files(page.unwrap_or_default(), ".parquet").map_err(words)? {
        let inside = Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside && file.path.ends_with(".parquet"), "{}", file.path);
        assert!(file.sha256.len() == 64 && file.sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
    }
    next_page(std::str::from_utf8(link.unwrap_or_default())?);
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let sum = "0123456789abcdef".repeat(4);
    let page = format!(
        "[{{\"path\":\"README.md\"}},{{\"path\":\"mnist/train-00000-of-00001.parquet\",\"lfs\":{{\"oid\":\"{sum}\",\"size\":15561616}}}}]"
    );
    let link = b"<https://huggingface.co/api/datasets/a/b/tree/0?cursor=x>; rel=\"next\"";
    vec![("answers", joined(&[b"{\"sha\":\"77f3279092a1c1579b2250db8eafed0ad422088c\"}", page.as_bytes(), link]))]
}
