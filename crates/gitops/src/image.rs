//! Image references: `registry/name:tag@sha256:…`.

/// A reference's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    /// The name with its registry.
    pub(crate) name: &'a str,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Splits a reference. The port of a registry is not a tag.
    pub(crate) fn of(reference: &'a str) -> Self {
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => Self { name, tag: Some(tag), digest },
            _ => Self { name: rest, tag: None, digest },
        }
    }

    /// Whether the reference can name another image tomorrow although nobody changed it: no digest, and no tag or `latest`.
    pub(crate) fn floats(&self) -> bool {
        self.digest.is_none() && self.tag.is_none_or(|tag| tag == "latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let of = |text| {
            let image = Image::of(text);
            (image.name, image.tag, image.digest, image.floats())
        };
        assert_eq!(of("a"), ("a", None, None, true));
        assert_eq!(of("a:latest"), ("a", Some("latest"), None, true));
        assert_eq!(of("localhost:5000/a"), ("localhost:5000/a", None, None, true));
        assert_eq!(of("localhost:5000/a:1"), ("localhost:5000/a", Some("1"), None, false));
        assert_eq!(of("a:latest@sha256:0"), ("a", Some("latest"), Some("sha256:0"), false));
    }
}
