//! Patterns with `*`, `?` and `{a,b}`, as in Argo CD's projects and directory sources.

/// Whether a pattern matches a whole text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    if let Some(alternatives) = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return alternatives.split(',').any(|one| matches(one, text));
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // the position of the last star, and the end of the text that it matches so far
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, end)) => {
                    star = Some((at, end + 1));
                    (p, t) = (at + 1, end + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_anything() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*.yaml", "x.yaml", true),
            ("?.yaml", "xy.yaml", false),
            ("{a.yaml,b*}", "bcd", true),
            ("https://example.org/*", "https://example.org/a/b", true),
            ("**a**", "xax", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
