//! Differences as a pull request shows them.

use std::collections::BTreeMap;

use slipway_markdown::{characters, code, fenced, html_code, shortened};

use crate::difference::{Change, Difference};

/// The most characters of the text. GitHub accepts 65,536 in the body of a pull request, and the plan and the warnings need their share.
const MAX_CHARACTERS: usize = 42 * 1024;

/// The most environments that have a section of their own.
const MAX_ENVIRONMENTS: usize = 50;

/// Characters kept for the line that counts what is left out.
const REST: usize = 250;

/// The differences as Markdown: a section for each environment with the counts first, then each object with its diff folded away.
///
/// At most 42 Ki characters for any number of objects. Where the diffs do not fit, objects are listed by name, rare kinds first; where the
/// names do not fit either, objects are counted by kind. Each environment has an equal share of the text.
pub fn markdown(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "No object changes in any environment.\n".to_owned();
    }
    let mut environments: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for one in differences {
        environments.entry(&one.environment).or_default().push(one);
    }
    let shown = environments.len().min(MAX_ENVIRONMENTS);
    let mut text = String::new();
    let mut left = MAX_CHARACTERS - REST;
    for (index, (environment, differences)) in environments.iter().take(shown).enumerate() {
        let section = section(environment, differences, left / (shown - index));
        left -= characters(&section);
        text.push_str(&section);
    }
    if environments.len() > shown {
        text.push_str(&format!("… and {} more environments: `slipway diff` shows them\n", environments.len() - shown));
    }
    text
}

/// One environment in at most `limit` characters.
fn section(environment: &str, differences: &[&Difference], limit: usize) -> String {
    let of = |change| differences.iter().filter(|one| one.change == change).count();
    let (added, changed, removed) = (of(Change::Added), of(Change::Changed), of(Change::Removed));
    let environment = code(&shortened(environment, 100));
    let mut text = format!("### {environment}: {added} added, {changed} changed, {removed} removed\n\n");
    let mut left = limit.saturating_sub(characters(&text) + 1);

    let folded: Vec<String> = differences.iter().map(|one| folded(one)).collect();
    if folded.iter().map(|block| characters(block)).sum::<usize>() <= left {
        folded.iter().for_each(|block| text.push_str(block));
        return text + "\n";
    }
    left = left.saturating_sub(REST);
    // A third of the space is for names, so that the diffs of a few objects do not take it all.
    let names = left / 3;
    let mut omitted: BTreeMap<&str, usize> = BTreeMap::new();
    for index in rare_kinds_first(differences) {
        let line = format!("- {} (the diff is too long to show here)\n", code(&headline(differences[index])));
        let fits = |block: &String, left: usize| characters(block) <= left;
        if fits(&folded[index], left.saturating_sub(names)) {
            left -= characters(&folded[index]);
            text.push_str(&folded[index]);
        } else if fits(&line, left) {
            left -= characters(&line);
            text.push_str(&line);
        } else {
            *omitted.entry(&differences[index].kind).or_default() += 1;
        }
    }
    text + &rest(&omitted) + "\n"
}

/// The line that counts what is left out, in at most [`REST`] characters.
fn rest(omitted: &BTreeMap<&str, usize>) -> String {
    let counted: Vec<String> =
        omitted.iter().map(|(kind, count)| format!("{count} more {}", code(&plural(kind, *count)))).collect();
    let hint = "`slipway diff` shows everything";
    let line = match counted.is_empty() {
        true => format!("\n{hint}\n"),
        false => format!("\n… and {}: {hint}\n", counted.join(", ")),
    };
    if characters(&line) <= REST {
        return line;
    }
    format!("\n… and {} more objects: {hint}\n", omitted.values().sum::<usize>())
}

/// Indices of the differences, those of the rarest kind first, otherwise in their order: a thousand jobs do not hide one deployment.
fn rare_kinds_first(differences: &[&Difference]) -> Vec<usize> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for one in differences {
        *count.entry(&one.kind).or_default() += 1;
    }
    let mut order: Vec<usize> = (0..differences.len()).collect();
    order.sort_by_key(|index| count[differences[*index].kind.as_str()]);
    order
}

fn headline(one: &Difference) -> String {
    let mark = match one.change {
        Change::Added => "+",
        Change::Removed => "−",
        Change::Changed => "~",
    };
    let name = if one.namespace.is_empty() { one.name.clone() } else { format!("{}/{}", one.namespace, one.name) };
    format!("{mark} {} {name} ({})", one.kind, one.application)
}

/// An object with its diff folded away.
fn folded(one: &Difference) -> String {
    let (head, diff) = (html_code(&headline(one)), fenced("diff", &one.diff));
    format!("<details><summary>{head}</summary>\n\n{diff}</details>\n")
}

fn plural(kind: &str, count: usize) -> String {
    let vowel = |c: char| "aeiou".contains(c);
    match kind.strip_suffix('y') {
        _ if count == 1 => kind.to_owned(),
        Some(stem) if !stem.ends_with(vowel) => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}
