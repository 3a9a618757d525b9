//! `${name}` in the command and the arguments of a program.

use std::collections::BTreeMap;

use crate::Parameter;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// Stays as it is.
    Text(&'t str),
    /// `${name}`: the value of the parameter stands here.
    Name(&'t str),
}

/// Why a text has no parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TemplateError<'t> {
    /// A `${` without its `}`.
    Open,
    /// Between `${` and `}` is something that cannot be the name of a parameter.
    Name(&'t str),
}

/// The parts of a text. `$${` is a literal `${`; any other `$` stays as it is.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>, TemplateError<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            parts.extend([Part::Text(before), Part::Text("${")]);
            rest = &rest[at + 2..];
            continue;
        }
        parts.push(Part::Text(&rest[..at]));
        let (name, after) = rest[at + 2..].split_once('}').ok_or(TemplateError::Open)?;
        if !Parameter::is_name(name) {
            return Err(TemplateError::Name(name));
        }
        parts.push(Part::Name(name));
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// The text with the values of the parameters. A text that [`parts`] refuses, or a name without a value, stays as it is: reading the
/// experiment refuses both.
pub(crate) fn substitute(text: &str, parameters: &BTreeMap<String, Parameter>) -> String {
    let Ok(parts) = parts(text) else { return text.to_owned() };
    let value = |part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Name(name) => parameters.get(name).map_or_else(|| format!("${{{name}}}"), Parameter::to_string),
    };
    parts.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "")]
    #[case("--lr=${lr}", "--lr=0.001")]
    #[case("${lr}${lr}", "0.0010.001")]
    #[case("${text}", "${lr} $(HOME)")]
    #[case("$${lr}", "${lr}")]
    #[case("$$${lr}", "$${lr}")]
    #[case("$${lr} ${lr}", "${lr} 0.001")]
    #[case("$lr $ $$ $(lr) }{ €", "$lr $ $$ $(lr) }{ €")]
    fn values_stand_for_names(#[case] text: &str, #[case] expected: &str) {
        let parameters = [("lr", "0.001"), ("text", "${lr} $(HOME)")];
        let parameters =
            parameters.into_iter().map(|(name, text)| (name.to_owned(), Parameter::Text(text.to_owned()))).collect();
        assert_eq!(substitute(text, &parameters), expected);
    }

    #[rstest]
    #[case("${lr", TemplateError::Open)]
    #[case("a $${b} ${", TemplateError::Open)]
    #[case("${}", TemplateError::Name(""))]
    #[case("${HOME:-/root}", TemplateError::Name("HOME:-/root"))]
    #[case("${ lr }", TemplateError::Name(" lr "))]
    fn refuses(#[case] text: &str, #[case] error: TemplateError<'_>) {
        assert_eq!(parts(text), Err(error));
    }
}
