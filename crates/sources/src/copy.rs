//! Copying what comes from a source: what is wrong with the source is told apart from what is wrong with the disk.

use std::io::{ErrorKind, Read, Write};

/// Why a copy failed.
#[derive(Debug)]
pub(crate) enum Failed {
    Reading(std::io::Error),
    Writing(std::io::Error),
}

pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> Result<(), Failed> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return to.flush().map_err(Failed::Writing),
            Ok(count) => to.write_all(&buffer[..count]).map_err(Failed::Writing)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failed::Reading(error)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Error;

    #[test]
    fn a_full_disk_is_told_apart_from_a_broken_source() {
        // every write to it fails as on a full disk
        let path = Path::new("/dev/full");
        let mut full = std::fs::File::options().write(true).open(path).unwrap();
        let Err(Failed::Writing(error)) = copy(&mut [1; 100].as_slice(), &mut full) else { panic!() };
        let message = Error::file("write", path, &error).to_string();
        assert!(message.starts_with("cannot write /dev/full: No space left on device"), "{message}");
        assert!(message.contains("free some space there"), "{message}");

        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::UnexpectedEof.into())
            }
        }
        assert!(matches!(copy(&mut Broken, &mut Vec::new()), Err(Failed::Reading(_))));
    }
}
