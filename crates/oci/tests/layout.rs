//! Layouts that are written, replaced, damaged and read.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_digest::Digest;
use slipway_oci::{
    Descriptor, Document, Error, Index, Layout, LayoutWriter, Manifest, Platform, media_type, references,
    replace_layout,
};
use tempfile::TempDir;

/// Writes an image with one layer of these bytes for a platform.
fn image(writer: &LayoutWriter, platform: Platform, layer: &[u8]) -> Descriptor {
    let config = json!({
        "architecture": platform.architecture(), "os": platform.os(), "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(layer)] },
    });
    let config = writer.put(&Document::new(media_type::CONFIG, &config)).unwrap();
    let layer = Descriptor::new(media_type::LAYER, writer.blobs().put(layer).unwrap(), layer.len() as u64);
    writer.put(&Manifest::new(config, vec![layer]).document()).unwrap().for_platform(platform)
}

/// A layout with one image.
fn written(layer: &[u8]) -> (TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).unwrap();
    let image = image(&writer, Platform::Amd64, layer).annotated("name", "thing:1");
    let layout = writer.finish(vec![image]).unwrap();
    (folder, layout)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_is_written_is_read_here_and_by_oci_spec() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!Layout::exists(folder.path()));
    let writer = LayoutWriter::open(folder.path()).unwrap();
    let manifests = vec![image(&writer, Platform::Amd64, b"one"), image(&writer, Platform::Arm64, b"other")];
    let index = writer.put(&Index::new(manifests.clone()).document()).unwrap().annotated("name", "thing:1");
    writer.finish(vec![index.clone()]).unwrap();

    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!((layout.image(), layout.referrers()), (&index, &[][..]));
    assert_eq!(layout.image().annotation("name"), Some("thing:1"));
    assert_eq!(layout.references(&index).unwrap(), manifests);
    layout.blobs().verify().unwrap();

    let theirs = oci_spec::image::ImageIndex::from_file(folder.path().join("index.json")).unwrap();
    assert_eq!(theirs.manifests()[0].digest().to_string(), index.digest.to_string());
    let theirs = oci_spec::image::ImageIndex::from_file(layout.blobs().path(&index.digest)).unwrap();
    let platform = theirs.manifests()[1].platform().clone().unwrap();
    assert_eq!(platform.architecture(), &oci_spec::image::Arch::ARM64);
    let theirs = oci_spec::image::ImageManifest::from_file(layout.blobs().path(&manifests[0].digest)).unwrap();
    assert_eq!((theirs.layers().len(), theirs.layers()[0].size()), (1, 3));
    oci_spec::image::OciLayout::from_file(folder.path().join("oci-layout")).unwrap();
}

#[test]
fn members_are_in_one_order() {
    let empty = Document::new(media_type::EMPTY, &json!({}));
    let manifest = Manifest {
        artifact_type: Some("a/b".to_owned()),
        subject: Some(empty.descriptor()),
        annotations: [("z".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())].into(),
        ..Manifest::new(empty.descriptor(), Vec::new())
    };
    let descriptor =
        format!(r#"{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}}"#, empty.digest());
    let expected = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":{descriptor},"layers":[],"subject":{descriptor},"annotations":{{"a":"2","z":"1"}}}}"#
    );
    assert_eq!(String::from_utf8(manifest.document().bytes).unwrap(), expected);
}

#[test]
fn a_damaged_blob_is_found_whoever_reads_it() {
    let (_folder, layout) = written(b"a layer");
    let (blobs, image) = (layout.blobs(), layout.image());
    let manifest: Manifest = blobs.document(image).unwrap();
    let layer = &manifest.layers[0];
    for (blob, content) in
        [(layer, "b layer"), (image, "longer than a manifest of three hundred bytes would have been")]
    {
        let path = blobs.path(&blob.digest);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        assert!(!blobs.has(blob).unwrap());
        let errors = [blobs.read(blob).err(), blobs.verified(blob).err(), blobs.verify().err()];
        for error in errors.map(Option::unwrap) {
            assert!(
                matches!(error, Error::Damaged { .. }) && error.to_string().contains(&blob.digest.hex()),
                "{error}"
            );
        }
        fs::write(&path, whole).unwrap();
        assert!(blobs.has(blob).unwrap());
    }
    fs::remove_file(blobs.path(&layer.digest)).unwrap();
    assert!(!blobs.has(layer).unwrap());
    assert!(blobs.verified(layer).unwrap_err().to_string().contains(&layer.digest.hex()));
}

#[test]
fn a_huge_document_is_not_read_into_memory() {
    let (_folder, layout) = written(b"a layer");
    let huge = Descriptor { size: 1 << 40, ..layout.image().clone() };
    assert!(layout.blobs().read(&huge).unwrap_err().to_string().contains("too many"));
}

