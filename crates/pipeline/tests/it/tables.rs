//! Tables: each row is an item.

use std::collections::BTreeMap;

use slipway_dataset::{FileBlob, Format, Splits, Table};
use slipway_pipeline::{Built, PlannedSource, Reason};

use crate::workshop::{New, Workshop};

const COLUMNS: &str = "features: [x, city], types: {city: text}, label: kind";

/// A dataset of `files/t.csv` and of what lands.
fn csv(pipeline: &str) -> String {
    format!(
        "source: {{csv: {{from: files/t.csv, {COLUMNS}}}}}, labels: [a, b], split: {{validation: 0.1, test: 0.2, seed: 1}}, \
         pipeline: {{read: {{landing: ['s3://landing/in']}}{pipeline}}}"
    )
}

/// Rows of two classes.
fn table(numbers: std::ops::Range<u32>) -> String {
    let row = |n: u32| format!("{n}.5,town {n},{}\n", ["a", "b"][n as usize % 2]);
    format!("x,city,kind\n{}", numbers.map(row).collect::<String>())
}

fn splits(built: &Built) -> &Splits<FileBlob> {
    let (Format::Csv(Table { splits, .. }) | Format::Parquet(Table { splits, .. })) = &built.manifest.content else {
        panic!("{:?}", built.manifest)
    };
    splits
}

/// The file of each split.
async fn files(workshop: &Workshop, built: &Built) -> [(&'static str, Vec<u8>); 3] {
    let Splits { train, validation, test } = splits(built);
    let mut files = Vec::new();
    for part in [train, validation, test] {
        let path = workshop.store.fetch_file(part.file, &workshop.path().join("fetched")).await.unwrap();
        files.push(std::fs::read(path).unwrap());
    }
    let [train, validation, test] = files.try_into().unwrap();
    [("train", train), ("validation", validation), ("test", test)]
}

/// Each row of a dataset that is published as CSV, with its split.
async fn rows(workshop: &Workshop, built: &Built) -> BTreeMap<String, &'static str> {
    let mut rows = BTreeMap::new();
    for (split, file) in files(workshop, built).await {
        let text = String::from_utf8(file).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("x,city,kind"));
        for line in lines {
            assert_eq!(rows.insert(line.to_owned(), split), None, "{line}");
        }
    }
    rows
}

