//! Lists of glob patterns, in which a later pattern can keep what an earlier one left out.

use glob::{MatchOptions, Pattern};

/// Names, or paths with `/` between their parts, that a declaration leaves out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns(Vec<One>);

#[derive(Clone, Debug)]
struct One {
    pattern: Pattern,
    /// It began with `!`.
    keeps: bool,
}

/// `*` does not cross a `/`; `**` does.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

impl Patterns {
    /// The patterns of these texts; the error names the text that is not one.
    pub(crate) fn new(texts: &[String]) -> Result<Self, String> {
        let one = |text: &String| {
            let (keeps, rest) = text.strip_prefix('!').map_or((false, text.as_str()), |rest| (true, rest));
            let pattern = Pattern::new(rest).map_err(|error| format!("{text:?} is not a pattern: {error}"))?;
            Ok(One { pattern, keeps })
        };
        texts.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the name is left out: the last pattern that matches it decides.
    pub(crate) fn leave_out(&self, name: &str) -> bool {
        let last = self.0.iter().rev().find(|one| one.pattern.matches_with(name, OPTIONS));
        last.is_some_and(|one| !one.keeps)
    }

    /// The first pattern that matches none of the names.
    pub(crate) fn useless<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Option<&str> {
        let matches = |one: &One| names.clone().any(|name| one.pattern.matches_with(name, OPTIONS));
        self.0.iter().find(|one| !matches(one)).map(|one| one.pattern.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn patterns(texts: &[&str]) -> Patterns {
        Patterns::new(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[rstest]
    #[case("nvidia-nccl", true)]
    #[case("nvidia-cuda-runtime", false)]
    #[case("triton", true)]
    #[case("triton-ext", false)]
    #[case("torch", false)]
    fn the_last_match_decides(#[case] name: &str, #[case] out: bool) {
        assert_eq!(patterns(&["nvidia-*", "!nvidia-cuda-*", "triton"]).leave_out(name), out);
    }

    #[rstest]
    #[case("torch/include/a.h", true)]
    #[case("torch/include/a/b.h", true)]
    #[case("torch/bin/protoc", true)]
    #[case("torch/bin/a/b", false)]
    #[case("torchgen/include/a.h", false)]
    fn two_stars_cross_folders(#[case] path: &str, #[case] out: bool) {
        assert_eq!(patterns(&["torch/include/**", "torch/bin/*"]).leave_out(path), out);
    }

    #[test]
    fn a_malformed_pattern_is_named() {
        assert!(Patterns::new(&["a[".to_owned()]).unwrap_err().contains("\"a[\" is not a pattern"));
        assert_eq!(patterns(&["a*", "b*"]).useless(["aa", "c"].into_iter()), Some("b*"));
        assert_eq!(patterns(&["a*"]).useless(["aa"].into_iter()), None);
    }
}