#[test]
fn a_folder_that_is_not_a_layout_says_why() {
    let (folder, _) = written(b"a layer");
    let error = || Layout::open(folder.path()).unwrap_err().to_string();
    let index = fs::read_to_string(folder.path().join("index.json")).unwrap();
    for (content, message) in [
        ("{", "index.json is not a complete OCI image layout: EOF"),
        (r#"{"manifests": []}"#, "names no image"),
        (&index.replace("sha256:", "sha512:"), "is not a digest"),
        (&index.replace("sha256:", "sha256:../../"), "is not a digest"),
    ] {
        fs::write(folder.path().join("index.json"), content).unwrap();
        assert!(error().contains(message), "{}", error());
    }
    fs::write(folder.path().join("index.json"), &index).unwrap();
    fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(error().contains("version 2.0.0"), "{}", error());
    fs::remove_file(folder.path().join("oci-layout")).unwrap();
    assert!(error().contains("oci-layout is missing"), "{}", error());
    fs::remove_file(folder.path().join("index.json")).unwrap();
    assert!(error().contains("index.json is missing"), "{}", error());
}

#[test]
fn only_what_the_index_leads_to_stays() {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).unwrap();
    let image = image(&writer, Platform::Amd64, b"a layer");
    let index = writer.put(&Index::new(vec![image]).document()).unwrap();
    let old = writer.blobs().put(b"of an image that is gone").unwrap();
    fs::write(writer.blobs().folder().join(".part-of-a-killed-process"), "x").unwrap();
    let layout = writer.finish(vec![index]).unwrap();
    assert_eq!(files(layout.blobs().folder()).len(), 6);
    layout.remove_unreferenced().unwrap();
    assert_eq!(files(layout.blobs().folder()).len(), 4);
    assert!(!layout.blobs().path(&old).exists());
    layout.blobs().verify().unwrap();
}

#[test]
fn a_folder_is_replaced_whole_or_stays_as_it_was() {
    let work = tempfile::tempdir().unwrap();
    let folder = work.path().join("deep/layout");
    let write = |layer: &'static [u8]| {
        replace_layout(&folder, |writer| Ok::<_, Error>(vec![image(writer, Platform::Amd64, layer)])).unwrap();
        Layout::open(&folder).unwrap().image().digest
    };
    let first = write(b"one");
    let second = write(b"other");
    assert_ne!(first, second);
    assert_eq!(files(&folder.join("blobs/sha256")).len(), 3, "blobs of the old layout are gone");

    let failed = replace_layout(&folder, |writer| {
        image(writer, Platform::Amd64, b"third");
        Err(Error::Occupied(PathBuf::from("no more space")))
    });
    failed.unwrap_err();
    assert_eq!(Layout::open(&folder).unwrap().image().digest, second);
    assert_eq!(files(folder.parent().unwrap()), std::slice::from_ref(&folder), "nothing is left beside it");

    let mine = work.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("letter.txt"), "dear").unwrap();
    let error = replace_layout(&mine, |_| Ok::<_, Error>(Vec::new())).unwrap_err();
    assert!(matches!(error, Error::Occupied(_)), "{error}");
    assert_eq!(files(&mine), [mine.join("letter.txt")]);
}

#[test]
fn a_file_is_taken_once() {
    let (folder, layout) = written(b"a layer");
    let digest = Digest::of(b"content");
    let file = folder.path().join("file");
    fs::write(&file, "content").unwrap();
    for _ in 0..2 {
        layout.blobs().take(&file, &digest).unwrap();
    }
    assert_eq!(fs::read(layout.blobs().path(&digest)).unwrap(), b"content");
}

#[test]
fn references_come_in_the_order_of_a_registry() {
    let descriptor = |text: &str| Descriptor::new(media_type::LAYER, Digest::of(text), 1);
    let docker = json!({ "schemaVersion": 2, "layers": [descriptor("a"), descriptor("b")], "config": descriptor("c") });
    let found = references(docker.to_string().as_bytes()).unwrap();
    assert_eq!(found, [descriptor("c"), descriptor("a"), descriptor("b")]);
    references(b"[]").unwrap_err();
}

#[test]
fn platforms_are_named_as_elsewhere() {
    for platform in Platform::ALL {
        assert_eq!(platform.to_string().parse(), Ok(platform));
        assert_eq!(serde_json::to_value(platform).unwrap(), platform.to_string());
    }
    let error = "linux/riscv64".parse::<Platform>().unwrap_err().to_string();
    assert!(error.contains("linux/riscv64") && error.contains("linux/amd64, linux/arm64"), "{error}");
    // a platform that nothing is built for here is kept too
    let windows = json!({ "mediaType": "m", "digest": Digest::of(b"x"), "size": 1,
        "platform": { "architecture": "amd64", "os": "windows", "variant": "v2" } });
    let descriptor: Descriptor = serde_json::from_value(windows.clone()).unwrap();
    assert!(descriptor.platform.as_ref().is_some_and(|platform| *platform != Platform::Amd64));
    assert_eq!(serde_json::to_value(&descriptor).unwrap(), windows);
}
