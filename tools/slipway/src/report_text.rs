//! A report, or the description of a pull request, for a terminal: what is written as Markdown, without the parts that only a browser shows.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use slipway_markdown::visible;

/// A part of a report or a description as lines of text: tables are aligned, folds are open, charts are named, and nothing of HTML is left.
pub(crate) fn terminal(part: &str) -> String {
    let mut text = String::new();
    let mut lines = part.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("<!--") {
            // only a whole line is a comment: what others wrote never begins one in a report, and a browser hides it in a description too
            if !line.contains("-->") {
                lines.by_ref().find(|line| line.contains("-->"));
            }
        } else if let Some((fence, language)) = opening_fence(line) {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != fence).collect();
            match language {
                "mermaid" => text.push_str(&chart(&inside)),
                // what is in a fence is shown as it is
                _ => inside.iter().for_each(|line| text.push_str(&format!("    {}\n", visible(line)))),
            }
        } else if line.starts_with('|') {
            let mut rows = vec![line];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(row);
            }
            text.push_str(&table(&rows));
        } else {
            let line = inline(without_heading(line));
            if !(line.trim().is_empty() && text.ends_with("\n\n")) {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
    }
    text.trim().to_owned()
}

/// The line that ends a fence which begins here, and the fence's language. Code within a line may begin with as many backquotes, but others
/// follow.
fn opening_fence(line: &str) -> Option<(&str, &str)> {
    let (fence, language) = line.split_at(line.len() - line.trim_start_matches('`').len());
    (fence.len() >= 3 && !language.contains('`')).then_some((fence, language))
}

/// A chart by its title.
fn chart(lines: &[&str]) -> String {
    let title = lines.iter().find_map(|line| line.trim().strip_prefix("title "));
    match title {
        Some(title) => format!("(chart: {}; a browser shows it)\n", visible(title.trim_matches('"'))),
        None => "(a chart, which a browser shows)\n".to_owned(),
    }
}

fn table(rows: &[&str]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        let cells: Vec<String> = cells(row).iter().map(|cell| inline(cell.trim())).collect();
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')));
        // the first row of a table without a head is empty
        if !is_rule && cells.iter().any(|cell| !cell.is_empty()) {
            table.add_row(cells);
        }
    }
    format!("{}\n", table.trim_fmt())
}

/// The cells of a row. A `|` after a backslash is a part of its cell.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in row.trim().trim_start_matches('|').chars() {
        match c {
            '|' if !escaped => cells.push(String::new()),
            _ => cells.last_mut().expect("there is always one").push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    if cells.last().is_some_and(|last| last.trim().is_empty()) {
        cells.pop();
    }
    cells
}

/// A line without the mark of a heading.
fn without_heading(line: &str) -> &str {
    line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')).unwrap_or(line)
}

/// A text without marks of Markdown and HTML. A link keeps its address.
fn inline(text: &str) -> String {
    let mut rest = text;
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        let mark = match c {
            '<' => tag(rest),
            '&' => entity(rest),
            '`' => code(rest),
            '[' => link(rest),
            '*' if rest.starts_with("**") => Some((String::new(), 2)),
            '\\' => escaped(rest),
            _ => None,
        };
        let (shown, length) = mark.unwrap_or_else(|| (c.to_string(), c.len_utf8()));
        text.push_str(&shown);
        rest = &rest[length..];
    }
    visible(&text)
}

/// What is shown of a tag at the beginning, and the length of the tag.
fn tag(text: &str) -> Option<(String, usize)> {
    let is_tag = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let end = text.find('>').filter(|_| is_tag)?;
    let shown = if text.starts_with("<summary>") { "▾ " } else { "" };
    Some((shown.to_owned(), end + 1))
}

/// The character after a backslash at the beginning, and the length of both.
fn escaped(text: &str) -> Option<(String, usize)> {
    let c = text[1..].chars().next().filter(char::is_ascii_punctuation)?;
    Some((c.to_string(), 2))
}

/// The character that an entity at the beginning stands for, and the length of the entity.
fn entity(text: &str) -> Option<(String, usize)> {
    let end = text.find(';')?;
    let c = match &text[1..end] {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        number => char::from_u32(number.strip_prefix('#')?.parse().ok()?)?,
    };
    Some((c.to_string(), end + 1))
}

/// The content of a code span at the beginning, and the length of the span.
fn code(text: &str) -> Option<(String, usize)> {
    let quotes = text.len() - text.trim_start_matches('`').len();
    let mark = &text[..quotes];
    let end = text[quotes..].find(mark)?;
    let inside = &text[quotes..quotes + end];
    let inside = if quotes > 1 { inside.trim() } else { inside };
    Some((inside.to_owned(), 2 * quotes + end))
}

/// The text and the address of a link at the beginning, and the length of the link.
fn link(text: &str) -> Option<(String, usize)> {
    let (inside, rest) = text[1..].split_once("](")?;
    let (address, _) = rest.split_once(')')?;
    let inside_text = inline(inside);
    let shown = if address.starts_with("http") { format!("{inside_text} ({address})") } else { inside_text };
    Some((shown, 1 + inside.len() + 2 + address.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_folds_are_open() {
        let part = "<!-- marker -->\n**Starts 2**, [#7](https://example.org/7)\n\n| | expected |\n|---|---:|\n| CPU-hours | `0.1` |\n| long\\|name | <code>a&#124;b</code> |\n\n\
                    <details><summary>`local`: 2 objects</summary>\n\n```diff\n+ **a** &lt;\n```\n\n</details>\n";
        let expected = "Starts 2, #7 (https://example.org/7)\n\n            expected\n CPU-hours  0.1\n long|name  a|b\n\n▾ local: 2 objects\n\n    + **a** &lt;";
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(lines(&terminal(part)), lines(expected), "{}", terminal(part));
    }

    #[test]
    fn a_chart_is_named_and_nothing_has_an_effect_on_the_terminal() {
        let part = "```mermaid\nxychart-beta\n    title \"loss\"\n```\n<code>&#27;[31m</code> `\u{1b}[2J`\n";
        assert_eq!(terminal(part), "(chart: loss; a browser shows it)\n\u{fffd}[31m \u{fffd}[2J");
    }

    #[test]
    fn what_others_wrote_hides_nothing_that_follows() {
        let part = "```diff\n+ <!-- a\n```\n```` ```b ```` `<!--` c\n<!-- marker\nof two lines -->\nd\n";
        assert_eq!(terminal(part), "+ <!-- a\n```b <!-- c\nd");
    }

    #[test]
    fn what_is_not_closed_is_shown_as_it_is() {
        for text in ["`a", "[a](b", "<a", "a & b", "a <b", "\\", "| a", "```\nb"] {
            assert!(terminal(text).contains(['a', 'b', '\\']), "{text:?}: {:?}", terminal(text));
        }
    }
}
