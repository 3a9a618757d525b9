//! Environment markers, evaluated for the platform of an image instead of the machine that pip runs on.
//! <https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers>

use std::cmp::Ordering;

use slipway_oci::Platform;

/// The values of the markers' variables.
#[derive(Debug)]
pub(crate) struct Environment {
    variables: Vec<(&'static str, String)>,
}

impl Environment {
    /// CPython of this version on Linux; `full` has the patch level too.
    pub(crate) fn new(version: &str, full: String, platform: Platform) -> Self {
        let text = str::to_owned;
        Self {
            variables: vec![
                ("os_name", text("posix")),
                ("sys_platform", text("linux")),
                ("platform_system", text("Linux")),
                ("platform_machine", text(platform.machine())),
                ("platform_python_implementation", text("CPython")),
                ("implementation_name", text("cpython")),
                ("implementation_version", full.clone()),
                ("python_version", text(version)),
                ("python_full_version", full),
                ("extra", String::new()),
            ],
        }
    }

    /// Whether a marker holds.
    pub(crate) fn holds(&self, marker: &str) -> Result<bool, String> {
        let tokens = tokens(marker)?;
        let mut rest = tokens.as_slice();
        let value = self.either(&mut rest)?;
        if rest.is_empty() { Ok(value) } else { Err(format!("the marker {marker:?} has something after its end")) }
    }

    fn either(&self, rest: &mut &[Token]) -> Result<bool, String> {
        let mut value = self.both(rest)?;
        while take(rest, "or") {
            value |= self.both(rest)?;
        }
        Ok(value)
    }

    fn both(&self, rest: &mut &[Token]) -> Result<bool, String> {
        let mut value = self.one(rest)?;
        while take(rest, "and") {
            value &= self.one(rest)?;
        }
        Ok(value)
    }

    fn one(&self, rest: &mut &[Token]) -> Result<bool, String> {
        if take(rest, "(") {
            let value = self.either(rest)?;
            return if take(rest, ")") { Ok(value) } else { Err("a marker lacks a closing parenthesis".to_owned()) };
        }
        let (left, left_name) = self.value(rest)?;
        let negated = take(rest, "not");
        let Some((Token::Word(operator), after)) = rest.split_first() else {
            return Err("a marker has no operator".to_owned());
        };
        *rest = after;
        let (right, right_name) = self.value(rest)?;
        let is_version = [left_name, right_name].into_iter().flatten().any(|name| name.contains("version"));
        let order = || if is_version { versions(&left, &right) } else { left.cmp(&right) };
        Ok(match (operator.as_str(), negated) {
            ("==" | "===", false) => order().is_eq(),
            ("!=", false) => order().is_ne(),
            ("<", false) => order().is_lt(),
            ("<=", false) => order().is_le(),
            (">", false) => order().is_gt(),
            (">=", false) => order().is_ge(),
            ("in", negated) => right.contains(&left) != negated,
            (other, _) => return Err(format!("unknown operator {other} in a marker")),
        })
    }

    fn value<'a>(&self, rest: &mut &'a [Token]) -> Result<(String, Option<&'a str>), String> {
        let (token, after) = rest.split_first().ok_or("a marker ends too early")?;
        *rest = after;
        match token {
            Token::Text(text) => Ok((text.clone(), None)),
            Token::Word(name) => {
                let found = self.variables.iter().find(|(variable, _)| variable == name);
                let (_, value) = found.ok_or_else(|| format!("unknown variable {name} in a marker"))?;
                Ok((value.clone(), Some(name)))
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
}

fn take(rest: &mut &[Token], word: &str) -> bool {
    match rest.split_first() {
        Some((Token::Word(found), after)) if found == word => {
            *rest = after;
            true
        }
        _ => false,
    }
}

fn tokens(marker: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = marker.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => {
                let inside = &rest[1..];
                let end = inside.find(first).ok_or_else(|| format!("a string of the marker {marker:?} has no end"))?;
                found.push(Token::Text(inside[..end].to_owned()));
                end + 2
            }
            '(' | ')' => {
                found.push(Token::Word(first.to_string()));
                1
            }
            _ => {
                let same = |c: char| {
                    if "<>=!~".contains(first) {
                        "<>=!~".contains(c)
                    } else {
                        c.is_alphanumeric() || c == '_' || c == '.'
                    }
                };
                let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("{first:?} is not allowed in the marker {marker:?}"));
                }
                found.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(found)
}

/// Compares versions of Python: numbers between dots, missing ones 0.
fn versions(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u32> {
        let mut numbers: Vec<u32> = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        numbers.resize(4, 0);
        numbers
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("sys_platform == 'linux'", true)]
    #[case("sys_platform == 'emscripten' or sys_platform == 'win32'", false)]
    #[case("python_full_version < '3.12'", true)]
    #[case("python_version >= '3.9' and python_version < '3.11'", false)]
    #[case("'3.2' < python_version", true)]
    #[case("(os_name != 'nt') and (platform_machine in 'x86_64 amd64')", true)]
    #[case("platform_machine not in 'x86_64'", false)]
    fn markers(#[case] marker: &str, #[case] holds: bool) {
        let environment = Environment::new("3.11", "3.11.2".into(), Platform::Amd64);
        assert_eq!(environment.holds(marker), Ok(holds), "{marker}");
    }

    #[test]
    fn unknown_variables_and_torn_markers_are_errors() {
        let environment = Environment::new("3.11", "3.11.2".into(), Platform::Amd64);
        assert!(environment.holds("moon == 'full'").unwrap_err().contains("moon"));
        assert!(environment.holds("os_name ==").is_err());
        assert!(environment.holds("os_name == 'posix").is_err());
    }
}
