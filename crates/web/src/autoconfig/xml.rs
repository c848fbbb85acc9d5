//! Text in XML.

/// Text as it stands in an element or between quotes. What XML cannot say at all is left out.
///
/// Standards: XML 1.0 §2.2 and §2.4.
pub(crate) fn text(plain: &str) -> String {
    let allowed = |character: &char| matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    crate::page::escape(&plain.chars().filter(allowed).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_xml_cannot_say_is_left_out() {
        for (plain, written) in [
            ("a&b<c>\"'", "a&amp;b&lt;c&gt;&quot;&#39;"),
            ("ä\u{1F4E7}\u{FFFE}\u{0}\u{1b}x", "ä\u{1F4E7}x"),
            ("]]>", "]]&gt;"),
        ] {
            assert_eq!(text(plain), written);
        }
    }
}
