//! `$(NAME)` in a container's arguments and in the values of its environment variables, as the kubelet expands it.
//!
//! Source: <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>.

/// Replaces each `$(NAME)` that names a variable; `$$` is a dollar sign; anything else stays as it is.
pub fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((value, after)) = reference(rest, variables) {
            expanded.push_str(value);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

/// The text that [`expand`] makes this text of, whatever variables there are.
pub(crate) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

fn reference<'a>(text: &'a str, variables: &'a [(String, String)]) -> Option<(&'a str, &'a str)> {
    let (name, after) = text.strip_prefix('(')?.split_once(')')?;
    // As in a container, the last of two with the same name counts.
    let (_, value) = variables.iter().rfind(|(other, _)| other == name)?;
    Some((value, after))
}

#[cfg(test)]
mod tests {
    use super::{escape, expand};

    #[test]
    fn references_are_expanded_as_kubernetes_does() {
        let variables = [("A".to_owned(), "one".to_owned()), ("B".to_owned(), "$(A)".to_owned())];
        for (text, expected) in
            [("$(A)-$(B)", "one-$(A)"), ("$$(A) $(C) $A $( $", "$(A) $(C) $A $( $"), ("ä$(A)ö", "äoneö")]
        {
            assert_eq!(expand(text, &variables), expected);
            assert_eq!(expand(&escape(text), &variables), text);
        }
    }
}
