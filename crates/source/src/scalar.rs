//! What a scalar means: by the schema of Slipway's own formats, and by the one that Kubernetes reads manifests with.

use granit_parser::Tag;
use serde_json::{Number, Value as Json};

use crate::excerpt;

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Nothing, `~` or `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number. One beyond 64 bits is a float, as in JSON readers.
    Integer(Number),
    /// Any other number.
    Float(Number),
    /// An infinite number, or NaN. JSON has neither.
    NotFinite,
    /// A text: every scalar in quotes, and a plain one that is none of the above.
    Text,
}

/// Which plain scalars are numbers, truth values and null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// YAML 1.2's core schema with one difference: whole numbers are decimal, so `0x1f` and `0o17` are texts.
    Core,
    /// The one of Kubernetes, Argo CD and kustomization files: YAML 1.1's, as go-yaml 2 knows it (`yes`, `on` and `y` are true, `0755` is
    /// 493). sigs.k8s.io/yaml turns a document into JSON with it.
    ///
    /// Source: <https://github.com/yaml/go-yaml/blob/v2.4.4/resolve.go>
    Kubernetes,
}

impl Schema {
    /// What a scalar means. Fails with the reason if its tag does not fit it, or is of a type that JSON does not have.
    pub(crate) fn meaning(self, text: &str, plain: bool, tag: Option<&Tag>) -> Result<Scalar, String> {
        let Some(tag) = tag else {
            return Ok(match self {
                _ if !plain => Scalar::Text,
                Self::Core => core(text),
                Self::Kubernetes => kubernetes(text),
            });
        };
        let meaning = kubernetes(text);
        let fits = match (tag.core_suffix(), &meaning) {
            (Some("str"), _) => return Ok(Scalar::Text),
            (Some("null"), Scalar::Null)
            | (Some("bool"), Scalar::Bool(_))
            | (Some("int"), Scalar::Integer(_))
            | (Some("float"), Scalar::Integer(_) | Scalar::Float(_) | Scalar::NotFinite) => true,
            (Some(_), _) => false,
            (None, _) if tag.handle() == "tag:yaml.org,2002:" && tag.suffix() != "timestamp" => false,
            // the tag of an application has no meaning here
            (None, _) => return Ok(Scalar::Text),
        };
        if fits {
            Ok(meaning)
        } else {
            Err(format!("`{}` cannot be read by the tag !!{}", excerpt(text), tag.suffix()))
        }
    }
}

fn core(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        text if is_not_finite(text) => return Scalar::NotFinite,
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if all_digits(digits) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        let number = signed.parse::<i64>().map(Number::from).or_else(|_| signed.parse::<u64>().map(Number::from));
        return number.ok().or_else(|| finite(text)).map_or(Scalar::Text, Scalar::Integer);
    }
    if is_decimal(text) { finite(text).map_or(Scalar::NotFinite, Scalar::Float) } else { Scalar::Text }
}

fn kubernetes(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Scalar::Bool(false);
        }
        text if is_not_finite(text) => return Scalar::NotFinite,
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' if underscores_separate_digits(text) => float(&text.replace('_', "")),
        b'+' | b'-' | b'0'..=b'9' => {
            let text = text.replace('_', "");
            integer(&text).map_or_else(|| float(&text), Scalar::Integer)
        }
        _ => Scalar::Text,
    }
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(text, ".nan" | ".NaN" | ".NAN") || matches!(unsigned, ".inf" | ".Inf" | ".INF")
}

/// As Go's `strconv.ParseInt` reads a number whose prefix gives the base.
fn integer(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (base, digits) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, &unsigned[2..]),
        Some("0o" | "0O") => (8, &unsigned[2..]),
        Some("0b" | "0B") => (2, &unsigned[2..]),
        Some(_) if unsigned.starts_with('0') => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // from_str_radix would take a second sign
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    match text.as_bytes()[0] {
        b'-' => 0_i64.checked_sub_unsigned(magnitude).map(Number::from),
        b'+' => i64::try_from(magnitude).ok().map(Number::from),
        _ => Some(Number::from(magnitude)),
    }
}

/// A decimal number. JSON has one kind of number, so a whole one is an integer, however it is written.
fn float(text: &str) -> Scalar {
    /// 2⁶³: a 64-bit integer holds every whole number whose magnitude is below it.
    const END: f64 = 9_223_372_036_854_775_808.0;
    match text.parse::<f64>() {
        Ok(number) if is_decimal(text) && number.is_finite() => {
            if number.fract() == 0.0 && number.abs() < END {
                // exact: a whole number within range
                return Scalar::Integer(Number::from(number as i64));
            }
            Number::from_f64(number).map_or(Scalar::Text, Scalar::Float)
        }
        _ => Scalar::Text,
    }
}

fn finite(text: &str) -> Option<Number> {
    text.parse().ok().and_then(Number::from_f64)
}

/// Whether a text is digits with a sign, a point and an exponent, each optional.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent.is_none_or(|exponent| all_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
        && ((all_digits(whole) && (fraction.is_empty() || all_digits(fraction)))
            || (whole.is_empty() && all_digits(fraction)))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    text.match_indices('_').all(|(at, _)| at > 0 && digit(at - 1) && digit(at + 1))
}

/// A scalar as JSON; what JSON does not have stays a string.
pub(crate) fn to_json(text: &str, meaning: &Scalar) -> Json {
    match meaning {
        Scalar::Null => Json::Null,
        Scalar::Bool(value) => Json::Bool(*value),
        Scalar::Integer(number) | Scalar::Float(number) => Json::Number(number.clone()),
        Scalar::NotFinite | Scalar::Text => Json::String(text.to_owned()),
    }
}
