//! A version that is tried beside the one in service.

use crate::{Pin, Share};

/// A version that runs beside the version in service of the same model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Challenger {
    /// The version.
    pub pin: Pin,
    /// What it does.
    pub mode: Mode,
    /// Of which share of the requests it does that.
    pub share: Share,
}

impl Challenger {
    /// Whether it can be tried beside this version.
    ///
    /// # Errors
    /// What both have in common.
    pub(crate) fn fits(&self, champion: &Pin) -> Result<(), &'static str> {
        if self.pin.version == champion.version {
            Err("version")
        } else if self.pin.digest == champion.digest {
            Err("content")
        } else {
            Ok(())
        }
    }
}

/// What a challenger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It gets the same requests as the version in service, and nobody sees its answers.
    Shadow,
    /// It answers a share of the requests.
    Canary,
}

impl Mode {
    /// As the file writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }

    /// The largest share. A canary is compared with the version in service, which has to answer as much.
    #[must_use]
    pub fn most(self) -> f64 {
        match self {
            Self::Shadow => 1.0,
            Self::Canary => 0.5,
        }
    }
}
