//! The format of Debian's control files: paragraphs of `Field: value` lines.
//! <https://manpages.debian.org/bookworm/dpkg-dev/deb822.5>

/// The paragraphs of a text, each a list of fields in order. Values keep the line breaks of continuation lines.
pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = Vec<(&str, String)>> {
    text.split("\n\n").map(fields).filter(|fields| !fields.is_empty())
}

fn fields(paragraph: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name, value.trim().to_owned()));
        }
    }
    fields
}

/// A field's value; the case of its name does not matter.
pub(crate) fn field<'a>(fields: &'a [(&str, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_continuations() {
        let text = "Package: a\nDepends: b,\n c\n\n\nPackage: d\n";
        let found: Vec<_> = paragraphs(text).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(field(&found[0], "depends"), Some("b,\nc"));
        assert_eq!(field(&found[1], "Package"), Some("d"));
    }
}
