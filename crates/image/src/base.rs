//! The first layer: Debian packages, the user, and the few files that no package brings.

use slipway_oci::Platform;

use crate::cache::Cache;
use crate::debian;
use crate::declaration::User;
use crate::error::Result;
use crate::fetch;
use crate::layer::{self, Layer};
use crate::lock::Package;
use crate::tree::Tree;

/// Where ca-certificates has its certificates, and the one file in which TLS libraries look for them.
const CERTIFICATES: &str = "usr/share/ca-certificates/mozilla/";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

pub(crate) fn layer(
    cache: &Cache,
    image: &str,
    packages: &[Package],
    user: &User,
    platform: Platform,
    fresh: bool,
) -> Result<Layer> {
    let hashes: Vec<String> = packages.iter().map(|package| package.sha256.hex()).collect();
    let inputs = serde_json::json!([hashes, user, platform]);
    layer::make(cache, "debian", &inputs, fresh, |tree| {
        for link in debian::merged_usr(platform) {
            tree.folder(&format!("usr/{link}"), "merged /usr")?;
            tree.link(link, &format!("usr/{link}"), "merged /usr")?;
        }
        // downloads first: a package that the mirror no longer has is found before anything is unpacked
        let mut files = Vec::new();
        for package in packages {
            files.push((package, fetch::package(cache, package, image)?));
        }
        for (package, file) in files {
            debian::unpack(&file, package, platform, tree)?;
        }
        certificates(tree)?;
        accounts(tree, user)
    })
}

/// Does what ca-certificates' maintainer script does with openssl: writes all of its certificates into one file, sorted by name.
fn certificates(tree: &mut Tree) -> Result<()> {
    let is_certificate = |path: &str| path.starts_with(CERTIFICATES);
    let paths: Vec<String> =
        tree.nodes().map(|(path, _)| path.to_owned()).filter(|path| is_certificate(path)).collect();
    let mut bundle = Vec::new();
    for path in paths {
        // a folder has no bytes
        let Some(text) = tree.read(&path)? else { continue };
        bundle.extend_from_slice(&text);
        if !text.ends_with(b"\n") {
            bundle.push(b'\n');
        }
    }
    if bundle.is_empty() { Ok(()) } else { tree.stream(BUNDLE, &mut bundle.as_slice(), false, "ca-certificates") }
}

/// Writes the user's name for programs that look it up, makes its home, and a /tmp for images that run without a mounted one.
fn accounts(tree: &mut Tree, user: &User) -> Result<()> {
    let User { uid, gid, name } = user;
    let passwd = format!(
        "root:x:0:0:root:/root:/usr/sbin/nologin\n{name}:x:{uid}:{gid}:{name}:/home/{name}:/usr/sbin/nologin\n"
    );
    let group = format!("root:x:0:\n{name}:x:{gid}:\n");
    tree.stream("etc/passwd", &mut passwd.as_bytes(), false, "the user")?;
    tree.stream("etc/group", &mut group.as_bytes(), false, "the user")?;
    tree.stream(
        "etc/nsswitch.conf",
        &mut b"passwd: files\ngroup: files\nhosts: files dns\n".as_slice(),
        false,
        "the user",
    )?;
    tree.owned_folder(&format!("home/{name}"), 0o700, (*uid, *gid), "the user")?;
    tree.set_mode("tmp", 0o1777)
}
