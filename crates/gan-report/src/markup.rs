//! Escaping of text for HTML, SVG or a script element, so that none of it is parsed as markup.

/// Escapes text for element content and for attributes in double quotes.
pub fn text(plain: &str) -> String {
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no way to write these, and a parser reports them as errors.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escapes JSON for a script element. `<` would open a comment or end the element; JSON only has it inside strings.
pub fn json(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            text("<img src=\"x\" onerror='a()'> & \u{7}"),
            "&lt;img src=&quot;x&quot; onerror=&#39;a()&#39;&gt; &amp; \u{fffd}"
        );
        assert_eq!(text("D(G(z)) → 0.5\n"), "D(G(z)) → 0.5\n");
    }

    #[test]
    fn json_cannot_end_its_element() {
        let value = serde_json::json!({ "</script><!--": "a & b <script>" });
        let written = json(&value);
        assert!(!written.contains(['<', '>', '&']), "{written}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }
}
