//! Edits the `trainers:` of a cluster's file as text, so that comments and order stay: the images of training programs, by name.

/// The text with this image for a program. `trainers:` is added below `trainerImage:` if there is none.
///
/// # Errors
/// The line, from 1, and what is wrong there.
pub(super) fn pin(text: &str, name: &str, image: &str) -> Result<String, (usize, String)> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (at, indent) = match key(&lines, 0, "trainers") {
        Some(at) => {
            let indent = indent(&lines[at]);
            let rest = lines[at].trim_start()["trainers:".len()..].trim();
            if rest == "{}" {
                lines[at] = format!("{}trainers:", " ".repeat(indent));
            } else if !rest.is_empty() && !rest.starts_with('#') {
                let message = "write trainers: with one program a line (`name: image`): only such lines can be edited without changing anything else";
                return Err((at + 1, message.to_owned()));
            }
            (at, indent)
        }
        None => {
            let Some(at) = key(&lines, 0, "trainerImage") else {
                return Err((1, "it has no trainerImage, below which trainers: belongs".to_owned()));
            };
            let indent = indent(&lines[at]);
            lines.insert(at + 1, format!("{}trainers:", " ".repeat(indent)));
            (at + 1, indent)
        }
    };
    let inside = |line: &String| !line.trim().is_empty() && self::indent(line) > indent;
    let end = (at + 1..lines.len()).take_while(|line| inside(&lines[*line])).last().map_or(at + 1, |last| last + 1);
    let deeper =
        (at + 1..end).find(|line| !is_comment(&lines[*line])).map_or(indent + 2, |line| self::indent(&lines[line]));
    let start = " ".repeat(deeper);
    match key(&lines[..end], at + 1, name) {
        Some(old) => {
            let comment = lines[old].find(" #").map(|hash| format!("   {}", lines[old][hash..].trim_start()));
            lines[old] = format!("{start}{name}: {image}{}", comment.unwrap_or_default());
        }
        None => lines.insert(end, format!("{start}{name}: {image}")),
    }
    Ok(lines.join("\n") + "\n")
}

/// The first line, from this one on, with a key of this name.
fn key(lines: &[String], from: usize, name: &str) -> Option<usize> {
    let is = |line: &String| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    (from..lines.len()).find(|at| is(&lines[*at]))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "spec:\n  trainerImage: r/trainer:1   # of new jobs\n  maxTrials: 1\n";

    #[test]
    fn the_first_one_comes_below_the_trainer() {
        let first = pin(TEXT, "torch-cnn", "r/torch-cnn@d").unwrap();
        let expected = TEXT.replace("  maxTrials", "  trainers:\n    torch-cnn: r/torch-cnn@d\n  maxTrials");
        assert_eq!(first, expected);
        assert_eq!(pin(&first, "torch-cnn", "r/torch-cnn@d").unwrap(), first);
        let second = pin(&first, "wine", "r/wine@d").unwrap();
        assert_eq!(second, expected.replace("  maxTrials", "    wine: r/wine@d\n  maxTrials"));
        assert_eq!(
            pin("spec:\n  trainerImage: a\n  trainers: {}\n", "b", "c@d").unwrap(),
            "spec:\n  trainerImage: a\n  trainers:\n    b: c@d\n"
        );
    }

    #[test]
    fn an_entry_is_replaced_and_all_else_stays() {
        let text = "spec:\n  trainers:   # ours\n    # the small one\n    wine: r/wine@old   # kept\n    torch-cnn: r/t@old\n\n  trainerImage: r/trainer:1\n";
        let new = pin(text, "wine", "r/wine@new").unwrap();
        assert_eq!(new, text.replace("r/wine@old", "r/wine@new"));
    }

    #[test]
    fn what_cannot_be_edited_is_an_error_with_its_line() {
        let (line, message) = pin("spec:\n  trainers: {wine: a}\n", "wine", "b").unwrap_err();
        assert!(line == 2 && message.contains("one program a line"), "{message}");
        assert_eq!(pin("spec: {}\n", "wine", "b").unwrap_err().0, 1);
    }
}
