//! Patterns as Argo CD matches them, in its projects and in directory sources: `*`, `**`, `?`, `[a-z]`, `[!a]`, `{a,b}` and `\x`.
//!
//! Source: <https://github.com/gobwas/glob>

/// More alternatives than this are not tried.
const MAX_ALTERNATIVES: usize = 1000;

/// One part of a pattern without alternatives.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Char(char),
    /// `?`: one character, not a separator.
    One,
    /// `*`: any number of characters, not separators.
    Some,
    /// `**`: any number of characters.
    Any,
    /// `[a-z]` or `[!a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Whether a pattern matches a whole text. A separator, such as `/`, is matched by itself and by `**` only. A malformed pattern matches
/// nothing, as in Argo CD.
pub(crate) fn matches(pattern: &str, text: &str, separator: Option<char>) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let Some(alternatives) = alternatives(&pattern) else { return false };
    alternatives.iter().filter_map(|one| tokens(one)).any(|tokens| fits(&tokens, &text, separator))
}

/// The pattern with each choice of its alternatives, without braces; `None` if it is malformed or has too many.
fn alternatives(pattern: &[char]) -> Option<Vec<Vec<char>>> {
    let Some(open) = unescaped(pattern, 0, '{') else { return Some(vec![pattern.to_vec()]) };
    let (mut depth, mut start, mut choices) = (0, open + 1, Vec::new());
    let mut at = open;
    // what is not closed ends with the pattern
    while at < pattern.len() {
        match pattern[at] {
            '\\' => at += 1,
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&pattern[start..at]);
                start = at + 1;
            }
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    let close = at.min(pattern.len());
    choices.push(&pattern[start..close]);
    let rest = pattern.get(close + 1..).unwrap_or_default();
    let mut all = Vec::new();
    for choice in choices {
        all.extend(alternatives(&[&pattern[..open], choice, rest].concat())?);
        if all.len() > MAX_ALTERNATIVES {
            return None;
        }
    }
    Some(all)
}

fn unescaped(pattern: &[char], from: usize, wanted: char) -> Option<usize> {
    let mut at = from;
    while at < pattern.len() {
        match pattern[at] {
            '\\' => at += 1,
            c if c == wanted => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn tokens(pattern: &[char]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        let token = match pattern[at] {
            '\\' => {
                at += 1;
                Token::Char(*pattern.get(at)?)
            }
            '*' if pattern.get(at + 1) == Some(&'*') => {
                at += 1;
                Token::Any
            }
            '*' => Token::Some,
            '?' => Token::One,
            '[' => {
                let end = unescaped(pattern, at, ']')?;
                let negated = pattern.get(at + 1) == Some(&'!');
                let inner = &pattern[at + 1 + usize::from(negated)..end];
                at = end;
                Token::Class { negated, ranges: ranges(inner)? }
            }
            c => Token::Char(c),
        };
        tokens.push(token);
        at += 1;
    }
    Some(tokens)
}

fn ranges(inner: &[char]) -> Option<Vec<(char, char)>> {
    match inner {
        [] => None,
        [from, '-', to] => Some(vec![(*from, *to)]),
        chars if chars.contains(&'-') => None,
        chars => Some(chars.iter().map(|c| (*c, *c)).collect()),
    }
}

/// Follows every way through the pattern at once, so that the time is at most the product of both lengths.
fn fits(tokens: &[Token], text: &[char], separator: Option<char>) -> bool {
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    skip_stars(tokens, &mut reached);
    for c in text {
        let mut next = vec![false; tokens.len() + 1];
        let separates = separator == Some(*c);
        for (at, token) in tokens.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match token {
                Token::Any => next[at] = true,
                Token::Some => next[at] |= !separates,
                Token::One => next[at + 1] |= !separates,
                Token::Char(wanted) => next[at + 1] |= wanted == c,
                Token::Class { negated, ranges } => {
                    next[at + 1] |= ranges.iter().any(|(from, to)| (from..=to).contains(&c)) != *negated;
                }
            }
        }
        reached = next;
        skip_stars(tokens, &mut reached);
    }
    reached[tokens.len()]
}

/// A star may match nothing.
fn skip_stars(tokens: &[Token], reached: &mut [bool]) {
    for (at, token) in tokens.iter().enumerate() {
        if reached[at] && matches!(token, Token::Some | Token::Any) {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of gobwas/glob 0.2.3, which Argo CD 3.5 uses, without a separator and with `/`.
    #[test]
    fn patterns_match_as_in_argo_cd() {
        for (pattern, text, whole, by_parts) in [
            ("*", "", true, true),
            ("a*c", "abbc", true, true),
            ("a*c", "abcd", false, false),
            ("*.yaml", "x.yaml", true, true),
            ("*.yaml", "a/x.yaml", true, false),
            ("**.yaml", "a/x.yaml", true, true),
            ("?.yaml", "xy.yaml", false, false),
            ("a?b", "a/b", true, false),
            ("{a.yaml,b*}", "bcd", true, true),
            ("x/{a,b}/*.{yaml,yml}", "x/b/c.yml", true, true),
            ("x/{a,b{1,2}}", "x/b2", true, true),
            ("https://example.org/*", "https://example.org/a", true, true),
            ("https://example.org/*", "https://example.org/a/b", true, false),
            ("https://example.org/**", "https://example.org/a/b", true, true),
            ("**a**", "xax", true, true),
            ("[a-c]x", "bx", true, true),
            ("[a-c]x", "dx", false, false),
            ("[!a-c]x", "dx", true, true),
            ("[abd]x", "dx", true, true),
            ("a\\*", "a*", true, true),
            ("a\\*", "ab", false, false),
            ("{a", "a", true, true),
            ("{}", "{}", false, false),
            ("{a,}x", "x", true, true),
            ("[a", "a", false, false),
            ("[a-c1]x", "1x", false, false),
            ("[!a]", "/", true, true),
            ("a}", "a}", true, true),
        ] {
            assert_eq!(matches(pattern, text, None), whole, "{pattern} {text}");
            assert_eq!(matches(pattern, text, Some('/')), by_parts, "{pattern} {text}, by parts");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_little_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(400), None));
        assert!(!matches(&"{a,b}".repeat(500), "a", None));
    }
}