#[tokio::test]
async fn a_table_is_built_once_and_to_the_same_bytes() {
    let mut digests = Vec::new();
    for reversed in [false, true] {
        let workshop = Workshop::new().await;
        let mut text = table(0..100);
        if reversed {
            // the same values in another order and notation
            let lines: Vec<String> = text.lines().skip(1).map(|line| line.replace(".5,", ".50, ")).collect();
            text =
                format!("x,city,kind\r\n{}", lines.iter().rev().map(|line| format!("{line}\r\n")).collect::<String>());
        }
        workshop.write("files/t.csv", text);
        let spec = csv("");
        assert_eq!(workshop.plan(&spec).await.sources, [PlannedSource { kind: "tables", units: 1, new: 1 }]);
        let (built, new) = workshop.read(&spec).await;
        assert_eq!((new, built.manifest.format(), built.report.set_aside.count), (New(1, 100), "csv", 0));
        let counts = built.report.counts;
        assert_eq!((counts.train, counts.validation, counts.test), (70, 10, 20));
        assert_eq!((built.report.mean, built.report.classes[1].variance), (None, None));
        assert_eq!(workshop.whole_head().await, Some(built.digest));
        let rows = rows(&workshop, &built).await;
        let is_there = |n: u32| rows.contains_key(&format!("{n}.5,town {n},{}", n % 2));
        assert!((0..100).all(is_there) && rows.len() == 100, "{rows:?}");
        // each class has its share of what tests
        assert_eq!(rows.iter().filter(|(row, split)| row.ends_with(",1") && **split == "test").count(), 10);
        let (again, new) = workshop.read(&spec).await;
        assert_eq!((new, again.moved, again.digest), (New(0, 0), false, built.digest));
        digests.push((built.digest, built.report_digest));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn csv_and_parquet_become_each_other() {
    let first = Workshop::new().await;
    // a text with everything that CSV quotes, and a number of all digits
    let odd = "0.1234567890123456,\"a \"\"town\"\", and\nmore\",a\n";
    first.write("files/t.csv", format!("{}{odd}", table(0..60)));
    let built = first.build(&csv("")).await;
    let (typed, new) = first.read(&csv(", publish: parquet")).await;
    // the rows were read before
    assert_eq!((typed.manifest.format(), new), ("parquet", New(0, 0)));
    let second = Workshop::new().await;
    for (split, file) in files(&first, &typed).await {
        second.write(&format!("files/{split}.parquet"), file);
    }
    let spec = format!(
        "source: {{parquet: {{train: files/train.parquet, validation: files/validation.parquet, test: files/test.parquet, {COLUMNS}}}}}, \
         labels: [a, b], pipeline: {{publish: csv}}"
    );
    let (back, new) = second.read(&spec).await;
    assert_eq!((new, back.digest), (New(3, 61), built.digest));
    // and as they are
    assert_eq!(second.build(&spec.replace("publish: csv", "publish: parquet")).await.digest, typed.digest);
}

#[tokio::test]
async fn what_is_wrong_with_a_row_is_said_with_its_line_and_its_column() {
    let workshop = Workshop::new().await;
    let mut content = table(0..40).into_bytes();
    content.extend_from_slice(
        b"40.5,town 40\nx,town 41,a\n,town 42,a\n900.5,town 43,a\n44.5,town 44,c\n0.50,town 0,a\n1.5,town 1,a\n49.5,K\xf6ln,a\n50.5,town 50,\n",
    );
    workshop.write("files/t.csv", content);
    let spec = csv(", validate: {ranges: {x: [0, 500]}}");
    let built = workshop.build(&spec).await;
    assert_eq!((built.report.items, built.report.counts.total()), (49, 39));
    let aside = workshop.set_aside(&built).await;
    let said: Vec<_> = aside.iter().map(|item| (item.item.as_str(), item.reason, item.detail.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("files/t.csv, line 3", Reason::ConflictingLabel, Some("one is b, the other a")),
            ("files/t.csv, line 42", Reason::WrongLayout, Some("it has 2 cells, but there are 3 columns")),
            ("files/t.csv, line 43", Reason::WrongCell, Some("column `x` holds `x`, which is not a finite number")),
            ("files/t.csv, line 44", Reason::WrongCell, Some("column `x` is empty")),
            ("files/t.csv, line 45", Reason::OutOfRange, Some("column `x` holds 900.5, which is not from 0 to 500")),
            ("files/t.csv, line 46", Reason::UnknownLabel, Some("its label is \"c\"")),
            ("files/t.csv, line 47", Reason::Duplicate, None),
            ("files/t.csv, line 48", Reason::ConflictingLabel, Some("one is a, the other b")),
            ("files/t.csv, line 49", Reason::WrongLayout, Some("it cannot be read as CSV: it is not UTF-8")),
            ("files/t.csv, line 50", Reason::WrongCell, Some("column `kind` is empty")),
        ]
    );
    assert_eq!(aside[6].of.as_deref(), Some("files/t.csv, line 2"));

    let refused = workshop.problem(&csv(", validate: {setAside: 0.01}")).await;
    assert_eq!((refused.code, refused.field.as_str()), ("too-many-set-aside", "spec.pipeline.validate.setAside"));
    let refused = workshop.problem(&csv("").replace("city", "cities")).await;
    assert_eq!((refused.code, refused.field.as_str()), ("missing-column", "spec.source.csv.from"));
    assert_eq!(refused.message, "files/t.csv has no column `cities`");
    // fewer rules set less aside, and the range is one of them
    let built = workshop.build(&csv("")).await;
    assert_eq!(built.report.counts.total(), 40);
}

#[tokio::test]
async fn rows_keep_their_splits_when_files_land() {
    let workshop = Workshop::new().await;
    workshop.write("files/t.csv", table(0..60));
    let before = rows(&workshop, &workshop.build(&csv("")).await).await;
    // other columns beside, in another order
    let landed: String = (60..100).map(|n| format!("{},{n},town {n},{n}.5\n", ["a", "b"][n as usize % 2])).collect();
    workshop.land("in/2026/june.csv", format!("kind,number,city,x\n{landed}"));
    workshop.land("in/broken.csv", "a,b\n1,2\n");
    workshop.land("in/note.json", "{}");
    let (built, new) = workshop.read(&csv("")).await;
    assert_eq!((new, built.report.counts.total()), (New(2, 41), 100));
    let aside = workshop.set_aside(&built).await;
    assert_eq!((aside.len(), aside[0].item.as_str()), (1, "s3://landing/in/broken.csv"));
    assert_eq!(
        (aside[0].reason, aside[0].detail.as_deref()),
        (Reason::Unreadable, Some("s3://landing/in/broken.csv has no column `x`"))
    );
    let after = rows(&workshop, &built).await;
    assert!(before.iter().all(|(row, split)| after.get(row) == Some(split)));
    let counts = built.report.counts;
    assert_eq!((counts.train, counts.validation, counts.test), (70, 10, 20));
    assert_eq!(workshop.read(&csv("")).await.1, New(0, 0));
    // what is gone for a while comes back to its place
    workshop.write("files/t.csv", table(30..60));
    assert_eq!(workshop.build(&csv("")).await.report.counts.total(), 70);
    workshop.write("files/t.csv", table(0..60));
    assert_eq!(rows(&workshop, &workshop.build(&csv("")).await).await, after);
}

/// Rows are in packs whatever is published of them, and so is what a refused build has read.
#[tokio::test]
async fn rows_are_found_again_in_packs() {
    let workshop = Workshop::new().await;
    workshop.write("files/t.csv", format!("{}x,town,a\n", table(0..40)));
    let refused = workshop.problem(&csv(", validate: {setAside: 0.01}")).await;
    assert_eq!((refused.code, workshop.whole_head().await), ("too-many-set-aside", None));
    let (built, new) = workshop.read(&csv("")).await;
    assert_eq!((new, built.report.counts.total()), (New(0, 0), 40));
    // what is new is in another pack
    workshop.land("in/more.csv", table(40..50));
    let (grown, new) = workshop.read(&csv("")).await;
    assert_eq!((new, grown.report.counts.total()), (New(1, 10), 50));
    // all of it is published in another form, and in the first one again
    let (typed, new) = workshop.read(&csv(", publish: parquet")).await;
    assert_eq!((new, typed.report.counts.total()), (New(0, 0), 50));
    let (again, new) = workshop.read(&csv("")).await;
    assert_eq!((new, again.digest), (New(0, 0), grown.digest));
}

#[tokio::test]
async fn a_label_may_be_a_quantity() {
    let workshop = Workshop::new().await;
    // the same features with another quantity are another row
    let rows: String = (0..40).map(|n| format!("{},{}.25\n", n / 2, n)).collect();
    workshop.write("files/t.csv", format!("x,y\n{rows}"));
    let built = workshop
        .build(
            "source: {csv: {from: files/t.csv, features: [x], types: {x: integer}, label: y}}, \
             split: {validation: 0.1, test: 0.2, seed: 1}, pipeline: {}",
        )
        .await;
    let counts = built.report.counts;
    assert_eq!((counts.train, counts.validation, counts.test), (28, 4, 8));
    let classes: Vec<_> =
        built.report.classes.iter().map(|class| (class.label.as_str(), class.counts.total())).collect();
    assert_eq!(classes, [("all rows", 40)]);
    assert_eq!((built.manifest.classes(), built.manifest.labels()), (None, None));
    let mut lines: Vec<String> = Vec::new();
    for (_, file) in files(&workshop, &built).await {
        lines.extend(String::from_utf8(file).unwrap().lines().skip(1).map(str::to_owned));
    }
    lines.sort();
    let mut expected: Vec<String> = rows.lines().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(lines, expected);
}

/// Whatever lands, the build ends, and each item is published or named.
#[tokio::test]
async fn hostile_files_are_set_aside() {
    let workshop = Workshop::new().await;
    workshop.write("files/t.csv", table(0..60));
    let typed = workshop.build(&csv(", publish: parquet")).await;
    let [(_, good), ..] = files(&workshop, &typed).await;
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..20 {
        let noise: Vec<u8> = (0..random.usize(0..3000)).map(|_| random.u8(..)).collect();
        workshop.land(&format!("in/noise-{number}"), &noise);
        workshop.land(&format!("in/rows-{number}"), [b"x,city,kind\n".as_slice(), &noise].concat());
    }
    // a quotation mark that nobody closes, in front of more than a row may have
    workshop.land("in/endless", format!("x,city,kind\n\"{}", "1.5,town,a\n".repeat(800_000)));
    let built = workshop.build(&csv("")).await;
    assert_eq!(built.report.items, built.report.counts.total() + built.report.set_aside.count);
    assert_eq!(built.report.counts.total(), 60);
    let aside = workshop.set_aside(&built).await;
    let endless = aside.iter().find(|item| item.item == "s3://landing/in/endless").unwrap();
    let detail = "s3://landing/in/endless, line 2 cannot be read as CSV: a row has more than 8388608 bytes";
    assert_eq!((endless.reason, endless.detail.as_deref()), (Reason::Unreadable, Some(detail)));

    // the same with types
    let workshop = Workshop::new().await;
    workshop.write("files/t.parquet", &good);
    for length in (0..good.len()).step_by(61) {
        workshop.land(&format!("in/cut-{length}"), &good[..length]);
    }
    for number in 0..60 {
        let mut damaged = good.clone();
        damaged[random.usize(0..good.len())] ^= 1_u8 << random.u8(0..8);
        workshop.land(&format!("in/damaged-{number}"), damaged);
    }
    let spec = csv("").replace("csv: {from: files/t.csv", "parquet: {from: files/t.parquet");
    let built = workshop.build(&spec).await;
    assert_eq!(built.report.items, built.report.counts.total() + built.report.set_aside.count);
    let aside = workshop.set_aside(&built).await;
    for length in (0..good.len()).step_by(61) {
        let name = format!("s3://landing/in/cut-{length}");
        let cut = aside.iter().find(|item| item.item == name).unwrap_or_else(|| panic!("{name} is not named"));
        assert_eq!(cut.reason, Reason::Unreadable);
        assert!(cut.detail.as_ref().unwrap().contains("is not a complete Parquet file"), "{cut:?}");
    }
    // a declared file is not read in part
    workshop.write("files/t.parquet", &good[..good.len() - 9]);
    assert_eq!(workshop.problem(&spec).await.code, "truncated");
}
