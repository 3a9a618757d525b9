//! Addresses in Markdown.

use slipway_markdown::code;

/// The address, if it is one that Markdown can link to; `None` for anything else, such as `javascript:` or a text.
pub(crate) fn address(url: &str) -> Option<&str> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_plain = url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&+,;=%".contains(&byte));
    (is_web && is_plain && url.len() <= 1_000).then_some(url)
}

/// A text as code, which leads to an address if that is one.
pub(crate) fn linked(text: &str, url: Option<&str>) -> String {
    match url.and_then(address) {
        // in a table, where it may stand, a `|` would end the cell
        Some(url) => format!("[{}]({url})", slipway_markdown::cell(text)),
        None => slipway_markdown::cell(text),
    }
}

/// A pull request by its number, which leads to its address if that is one.
pub(crate) fn pull_request(number: u64, url: Option<&str>) -> String {
    match url.and_then(address) {
        Some(url) => format!("[#{number}]({url})"),
        None => code(&format!("#{number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_is_a_link() {
        assert_eq!(linked("a|b", Some("https://x.org/a?b=1#c")), "[<code>a&#124;b</code>](https://x.org/a?b=1#c)");
        for other in
            ["javascript:alert(1)", "https://x.org/)[x](https://y.org", "https://x.org/ y", "/etc", "", "ftp://x"]
        {
            assert_eq!(linked("a", Some(other)), "`a`");
        }
    }
}
