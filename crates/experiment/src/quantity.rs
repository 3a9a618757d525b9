//! Kubernetes quantities: `1`, `500m`, `2Gi`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// An amount of CPU or memory, exact to a thousandth. Shown in Kubernetes' canonical form: no fraction, the largest suffix that fits.
///
/// Format: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantity {
    millis: u64,
    binary: bool,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No number precedes the suffix.
    #[error("not a number")]
    Number,
    /// A suffix that Kubernetes does not know.
    #[error("unknown unit `{0}`")]
    Unit(String),
    /// More than 2^64 thousandths, or a fraction of a thousandth.
    #[error("too large, or finer than a thousandth")]
    Range,
}

const BINARY: [(&str, u64); 5] = [("Pi", 1 << 50), ("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
const DECIMAL: [(&str, u64); 5] =
    [("P", 1_000_000_000_000_000), ("T", 1_000_000_000_000), ("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];

impl Quantity {
    /// The amount in thousandths.
    pub fn millis(self) -> u64 {
        self.millis
    }

    /// The amount in whole units, rounded up: bytes or CPUs.
    pub fn ceil(self) -> u64 {
        self.millis.div_ceil(1000)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, unit) = text.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
            return Err(QuantityError::Number);
        }
        let known = BINARY.iter().map(|unit| (unit, true)).chain(DECIMAL.iter().map(|unit| (unit, false)));
        let (factor, binary) = match unit {
            "m" => (1, false),
            "" => (1000, false),
            _ => known
                .filter(|((name, _), _)| *name == unit)
                .map(|((_, factor), binary)| (u128::from(*factor) * 1000, binary))
                .next()
                .ok_or_else(|| QuantityError::Unit(unit.to_owned()))?,
        };
        let scale = u32::try_from(fraction.len())
            .ok()
            .and_then(|places| 10_u128.checked_pow(places))
            .ok_or(QuantityError::Range)?;
        let number: u128 = format!("{whole}{fraction}").parse().map_err(|_| QuantityError::Range)?;
        let scaled = number.checked_mul(factor).ok_or(QuantityError::Range)?;
        if scaled % scale != 0 {
            return Err(QuantityError::Range);
        }
        let millis = u64::try_from(scaled / scale).map_err(|_| QuantityError::Range)?;
        Ok(Self { millis, binary })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.millis.is_multiple_of(1000) {
            return write!(f, "{}m", self.millis);
        }
        let units = self.millis / 1000;
        let suffixes = if self.binary { BINARY } else { DECIMAL };
        let fitting = suffixes.iter().find(|(_, factor)| units >= *factor && units.is_multiple_of(*factor));
        match fitting {
            Some((suffix, factor)) => write!(f, "{}{suffix}", units / factor),
            None => write!(f, "{units}"),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1", 1_000, "1")]
    #[case("0.5", 500, "500m")]
    #[case("1000m", 1_000, "1")]
    #[case("1500m", 1_500, "1500m")]
    #[case("2Gi", 2 * (1 << 30) * 1000, "2Gi")]
    #[case("2048Mi", 2 * (1 << 30) * 1000, "2Gi")]
    #[case("1.5Gi", 3 * (1 << 29) * 1000, "1536Mi")]
    #[case("1G", 1_000_000_000_000, "1G")]
    #[case("1024", 1_024_000, "1024")]
    #[case("0", 0, "0")]
    fn reads_and_shows(#[case] text: &str, #[case] millis: u64, #[case] shown: &str) {
        let quantity: Quantity = text.parse().unwrap();
        assert_eq!((quantity.millis(), quantity.to_string().as_str()), (millis, shown));
        assert_eq!(shown.parse::<Quantity>().map(Quantity::millis), Ok(millis));
    }

    #[rstest]
    #[case("", QuantityError::Number)]
    #[case("Gi", QuantityError::Number)]
    #[case("-1", QuantityError::Number)]
    #[case(".5", QuantityError::Number)]
    #[case("1.", QuantityError::Number)]
    #[case("1.2.3", QuantityError::Number)]
    #[case("2gb", QuantityError::Unit("gb".to_owned()))]
    #[case("1 core", QuantityError::Unit(" core".to_owned()))]
    #[case("0.0001", QuantityError::Range)]
    #[case("99999999999999999999999999999999999999999", QuantityError::Range)]
    #[case("99999999Pi", QuantityError::Range)]
    fn refuses(#[case] text: &str, #[case] error: QuantityError) {
        assert_eq!(text.parse::<Quantity>(), Err(error));
    }

    #[test]
    fn rounds_up() {
        assert_eq!("1500m".parse::<Quantity>().map(Quantity::ceil), Ok(2));
    }
}
