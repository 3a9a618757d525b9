//! Hours and prices as text. What is not nothing is never shown as nothing.

use std::collections::BTreeMap;

/// Hours, with as many decimals as it takes to show something: `2`, `0.25`, `0.0031`.
pub(crate) fn hours(value: f64) -> String {
    decimals(value, 2)
}

/// A number with so many decimals, and more if they would all be zeros; without trailing zeros.
pub(crate) fn decimals(value: f64, least: usize) -> String {
    if !value.is_finite() {
        return "⚠".to_owned();
    }
    let magnitude = value.abs();
    if magnitude >= 1e15 {
        return format!("{value:e}");
    }
    let places = match magnitude {
        _ if magnitude == 0.0 || magnitude >= 0.1 => least,
        // two digits that are not zero
        _ => ((1.0 - magnitude.log10().floor()) as usize).clamp(least, 12),
    };
    let text = format!("{value:.places$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Prices by currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Price(BTreeMap<String, f64>);

impl Price {
    pub(crate) fn add(&mut self, currency: &str, amount: f64) {
        *self.0.entry(currency.to_owned()).or_default() += amount;
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(currency, amount)| self.add(currency, *amount));
    }

    /// As text, not Markdown: `0.08 USD`, or `0.08 USD + 2.00 EUR`. Empty if nothing has a price.
    pub(crate) fn text(&self) -> String {
        let one = |(currency, amount): (&String, &f64)| {
            let currency: String = currency.chars().take(8).collect();
            let amount = match amount {
                amount if !amount.is_finite() => "⚠".to_owned(),
                amount if *amount > 0.0 && *amount < 0.005 => "less than 0.01".to_owned(),
                amount => format!("{amount:.2}"),
            };
            format!("{amount} {currency}")
        };
        let shown: Vec<String> = self.0.iter().take(4).map(one).collect();
        let more = if self.0.len() > shown.len() { " + …" } else { "" };
        shown.join(" + ") + more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_not_nothing() {
        for (value, text) in [
            (0.0, "0"),
            (2.0, "2"),
            (0.254, "0.25"),
            (0.00312, "0.0031"),
            (1234.5, "1234.5"),
            (-1e300, "-1e300"),
            (f64::NAN, "⚠"),
        ] {
            assert_eq!(hours(value), text);
        }
        let mut price = Price::default();
        assert_eq!(price.text(), "");
        price.add("USD", 0.001);
        assert_eq!(price.text(), "less than 0.01 USD");
        price.add("EUR", 2.0);
        assert_eq!(price.text(), "2.00 EUR + less than 0.01 USD");
    }
}
