//! Edits the `images:` of a kustomization as text, so that comments and order stay.
//! <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/>

use std::ops::Range;

use serde::Deserialize;

/// One entry of `images:`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(rename = "newName")]
    _new_name: Option<String>,
    #[serde(rename = "newTag")]
    _new_tag: Option<String>,
    #[serde(rename = "digest")]
    _digest: Option<String>,
    #[serde(rename = "tagSuffix")]
    _tag_suffix: Option<String>,
}

/// The text with this repository and digest in every entry for the image (`name`, or `anything/name`); `None` if there is no entry.
///
/// # Errors
/// The line, from 1, and what is wrong there.
pub(super) fn pin(text: &str, name: &str, repository: &str, digest: &str) -> Result<Option<String>, (usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let Some(start) = lines.iter().position(|line| line.starts_with("images:")) else { return Ok(None) };
    let rest = lines[start]["images:".len()..].trim();
    if !rest.is_empty() && !rest.starts_with('#') {
        let here = rest.contains(name);
        let message = "write images: as a list with one entry a line (`- name: …`): only such a list can be edited without changing anything else";
        return if here { Err((start + 1, message.to_owned())) } else { Ok(None) };
    }
    let mut new: Vec<String> = lines[..=start].iter().map(|line| (*line).to_owned()).collect();
    let mut found = false;
    let end = (start + 1..lines.len()).find(|at| ends(lines[*at])).unwrap_or(lines.len());
    let entries = entries(&lines, start + 1..end);
    let mut last = start + 1;
    for range in entries {
        new.extend(lines[last..range.start].iter().map(|line| (*line).to_owned()));
        last = range.end;
        let body = &lines[range.clone()];
        let indent = body[0].len() - body[0].trim_start().len();
        let entry = read(body, indent).map_err(|message| (range.start + 1, message))?;
        if entry.name != name && entry.name.rsplit('/').next() != Some(name) {
            new.extend(body.iter().map(|line| (*line).to_owned()));
            continue;
        }
        found = true;
        let space = " ".repeat(indent);
        new.push(format!("{space}- name: {}", entry.name));
        new.push(format!("{space}  newName: {repository}"));
        new.push(format!("{space}  digest: {digest}"));
        new.extend(body.iter().filter(|line| line.trim_start().starts_with('#')).map(|line| (*line).to_owned()));
    }
    new.extend(lines[last..].iter().map(|line| (*line).to_owned()));
    Ok(found.then(|| new.join("\n") + "\n"))
}

/// Whether a line ends the list, because it is a key at the top level.
fn ends(line: &str) -> bool {
    line.chars().next().is_some_and(|first| !matches!(first, ' ' | '-' | '#' | '\t'))
}

/// The lines of each entry, without the blank lines and comments that follow it.
fn entries(lines: &[&str], within: Range<usize>) -> Vec<Range<usize>> {
    let begins: Vec<usize> = within.clone().filter(|at| lines[*at].trim_start().starts_with("- ")).collect();
    let mut found = Vec::new();
    for (number, start) in begins.iter().enumerate() {
        let next = begins.get(number + 1).copied().unwrap_or(within.end);
        let indent = lines[*start].len() - lines[*start].trim_start().len();
        let belongs = |at: &usize| {
            let line = lines[*at];
            !line.trim().is_empty() && line.len() - line.trim_start().len() > indent
        };
        let end = (*start..next).rev().find(belongs).map_or(*start, |last| last) + 1;
        found.push(*start..end.max(start + 1));
    }
    found
}

fn read(body: &[&str], indent: usize) -> Result<Entry, String> {
    let mut text = body[0][indent..].replacen('-', " ", 1) + "\n";
    for line in &body[1..] {
        text.push_str(line.get(indent..).unwrap_or_default());
        text.push('\n');
    }
    slipway_source::typed("", &text).map_err(|finding| format!("an entry of images: is malformed: {}", finding.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "resources:\n  - ../../base\n# where from\nimages:\n  # the workers\n  - name: slipway/trainer\n    newTag: 0.1.0\n    # kept\n  - {name: server, digest: 'sha256:1'}\n\n  - name: other\n    newTag: '1'\nnamespace: x\n";

    #[test]
    fn an_entry_is_replaced_and_all_else_stays() {
        let new = pin(TEXT, "trainer", "r.io/t/trainer", "sha256:2").unwrap().unwrap();
        let expected = TEXT.replace(
            "    newTag: 0.1.0\n    # kept\n",
            "    newName: r.io/t/trainer\n    digest: sha256:2\n    # kept\n",
        );
        assert_eq!(new, expected);
        assert_eq!(pin(&new, "trainer", "r.io/t/trainer", "sha256:2").unwrap().unwrap(), new);
        let new = pin(TEXT, "server", "r.io/server", "sha256:3").unwrap().unwrap();
        assert_eq!(
            new,
            TEXT.replace(
                "  - {name: server, digest: 'sha256:1'}",
                "  - name: server\n    newName: r.io/server\n    digest: sha256:3"
            )
        );
    }

    #[test]
    fn a_text_without_the_image_is_left_alone() {
        assert_eq!(pin(TEXT, "mlflow", "r", "d").unwrap(), None);
        assert_eq!(pin("resources: []\n", "trainer", "r", "d").unwrap(), None);
    }

    #[test]
    fn an_entry_that_cannot_be_edited_is_an_error_with_its_line() {
        assert_eq!(pin("a: 1\nimages: [{name: trainer}]\n", "trainer", "r", "d").unwrap_err().0, 2);
        let (line, message) = pin("images:\n- name: trainer\n  newtag: 1\n", "trainer", "r", "d").unwrap_err();
        assert!(line == 2 && message.contains("newtag"), "{message}");
    }
}
