//! Archives of strangers: nothing leaves the folder, nothing grows without a bound, nothing panics.

use proptest::prelude::*;
use slipway_sources::{Error, Limits};

use crate::project::{Project, gzip, tar, zip};

const SPEC: &str = "source: {images: {from: a}}, split: {train: 1, validation: 1, test: 1, seed: 0}";

#[tokio::test]
async fn a_path_that_leads_out_is_refused() {
    for name in ["../evil.png", "cat/../../evil.png", "/tmp/evil.png", "cat/.."] {
        for archive in [tar(&[("cat/1.png", b"x"), (name, b"x")]), gzip(&tar(&[(name, b"x")])), zip(&[(name, b"x")])] {
            let project = Project::new();
            project.write("a", archive);
            let problem = project.problem(SPEC).await;
            assert_eq!((problem.code, problem.field.as_str()), ("unsafe-archive", "spec.source.images.from"), "{name}");
            assert!(problem.message.contains(name), "{problem:?}");
            assert!(!project.path().join("evil.png").exists() && !project.path().join("cache/evil.png").exists());
        }
    }
    let project = Project::new();
    project.write("a", zip(&[("..\\evil.png", b"x")]));
    assert_eq!(project.problem(SPEC).await.code, "unsafe-archive");
}

#[tokio::test]
async fn links_and_devices_are_refused() {
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char, tar::EntryType::Fifo] {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_link_name("/etc/passwd").unwrap();
        builder.append_data(&mut header, "cat/1.png", std::io::empty()).unwrap();
        let project = Project::new();
        project.write("a", builder.into_inner().unwrap());
        let problem = project.problem(SPEC).await;
        assert_eq!(problem.code, "unsafe-archive", "{kind:?}");
        assert!(problem.message.contains("cat/1.png, which is a link or a device, not a file"), "{problem:?}");
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.add_symlink("cat/1.png", "/etc/passwd", zip::write::FileOptions::default()).unwrap();
    let project = Project::new();
    project.write("a", writer.finish().unwrap().into_inner());
    assert_eq!(project.problem(SPEC).await.code, "unsafe-archive");
}

#[tokio::test]
async fn size_is_bounded() {
    let bomb = vec![0; 1 << 20];
    for (content, message) in [
        (zip(&[("cat/1.png", &bomb)]), "unpacks to more than 65536 bytes"),
        (gzip(&tar(&[("cat/1.png", &bomb)])), "unpacks to more than 65536 bytes"),
        (tar(&[("a/1", b""), ("a/2", b""), ("a/3", b""), ("a/4", b"")]), "has more than 3 files"),
        (zip(&[("a/1", b""), ("a/2", b""), ("a/3", b""), ("a/4", b"")]), "has more than 3 files"),
    ] {
        let mut project = Project::new();
        project.limits = Limits { files: 3, bytes: 1 << 16 };
        project.write("a", content);
        let problem = project.problem(SPEC).await;
        assert_eq!(problem.code, "unsafe-archive");
        assert!(problem.message.contains(message), "{problem:?}");
    }
    let mut project = Project::new();
    project.limits = Limits { files: 3, bytes: 1 << 16 };
    project.write("a", gzip(&bomb));
    let problem =
        project.problem("source: {csv: {from: a, label: b}}, split: {train: 1, validation: 1, test: 1, seed: 0}").await;
    assert_eq!(problem.code, "unsafe-archive");
}

#[tokio::test]
async fn a_name_that_is_there_twice_is_refused() {
    for archive in [tar(&[("a/1", b"x"), ("a/1", b"y")]), tar(&[("a/1", b"x"), ("a/1/2", b"y")])] {
        let project = Project::new();
        project.write("a", archive);
        let problem = project.problem(SPEC).await;
        assert_eq!(problem.code, "unsafe-archive", "{problem:?}");
        assert!(problem.message.contains("twice"), "{problem:?}");
    }
}

/// Names as strangers write them.
fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        "[a-c]{1,2}",
        "[a-z \\\\:*é]{1,4}"
    ];
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_an_archive_holds_stays_in_its_folder(
        names in proptest::collection::vec(name(), 1..5),
        form in 0..3_u8,
        cut in proptest::option::of(0.0..1.0_f64),
        flip in proptest::option::of((0.0..1.0_f64, 1..=255_u8)),
    ) {
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"content".as_slice())).collect();
        let mut bytes = match form {
            0 => tar(&files),
            1 => gzip(&tar(&files)),
            _ => zip(&files),
        };
        if let Some((place, by)) = flip {
            let place = (place * bytes.len() as f64) as usize;
            bytes[place] ^= by;
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        let project = Project::new();
        project.write("a", bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // three files of seven bytes are no images, so it never succeeds
        let error = runtime.block_on(project.make(SPEC)).unwrap_err();
        prop_assert!(matches!(error, Error::Problem(_)), "{error:?}");
        let mut left: Vec<_> =
            std::fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        prop_assert_eq!(left, ["a", "cache", "s3"]);
    }
}
