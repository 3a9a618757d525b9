//! Addresses in Markdown.

/// The address, if it is one that Markdown can link to; `None` for anything else, such as `javascript:` or a text.
pub(crate) fn address(url: &str) -> Option<&str> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_plain = url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&+,;=%".contains(&byte));
    (is_web && is_plain && url.len() <= 1_000).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_the_web_is_one() {
        assert_eq!(address("https://x.org/a?b=1#c"), Some("https://x.org/a?b=1#c"));
        for other in
            ["javascript:alert(1)", "https://x.org/)[x](https://y.org", "https://x.org/ y", "/etc", "", "ftp://x"]
        {
            assert_eq!(address(other), None);
        }
    }
}
