//! Links between pages: a relative link points at a file that exists, and so does the name of a source file in `docs`.

use super::tree::File;
use super::{Problem, Tree};
use std::path::Path;

/// Checks every relative link of every page, and every source file that `docs` names.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let links = tree.ending(".md").flat_map(|page| check_page(&tree.root, page));
    let docs = tree.ending(".md").filter(|page| page.path.starts_with("docs/"));
    links.chain(docs.flat_map(|page| check_names(tree, page))).collect()
}

fn check_names(tree: &Tree, page: &File) -> Vec<Problem> {
    let exists = |name: &str| tree.ending(".rs").any(|file| format!("/{}", file.path).ends_with(&format!("/{name}")));
    let lines = (1..).zip(page.text.lines());
    let names = lines.flat_map(|(line, text)| text.split('`').skip(1).step_by(2).map(move |name| (line, name)));
    let missing =
        names.filter(|(_, name)| name.ends_with(".rs") && !name.contains([' ', '*', '<', '{']) && !exists(name));
    let message = |name| format!("no source file is called `{name}`; correct the name");
    missing.map(|(line, name)| Problem::new(&page.path, line, message(name))).collect()
}

fn check_page(root: &Path, page: &File) -> Vec<Problem> {
    let at = root.join(&page.path);
    let folder = at.parent().unwrap_or(root);
    let is_missing = |target: &str| local(target).is_some_and(|path| !folder.join(path).exists());
    let problem = |(line, target): (usize, String)| {
        let message = format!("no file at `{target}`, seen from this page; correct the link or add the file");
        Problem::new(&page.path, line, message)
    };
    links(&page.text).into_iter().filter(|(_, target)| is_missing(target)).map(problem).collect()
}

/// Returns line and target of every link, image and link definition outside code.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut fence = None;
    let mut found = Vec::new();
    for (line, text) in (1..).zip(page.lines()) {
        match (fence, fence_mark(text)) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => found.extend(of_line(text).into_iter().map(|target| (line, target))),
        }
    }
    found
}

/// Returns the mark that opens or closes a block of code.
fn fence_mark(line: &str) -> Option<&'static str> {
    ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark))
}

fn of_line(line: &str) -> Vec<String> {
    let text = without_code(line);
    let inline = text.split("](").skip(1).map(|rest| until(rest, ")"));
    let attributes =
        ["src=\"", "href=\""].into_iter().flat_map(|name| text.split(name).skip(1)).map(|rest| until(rest, "\""));
    let definition = text.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:")).map(|pair| pair.1);
    inline.chain(attributes).chain(definition).map(target).filter(|target| !target.is_empty()).collect()
}

/// Returns the line without its `code`. A backtick without a partner stays.
fn without_code(line: &str) -> String {
    let mut parts: Vec<&str> = line.split('`').collect();
    let unpaired = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    let text: String = parts.into_iter().step_by(2).collect();
    text + unpaired.unwrap_or_default()
}

fn until<'a>(text: &'a str, end: &str) -> &'a str {
    text.split(end).next().unwrap_or(text)
}

/// Returns the path of `path "title"` or `<a path>`.
fn target(written: &str) -> String {
    let written = written.trim();
    match written.strip_prefix('<') {
        Some(rest) => until(rest, ">").into(),
        None => written.split_whitespace().next().unwrap_or_default().into(),
    }
}

/// Returns the path of a link into the repository; `None` for an address and for a place on the same page.
fn local(target: &str) -> Option<String> {
    let path = target.split(['#', '?']).next().unwrap_or(target);
    let scheme = path.split_once(':').is_some_and(|(before, _)| !before.contains('/'));
    (!path.is_empty() && !scheme && !path.starts_with("//")).then(|| path.replace("%20", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found() {
        let page = "[a](b.md) and ![c](d/e.png \"title\")\n```\n[no](x.md)\n```\n`[no](y.md)` [f](<g h.md>)\n\n[i]: j.md\n\
                    <img src=\"k.svg\" width=3> [![l](m.png)](n.md)\n~~~\n```\n[no](z.md)\n~~~\n[o](p.md#q)\n";
        let found = links(page);
        let found: Vec<(usize, &str)> = found.iter().map(|(line, target)| (*line, target.as_str())).collect();
        let wanted = [(1, "b.md"), (1, "d/e.png"), (5, "g h.md"), (7, "j.md"), (8, "m.png"), (8, "n.md"), (8, "k.svg")];
        assert_eq!(found[..7], wanted);
        assert_eq!(found[7..], [(13, "p.md#q")]);
    }

    #[test]
    fn source_files_that_docs_name_exist() {
        let page = "`gan-cli/src/print.rs`, `print.rs`\n`cli/src/say.rs` and `x/*.rs`\n";
        let tree = Tree::made(&[("docs/a.md", page), ("b.md", page), ("crates/gan-cli/src/print.rs", "")]);
        let problems = check(&tree);
        assert_eq!(problems.iter().map(|p| (&p.path[..], p.line)).collect::<Vec<_>>(), [("docs/a.md", 2)]);
    }

    #[test]
    fn only_paths_are_looked_up() {
        for (target, path) in [
            ("a/b.md#c", Some("a/b.md")),
            ("../a%20b.md", Some("../a b.md")),
            ("#c", None),
            ("https://example.org/x", None),
            ("mailto:a@example.org", None),
        ] {
            assert_eq!(local(target).as_deref(), path);
        }
    }

    #[test]
    fn missing_files_are_named() {
        let page = "[a](Cargo.toml)\n[b](src/../nowhere.md)\n[c](../xtask)\n";
        let tree = Tree { root: crate::cargo::root(), ..Tree::made(&[("xtask/x.md", page)]) };
        let problems = check(&tree);
        assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [2]);
        assert!(problems[0].to_string().starts_with("xtask/x.md:2: no file at `src/../nowhere.md`"));
    }
}
