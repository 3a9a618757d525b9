//! A Debian package and a wheel, made here.

use std::io::{Cursor, Write};

/// A package for every architecture with one file.
pub(crate) fn deb(name: &str, version: &str, path: &str, content: &[u8]) -> Vec<u8> {
    let control =
        format!("Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody\nDescription: a test\n");
    let mut archive = ar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        archive.append(&ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64), bytes).unwrap();
    };
    add("debian-binary", b"2.0\n");
    add("control.tar", &tar(&[("./control", control.as_bytes())]));
    add("data.tar", &tar(&[(&format!(".{path}"), content)]));
    archive.into_inner().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o664);
        header.set_uid(1234);
        header.set_mtime(1_700_000_000);
        archive.append_data(&mut header, path, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A wheel with a module `thing` and a command of the same name.
pub(crate) fn wheel(version: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (path, text) in [
        ("thing/__init__.py".to_owned(), "def main():\n    return 0\n".to_owned()),
        (
            format!("thing-{version}.dist-info/METADATA"),
            format!("Metadata-Version: 2.1\nName: thing\nVersion: {version}\n"),
        ),
        (
            format!("thing-{version}.dist-info/WHEEL"),
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
        ),
        (format!("thing-{version}.dist-info/entry_points.txt"), "[console_scripts]\nthing = thing:main\n".to_owned()),
        (format!("thing-{version}.dist-info/RECORD"), String::new()),
    ] {
        archive.start_file(path, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
