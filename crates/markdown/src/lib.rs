//! GitHub's Markdown and lines of a terminal, from texts that nobody has checked: names, values, messages, differences.
//!
//! Each function takes any text and returns Markdown that it cannot leave: no link, mention, heading, HTML or end of a fence or cell in it has
//! an effect. Control characters, and characters that change the direction of writing, are shown as `�`.

/// A text as code within a line. Empty for an empty text.
#[must_use]
pub fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let text = on_one_line(text);
    // a code span ends at as many backquotes as it began with
    let quotes = "`".repeat(longest_run(&text) + 1);
    let gap = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{quotes}{gap}{text}{gap}{quotes}")
}

/// A text as code in a cell of a table, where a `|` would end the cell also within code. Empty for an empty text.
#[must_use]
pub fn cell(text: &str) -> String {
    if text.contains('|') { html_code(text) } else { code(text) }
}

/// A text as code in HTML, such as in a `<summary>`. Empty for an empty text.
#[must_use]
pub fn html_code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut escaped = String::from("<code>");
    for c in on_one_line(text).chars() {
        // whatever has a meaning in Markdown or HTML
        if c == '@' {
            // an address of mail is found in the text that this becomes, unless an element is in it
            escaped.push_str("&#64;<wbr>");
        } else if c.is_ascii_punctuation() && !"-=,/()".contains(c) {
            escaped.push_str(&format!("&#{};", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped + "</code>"
}

/// Lines in a fence that none of them can close, with a line end after it. `language` is what GitHub colours it as, such as `diff`.
#[must_use]
pub fn fenced(language: &str, text: &str) -> String {
    let text = visible(text);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// A text, for where it is not read as Markdown, without characters that would be acted upon instead of shown. Line ends and tabs stay.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c == '\n' || c == '\t' { c } else { shown(c) }).collect()
}

/// At most `most` characters of a text, with a `…` in place of what is left out.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// At most `most` characters of a text that ends with what to do, such as an error: two thirds of them are from its beginning, the others from
/// its end, with a `…` in place of what is left out.
#[must_use]
pub fn shortened_inside(text: &str, most: usize) -> String {
    let all = characters(text);
    if all <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let end = kept / 3;
    text.chars().take(kept - end).chain(['…']).chain(text.chars().skip(all - end)).collect()
}

/// Characters as GitHub counts them: Unicode scalar values.
#[must_use]
pub fn characters(text: &str) -> usize {
    text.chars().count()
}

/// A text on one line, for where it is not read as Markdown, such as the title of a pull request or the subject of a commit.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { shown(c) }).collect()
}

/// The character, unless it would be acted upon instead of shown.
fn shown(c: char) -> char {
    let changes_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || changes_direction { '\u{fffd}' } else { c }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_code_whatever_is_in_it() {
        assert_eq!(code("a*b*@octo"), "`a*b*@octo`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code("a\nb\u{202e}c\u{7}"), "`a b�c�`");
        assert_eq!(code(""), "");
    }

    #[test]
    fn a_cell_has_no_pipe_that_ends_it() {
        assert_eq!(cell("a"), "`a`");
        assert_eq!(cell(r"a\|b"), "<code>a&#92;&#124;b</code>");
        assert_eq!(cell("<b>|@octo"), "<code>&#60;b&#62;&#124;&#64;<wbr>octo</code>");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_it() {
        assert_eq!(fenced("diff", "+ a\n"), "```diff\n+ a\n```\n");
        assert_eq!(fenced("", "```\n````"), "`````\n```\n````\n`````\n");
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_mark() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
        assert_eq!(shortened_inside("äöü", 3), "äöü");
        assert_eq!(shortened_inside("abcdefghij", 7), "abcd…ij");
        assert_eq!([0, 1].map(|most| shortened_inside("ab", most)), ["…", "…"]);
    }
}
