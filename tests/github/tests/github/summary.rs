//! Whether the Markdown that a job shows people has an effect that only a text of others could have: read as GitHub reads it.

use anyhow::{Result, bail, ensure};
use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};

/// Fails if something in it links, mentions, embeds, or is HTML that is not ours.
pub(crate) fn has_no_effect(markdown: &str) -> Result<()> {
    let mut options = Options::default();
    options.extension.autolink = true;
    options.extension.table = true;
    options.extension.tasklist = true;
    options.extension.strikethrough = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    options.extension.math_dollars = true;
    options.extension.math_code = true;
    let arena = Arena::new();
    let mut in_code = false;
    for node in parse_document(&arena, markdown, &options).descendants() {
        match &node.data.borrow().value {
            NodeValue::Text(text) => ensure!(in_code || !text.contains('@'), "it mentions somebody: {text:?}"),
            NodeValue::HtmlInline(html) => match html.as_str() {
                "<br>" | "<wbr>" => {}
                "<code>" => in_code = true,
                "</code>" => in_code = false,
                other => bail!("HTML: {other}"),
            },
            NodeValue::HtmlBlock(html) => is_ours(&html.literal)?,
            NodeValue::CodeBlock(block) => ensure!(block.info == "diff", "a block of {:?}", block.info),
            effect @ (NodeValue::Link(_)
            | NodeValue::Image(_)
            | NodeValue::FootnoteDefinition(_)
            | NodeValue::FootnoteReference(_)
            | NodeValue::TaskItem(..)
            | NodeValue::Alert(_)
            | NodeValue::BlockQuote
            | NodeValue::ThematicBreak
            | NodeValue::Strikethrough
            | NodeValue::Math(_)) => bail!("{effect:?}"),
            _ => {}
        }
    }
    Ok(())
}

/// Fails unless a block of HTML consists of folds, and of texts of others as code.
fn is_ours(html: &str) -> Result<()> {
    let mut rest = html.replace("<wbr>", "");
    while let Some((before, after)) = rest.split_once("<code>") {
        let Some((code, after)) = after.split_once("</code>") else { bail!("an open element: {html}") };
        ensure!(!code.contains(['<', '>', '@']), "HTML in code: {code}");
        rest = format!("{before}{after}");
    }
    for ours in ["<details>", "</details>", "<summary>", "</summary>"] {
        rest = rest.replace(ours, "");
    }
    ensure!(!rest.contains(['<', '>', '@']), "HTML: {html}");
    Ok(())
}

#[test]
fn an_effect_is_noticed() {
    for ours in [
        "**1 starts**\n\n### `@ann in local`\n\n| a |\n|---|\n| <code>&#64;ann</code><br>x |\n",
        "<details><summary><code>+ Job x</code></summary>\n\n```diff\n+ @ann <img src=x>\n```\n\n</details>\n",
    ] {
        has_no_effect(ours).unwrap_or_else(|error| panic!("{ours}: {error}"));
    }
    for effect in [
        "@ann",
        "[x](https://evil.example)",
        "https://evil.example",
        "![x](https://evil.example)",
        "x <img src=x>",
        "<script>x</script>",
        "<details><summary><code>x</code> @ann</summary>\n\n</details>\n",
        "<details><summary><code><img src=x></code></summary>\n\n</details>\n",
        "```mermaid\nx\n```\n",
        "> [!CAUTION]\n> x",
        "- [x] x",
    ] {
        assert!(has_no_effect(effect).is_err(), "{effect}");
    }
}
