//! The versions in service.

use slipway_digest::Digest;

/// A version in service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pin {
    /// The registered model's name.
    pub name: String,
    /// Its version in the registry, such as `3`.
    pub version: u64,
    /// The digest of its configuration and weights.
    pub digest: Digest,
}

/// The versions in service, at most one of each model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    pub(crate) pins: Vec<Pin>,
}

impl Pins {
    /// All of them, in the file's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Pin> {
        self.pins.iter()
    }

    /// The version of a model that is in service.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.name == name)
    }

    /// These versions, with one model at another version.
    #[must_use]
    pub fn with(&self, new: Pin) -> Self {
        let mut pins = self.pins.clone();
        match pins.iter_mut().find(|pin| pin.name == new.name) {
            Some(pin) => *pin = new,
            None => pins.push(new),
        }
        Self { pins }
    }
}

impl<'a> IntoIterator for &'a Pins {
    type Item = &'a Pin;
    type IntoIter = std::slice::Iter<'a, Pin>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
