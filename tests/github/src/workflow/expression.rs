//! GitHub's expressions, as far as the project's workflows use them.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>

use anyhow::{Result, bail};
use serde_json::Value;

/// Replaces each `${{ … }}` of a text.
///
/// # Errors
/// For an expression that is not understood.
pub fn interpolate(text: &str, contexts: &Value) -> Result<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${{") {
        let Some((expression, after)) = inside.split_once("}}") else { bail!("`}}}}` is missing: {text}") };
        result.push_str(before);
        result.push_str(&shown(&evaluate(expression, contexts)?));
        rest = after;
    }
    Ok(result + rest)
}

/// The value of an expression without its braces. `contexts` holds `github`, `steps` and the like.
///
/// # Errors
/// For an expression that is not understood.
pub fn evaluate(expression: &str, contexts: &Value) -> Result<Value> {
    let mut reader = Reader { tokens: tokens(expression)?, at: 0, contexts };
    let value = reader.either()?;
    if reader.at < reader.tokens.len() {
        bail!("`{}` is not expected in `{expression}`", reader.tokens[reader.at]);
    }
    Ok(value)
}

/// Whether GitHub takes a value for true.
#[must_use]
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn tokens(expression: &str) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' {
            // a quote inside is doubled
            let mut end = 1;
            loop {
                match rest[end..].find('\'') {
                    None => bail!("a text does not end: {expression}"),
                    Some(at) if rest[end + at + 1..].starts_with('\'') => end += at + 2,
                    Some(at) => break end + at + 1,
                }
            }
        } else if let Some(operator) = ["&&", "||", "==", "!="].iter().find(|operator| rest.starts_with(**operator)) {
            operator.len()
        } else if first.is_ascii_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: Vec<String>,
    at: usize,
    contexts: &'a Value,
}

impl Reader<'_> {
    fn take(&mut self, token: &str) -> bool {
        let taken = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(taken);
        taken
    }

    fn either(&mut self) -> Result<Value> {
        let mut value = self.both()?;
        while self.take("||") {
            let other = self.both()?;
            value = if is_true(&value) { value } else { other };
        }
        Ok(value)
    }

    fn both(&mut self) -> Result<Value> {
        let mut value = self.compared()?;
        while self.take("&&") {
            let other = self.compared()?;
            value = if is_true(&value) { other } else { value };
        }
        Ok(value)
    }

    fn compared(&mut self) -> Result<Value> {
        let value = self.path()?;
        if self.take("==") {
            return Ok(equal(&value, &self.path()?).into());
        }
        if self.take("!=") {
            return Ok((!equal(&value, &self.path()?)).into());
        }
        Ok(value)
    }

    fn path(&mut self) -> Result<Value> {
        let mut value = self.term()?;
        loop {
            if self.take(".") {
                let Some(name) = self.tokens.get(self.at) else { bail!("a name is missing") };
                value = value.get(name.as_str()).cloned().unwrap_or_default();
                self.at += 1;
            } else if self.take("[") {
                let index = self.either()?;
                let element = match &index {
                    Value::String(name) => value.get(name.as_str()),
                    index => index.as_u64().and_then(|index| value.get(usize::try_from(index).ok()?)),
                };
                value = element.cloned().unwrap_or_default();
                if !self.take("]") {
                    bail!("`]` is missing");
                }
            } else {
                return Ok(value);
            }
        }
    }

    fn term(&mut self) -> Result<Value> {
        if self.take("(") {
            let value = self.either()?;
            return if self.take(")") { Ok(value) } else { bail!("`)` is missing") };
        }
        if self.take("!") {
            return Ok((!is_true(&self.path()?)).into());
        }
        let Some(token) = self.tokens.get(self.at).cloned() else { bail!("a value is missing") };
        self.at += 1;
        if let Some(text) = token.strip_prefix('\'') {
            return Ok(text.trim_end_matches('\'').replace("''", "'").into());
        }
        if let Ok(number) = token.parse::<u64>() {
            return Ok(number.into());
        }
        if self.take("(") {
            let mut arguments = Vec::new();
            while !self.take(")") {
                arguments.push(self.either()?);
                if !self.take(",") && self.tokens.get(self.at).is_none_or(|next| next != ")") {
                    bail!("`)` is missing");
                }
            }
            return self.called(&token, &arguments);
        }
        match token.as_str() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            "null" => Ok(Value::Null),
            name => match self.contexts.get(name) {
                Some(value) => Ok(value.clone()),
                None => bail!("`{name}` is not known here"),
            },
        }
    }

    fn called(&self, function: &str, arguments: &[Value]) -> Result<Value> {
        match (function, arguments) {
            ("format", [format, values @ ..]) => {
                let text = values
                    .iter()
                    .enumerate()
                    .fold(shown(format), |text, (index, value)| text.replace(&format!("{{{index}}}"), &shown(value)));
                Ok(text.into())
            }
            // which one does not matter: the cache has what is asked for
            ("hashFiles", _) => Ok("0".repeat(64).into()),
            ("startsWith", [text, beginning]) => {
                Ok(shown(text).to_lowercase().starts_with(&shown(beginning).to_lowercase()).into())
            }
            ("always", []) => Ok(true.into()),
            ("failure", []) => Ok((self.contexts["job"]["status"] == "failure").into()),
            _ => bail!("the function `{function}` is not known here"),
        }
    }
}

/// Whether a condition says itself what of a failed step it asks for. Any other holds only as long as none has failed.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#status-check-functions>
pub(super) fn asks_for_status(condition: &str) -> bool {
    ["always()", "failure()"].iter().any(|function| condition.contains(function))
}

/// Texts are compared without regard to case.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_have_githubs_values() {
        let contexts = json!({ "job": { "status": "failure" }, "github": { "event": { "n": 3, "list": [{ "number": 7 }], "name": "It's" }, "a-b": "x" }, "steps": {} });
        for (expression, expected) in [
            ("github.event.n", json!(3)),
            ("github.event.list[0].number", json!(7)),
            ("github.event.list[1].number", json!(null)),
            ("github['a-b'] == 'X' && github.event.n != 4", json!(true)),
            ("steps.made.outputs.cache-hit != 'true'", json!(true)),
            ("github.event.missing || 'other'", json!("other")),
            ("!(github.event.n == 3) || github.event.name == 'it''s'", json!(true)),
            ("format('{0}:{1}', 'a', github.event.n)", json!("a:3")),
            ("failure() && always()", json!(true)),
            ("startsWith('Octo:topic', format('{0}:', 'octo'))", json!(true)),
        ] {
            assert_eq!(evaluate(expression, &contexts).unwrap(), expected, "{expression}");
        }
        assert_eq!(interpolate("a ${{ github.event.n }}/${{ github.a-b }}", &contexts).unwrap(), "a 3/x");
        for wrong in ["unknown.x", "f(1)", "'open", "1 2", "(1"] {
            assert!(evaluate(wrong, &contexts).is_err(), "{wrong}");
        }
    }
}
