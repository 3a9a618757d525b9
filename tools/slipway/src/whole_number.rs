//! Whole numbers in arguments, with a message that says what is taken.

pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "give a whole number, such as 7".to_owned())
}

pub(crate) fn parse_positive_number(text: &str) -> Result<u64, String> {
    parse_number(text)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| "give a whole number from 1 on, such as 60".to_owned())
}
