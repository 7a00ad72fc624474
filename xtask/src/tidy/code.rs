//! Rust source, split into code, comments, and texts (strings and characters).

/// What a piece of source is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// Returns the source with everything that is no code replaced by spaces. Line breaks stay.
pub fn only(source: &str) -> String {
    let blank = |c| if c == '\n' { '\n' } else { ' ' };
    let mut out = String::with_capacity(source.len());
    for (kind, piece) in pieces(source) {
        match kind {
            Kind::Code => out.push_str(piece),
            Kind::Comment | Kind::Text => out.extend(piece.chars().map(blank)),
        }
    }
    out
}

/// Returns the line of each string, counted from 1, and its content as it is written.
pub fn strings(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut line = 1;
    for (kind, piece) in pieces(source) {
        if kind == Kind::Text {
            found.push((line, piece.trim_start_matches('r').trim_matches('#').trim_matches('"')));
        }
        line += piece.matches('\n').count();
    }
    found
}

/// Splits the source. The `b` and `c` of `b"…"` and `c"…"` count as code, which does no harm. No name ends before a quote or `#"`, so an
/// `r` there starts a raw string.
fn pieces(source: &str) -> impl Iterator<Item = (Kind, &str)> {
    let mut rest = source;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.len_utf8();
        let (kind, length) = match rest.as_bytes() {
            [b'/', b'/', ..] => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => (Kind::Comment, block_comment(rest)),
            [b'"', ..] => (Kind::Text, string(rest)),
            [b'r', b'"' | b'#', ..] => (Kind::Text, raw_string(rest)),
            [b'\'', ..] => (Kind::Text, character(rest)),
            _ => (Kind::Code, first),
        };
        let (kind, length) = if length == 0 { (Kind::Code, first) } else { (kind, length) };
        let (piece, after) = rest.split_at(length);
        rest = after;
        Some((kind, piece))
    })
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return at + 1,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`; 0 for a raw name such as `r#type`.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let body = 1 + hashes + 1;
    if rest.as_bytes().get(body - 1) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len())
}

/// `'x'`, `'\n'`, `'\u{1F600}'`; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            rest[from..].find('\'').map_or(rest.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_removed() {
        for (source, wanted) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"a "b \" // c" d"#, "a             d"),
            ("a r#\"b\"c\"# d", "a          d"),
            (r#"a br"b\" c"#, "a b      c"),
            ("r#type r", "r#type r"),
            ("'a' 'b", "    'b"),
            (r"'\'' 'x", "     'x"),
            (r"'\u{1F600}' x", "            x"),
            ("<'a, 'b>(&'a str)", "<'a, 'b>(&'a str)"),
            ("'é' x", "    x"),
            ("\"x\ny\" z", "  \n   z"),
        ] {
            assert_eq!(only(source), wanted, "{source}");
        }
    }

    #[test]
    fn strings_come_with_their_lines() {
        let source = "f(\"a\", 'b') // \"c\"\n/* \"d\"\n*/ r#\"e\"# \"f\ng\" b\"h\"";
        assert_eq!(strings(source), [(1, "a"), (1, "'b'"), (3, "e"), (3, "f\ng"), (4, "h")]);
    }

    #[test]
    fn unterminated_strings_extend_to_the_end() {
        for source in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "\"abc\\", "'"] {
            assert_eq!(only(source).len(), source.len(), "{source}");
        }
    }
}
