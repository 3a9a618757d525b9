//! The Debian layer below every image with a shell, git, Redis, PostgreSQL or Python.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};

use slipway_oci::{Descriptor, LayoutWriter};

use super::assemble;
use super::layer::Layer;
use super::{Error, Result};
use crate::Cache;
use crate::file::at;
use crate::progress::Step;

/// The release, chosen for its Python 3.11.
pub(super) const SUITE: &str = "bookworm";

/// The packages that are installed.
pub(super) const PACKAGES: &str = "bind9-dnsutils,ca-certificates,curl,git,gnupg,iproute2,openssh-client,postgresql-15,\
     procps,python3,redis-server,tini,tzdata";

/// Users beside Debian's own: git and ssh do not work for a user without a name.
pub(super) const USERS: &str =
    "argocd:x:999:999:argocd:/home/argocd:/bin/sh\nslipway:x:1000:1000:slipway:/tmp:/bin/sh\n";

/// What the layer leaves out: files that a running container never reads, and the compiler that PostgreSQL can do without.
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
fn is_included(path: &str) -> bool {
    !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out)) && !path.contains("/libLLVM-")
}

/// Installs the packages and writes the layer. TLS trusts `authority` beside Debian's own authorities.
pub(super) fn layer(cache: &Cache, layout: &LayoutWriter, authority: &Path, step: &Step) -> Result<Descriptor> {
    let tar = tempfile::Builder::new().suffix(".tar").tempfile_in(cache.src()).map_err(at(&cache.src()))?;
    let log = cache.log().join("debian.log");
    let output = File::create(&log).map_err(at(&log))?;
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
        .stdout(output.try_clone().map_err(at(&log))?)
        .stderr(output)
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
    assemble::layer(layout, |layer: &mut Layer<'_>| {
        layer.merge(BufReader::with_capacity(1 << 20, File::open(tar.path())?), is_included)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_stay_and_manuals_go() {
        assert!(is_included("usr/bin/git"));
        assert!(is_included("dev"), "a folder to mount on");
        assert!(is_included("usr/lib/postgresql/15/bin/postgres"));
        for path in ["dev/null", "usr/share/man/man1/git.1.gz", "usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"] {
            assert!(!is_included(path), "{path}");
        }
    }
}
