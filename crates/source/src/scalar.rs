//! What a scalar without quotes means.

use serde_json::{Number, Value as Json};

/// What a scalar without quotes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number in decimal digits.
    Integer,
    /// Any other number, also an infinite one or NaN.
    Float,
    /// A text that is none of the above.
    Text,
}

/// What a scalar without quotes is by YAML 1.2's core schema, with one difference: numbers are decimal, so `0x1f` and `0o17` are texts.
pub fn scalar_kind(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return ScalarKind::Bool,
        ".nan" | ".NaN" | ".NAN" => return ScalarKind::Float,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return ScalarKind::Float;
    }
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if digits(mantissa) && exponent.is_none() {
        return ScalarKind::Integer;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits =
        (digits(whole) && (fraction.is_empty() || digits(fraction))) || (whole.is_empty() && digits(fraction));
    if exponent_fits && mantissa_fits { ScalarKind::Float } else { ScalarKind::Text }
}

/// A scalar without quotes as JSON. A whole number beyond 64 bits becomes a float, as in JSON readers; an infinite one stays a string.
pub(crate) fn to_json(text: &str) -> Json {
    let float = || text.parse().ok().and_then(Number::from_f64);
    let number = match scalar_kind(text) {
        ScalarKind::Null => return Json::Null,
        ScalarKind::Bool => return Json::Bool(text.starts_with(['t', 'T'])),
        ScalarKind::Integer => {
            let digits = text.strip_prefix('+').unwrap_or(text);
            digits
                .parse::<i64>()
                .map(Number::from)
                .or_else(|_| digits.parse::<u64>().map(Number::from))
                .ok()
                .or_else(float)
        }
        ScalarKind::Float => float(),
        ScalarKind::Text => None,
    };
    number.map_or_else(|| Json::String(text.to_owned()), Json::Number)
}
