//! The versions in service.

use slipway_digest::Digest;

use crate::Challenger;

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

/// The versions in service, at most one of each model, each with at most one challenger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    pub(crate) pins: Vec<Pin>,
    /// Of models that have a version in service.
    pub(crate) challengers: Vec<Challenger>,
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

    /// The challengers, in the order of the file.
    pub fn challengers(&self) -> std::slice::Iter<'_, Challenger> {
        self.challengers.iter()
    }

    /// The challenger of a model.
    #[must_use]
    pub fn challenger(&self, name: &str) -> Option<&Challenger> {
        self.challengers.iter().find(|challenger| challenger.pin.name == name)
    }

    /// These versions, with one model at another version. If that is the model's challenger, it is none any more; another one stays.
    #[must_use]
    pub fn with(&self, new: Pin) -> Self {
        let Self { mut pins, mut challengers } = self.clone();
        challengers.retain(|challenger| challenger.pin.name != new.name || challenger.fits(&new).is_ok());
        match pins.iter_mut().find(|pin| pin.name == new.name) {
            Some(pin) => *pin = new,
            None => pins.push(new),
        }
        Self { pins, challengers }
    }

    /// These versions, with this challenger in place of any other of its model; `None` if the model has no version in service, or it is
    /// that one.
    #[must_use]
    pub fn with_challenger(&self, new: Challenger) -> Option<Self> {
        self.get(&new.pin.name).filter(|champion| new.fits(champion).is_ok())?;
        let mut changed = self.without_challenger(&new.pin.name);
        changed.challengers.push(new);
        Some(changed)
    }

    /// These versions, without a challenger of this model.
    #[must_use]
    pub fn without_challenger(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.challengers.retain(|challenger| challenger.pin.name != name);
        changed
    }
}

impl<'a> IntoIterator for &'a Pins {
    type Item = &'a Pin;
    type IntoIter = std::slice::Iter<'a, Pin>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
