//! The Debian layer that every image with a shell, git, Redis, PostgreSQL or Python stands on.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};

use super::layer::Layer;
use super::layout::{Descriptor, Layout};
use super::{Error, Result};
use crate::Cache;
use crate::file::at;
use crate::progress::Step;

/// The release, for its Python: 3.11.
pub(super) const SUITE: &str = "bookworm";

/// What is installed.
pub(super) const PACKAGES: &str = "bind9-dnsutils,ca-certificates,curl,git,gnupg,iproute2,openssh-client,postgresql-15,\
     procps,python3,redis-server,tini,tzdata";

/// Users beside Debian's own: git and ssh do not work for a number without a name.
pub(super) const USERS: &str =
    "argocd:x:999:999:argocd:/home/argocd:/bin/sh\nslipway:x:1000:1000:slipway:/tmp:/bin/sh\n";

/// What is not put into the layer: what a running container never reads, and the compiler that PostgreSQL does without.
const LEFT_OUT: &[&str] = &[
    "dev/",
    "etc/postgresql/",
    "usr/lib/llvm-",
    "usr/lib/postgresql/15/lib/bitcode",
    "usr/lib/postgresql/15/lib/llvmjit",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/man/",
    "var/cache/apt/",
    "var/lib/apt/lists/",
    "var/lib/postgresql/15",
    "var/log/",
];

/// Whether a path of the installed system goes into the layer.
fn wanted(path: &str) -> bool {
    !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out)) && !path.contains("/libLLVM-")
}

/// Installs the packages and makes the layer. `authority` is trusted for TLS beside Debian's own authorities.
pub(super) fn layer(cache: &Cache, layout: &Layout, authority: &Path, step: &Step) -> Result<Descriptor> {
    let tar = tempfile::Builder::new().suffix(".tar").tempfile_in(cache.src()).map_err(at(&cache.src()))?;
    let log = cache.log().join("debian.log");
    let said = File::create(&log).map_err(at(&log))?;
    step.now("mmdebstrap installs Debian's packages");
    let trusted = "usr/local/share/ca-certificates/testbed.crt";
    let status = Command::new("mmdebstrap")
        .args(["--variant=apt", "--include", PACKAGES])
        .arg(format!("--customize-hook=cp '{}' \"$1/{trusted}\"", authority.display()))
        .arg("--customize-hook=chroot \"$1\" update-ca-certificates")
        .arg(format!("--customize-hook=printf '{}' >>\"$1/etc/passwd\"", USERS.replace('\n', "\\n")))
        .arg(SUITE)
        .arg(tar.path())
        .stdin(Stdio::null())
        .stdout(said.try_clone().map_err(at(&log))?)
        .stderr(said)
        .status();
    let failed = |problem: String, hint: String| Error::Command { command: "mmdebstrap".to_owned(), problem, hint };
    match status {
        Err(error) => return Err(failed(error.to_string(), "apt-get install mmdebstrap".to_owned())),
        Ok(status) if !status.success() => {
            return Err(failed(format!("failed ({status})"), format!("read {}", log.display())));
        }
        Ok(_) => {}
    }
    step.now("writing the Debian layer");
    layout
        .layer(|layer: &mut Layer<'_>| layer.merge(BufReader::with_capacity(1 << 20, File::open(tar.path())?), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_stay_and_manuals_go() {
        assert!(wanted("usr/bin/git"));
        assert!(wanted("dev"), "a folder to mount on");
        assert!(wanted("usr/lib/postgresql/15/bin/postgres"));
        for path in ["dev/null", "usr/share/man/man1/git.1.gz", "usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"] {
            assert!(!wanted(path), "{path}");
        }
    }
}
