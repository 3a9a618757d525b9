//! Text of a file inside a message.

/// The first 60 characters of a text on one line, with `…` if there are more. Control characters become U+FFFD.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
