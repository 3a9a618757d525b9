//! Tables as CSV and Parquet.

use parquet::file::reader::{FileReader, SerializedFileReader};
use slipway_dataset::{ColumnType, Format, Table};

use crate::project::{Project, gzip};

const SPLIT: &str = "split: {train: 18, validation: 6, test: 6, seed: 0}";

/// 30 rows: a number, a text, another number, and one of three kinds.
fn csv(kinds: [&str; 3]) -> String {
    let rows = (0..30).map(|n| format!("{n}.5,town {n},{},{}\n", n * 2, kinds[n % 3]));
    format!("age,town,income,kind\n{}", rows.collect::<String>())
}

fn project(content: impl AsRef<[u8]>) -> Project {
    let project = Project::new();
    project.write("t.csv", content);
    project
}

fn lines(content: &[u8]) -> Vec<&str> {
    std::str::from_utf8(content).unwrap().lines().collect()
}

#[tokio::test]
async fn a_table_is_split_by_its_label() {
    let project = project(csv(["a", "b", "c"]));
    let spec = format!(
        "source: {{csv: {{from: t.csv, features: [income, town], types: {{town: text, income: integer}}, label: kind}}}}, \
         labels: [c, b, a], {SPLIT}"
    );
    let files = project.files(&spec).await;
    let train = lines(&files["train.csv"]);
    assert_eq!((train[0], train.len()), ("income,town,kind", 19));
    // the label is the class's number; rows keep their order
    let first: Vec<&str> = train[1].split(',').collect();
    let number: usize = first[1].strip_prefix("town ").unwrap().parse().unwrap();
    assert_eq!(first, [&(number * 2).to_string(), first[1], &(2 - number % 3).to_string()]);
    let incomes: Vec<u32> = train[1..].iter().map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(incomes.is_sorted());
    let classes = |part: &str| {
        let lines = lines(&files[part]);
        (0..3).map(|class| lines.iter().filter(|line| line.ends_with(&format!(",{class}"))).count()).collect::<Vec<_>>()
    };
    assert_eq!(
        (classes("train.csv"), classes("validation.csv"), classes("test.csv")),
        (vec![6; 3], vec![2; 3], vec![2; 3])
    );
    let description: String = String::from_utf8(files["dataset.json"].clone()).unwrap();
    for part in ["\"income\"", "\"text\"", "\"features\"", "\"csv\""] {
        assert!(description.contains(part), "{description}");
    }
    let made = project.make(&spec).await.unwrap();
    let Format::Csv(Table { label, classes, .. }) = &made.dataset.manifest().content else { panic!() };
    assert_eq!((label.kind, *classes), (ColumnType::Integer, Some(3)));
}

#[tokio::test]
async fn a_table_without_classes_is_a_regression() {
    let text = csv(["a", "b", "c"]);
    let project = project(gzip(format!("\u{feff}{text}").replace(',', ";").as_bytes()));
    let files = project
        .files(&format!("source: {{csv: {{from: t.csv, delimiter: \";\", features: [age], label: income}}}}, {SPLIT}"))
        .await;
    assert_eq!(lines(&files["test.csv"]).len(), 7);
    assert_eq!(lines(&files["test.csv"])[0], "age,income");
    let description: String = String::from_utf8(files["dataset.json"].clone()).unwrap();
    assert!(description.contains("\"classes\": null"), "{description}");
}

#[tokio::test]
async fn names_of_columns_may_be_declared_and_files_be_many() {
    let project = Project::new();
    let text = csv(["1", "2", "3"]);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    project.write("a.csv", rows[..13].join("\n"));
    project.write("b.csv", rows[13..].join("\r\n"));
    let spec = |first: &str| {
        format!(
            "source: {{csv: {{from: [a.csv, b.csv], header: [x, name, y, z], features: [x, y], label: z{first}}}}}, classes: 3, {SPLIT}"
        )
    };
    let problem = project.problem(&spec("")).await;
    assert_eq!((problem.code, problem.field.as_str()), ("label-offset", "spec.source.csv"));
    assert_eq!(problem.message, "a.csv, line 3, has the label 3, but 3 classes are declared: 0 to 2");
    let files = project.files(&spec(", firstLabel: 1")).await;
    assert_eq!(lines(&files["train.csv"]).len(), 19);
    assert!(lines(&files["train.csv"])[1..].iter().all(|line| matches!(line.as_bytes().last(), Some(b'0'..=b'2'))));
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let good = csv(["0", "1", "2"]);
    let line = |number: usize, from: &str, to: &str| {
        let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
        lines[number - 1] = lines[number - 1].replace(from, to);
        lines.join("\n")
    };
    for (content, columns, rest, code, message) in [
        (
            good.clone(),
            "label: kind",
            "classes: 3",
            "wrong-cell",
            "t.csv, line 2, column `town` holds `town 0`, which is not a finite number",
        ),
        (good.clone(), "label: kind, features: [agee]", "classes: 3", "missing-column", "t.csv has no column `agee`"),
        (good.clone(), "label: kinds", "classes: 3", "missing-column", "t.csv has no column `kinds`"),
        (good.clone(), "label: kind, types: {tow: text}", "classes: 3", "missing-column", "t.csv has no column `tow`"),
        (
            line(9, "7.5", "seven"),
            "label: kind, features: [age]",
            "classes: 3",
            "wrong-cell",
            "t.csv, line 9, column `age` holds `seven`",
        ),
        (
            line(9, "7.5", "NaN"),
            "label: kind, features: [age]",
            "classes: 3",
            "wrong-cell",
            "holds `NaN`, which is not a finite number",
        ),
        (
            line(9, "7.5", ""),
            "label: kind, features: [age]",
            "classes: 3",
            "wrong-cell",
            "t.csv, line 9, column `age` is empty",
        ),
        (
            line(9, "14", "1.4"),
            "label: kind, features: [income], types: {income: integer}",
            "classes: 3",
            "wrong-cell",
            "which is not a whole number",
        ),
        (
            line(9, ",1", ","),
            "label: kind, features: [age], missing: allowed",
            "classes: 3",
            "wrong-cell",
            "column `kind` is empty",
        ),
        (
            line(9, ",14", ",14,3"),
            "label: kind, features: [age]",
            "classes: 3",
            "wrong-layout",
            "t.csv, line 9 has 5 cells, but there are 4 columns",
        ),
        (
            good.replace("age,", "kind,"),
            "label: kind, features: [income]",
            "classes: 3",
            "wrong-layout",
            "has the column `kind` twice",
        ),
        (good.clone(), "label: kind, delimiter: \";\"", "classes: 3", "missing-column", "t.csv has no column `kind`"),
        (
            csv(["a", "b", "c"]),
            "label: kind, features: [age]",
            "labels: [a, b]",
            "wrong-cell",
            "line 4, column `kind` holds `c`, which is not a declared label",
        ),
        (
            csv(["a", "b", "c"]),
            "label: kind, features: [age]",
            "labels: [a, b, c, d]",
            "empty-class",
            "no example has the class 3 (d)",
        ),
        (
            csv(["a", "b", "c"]),
            "label: kind, features: [age]",
            "",
            "wrong-cell",
            "column `kind` holds `a`, which is not a finite number",
        ),
        (String::new(), "label: kind", "classes: 3", "missing-column", "t.csv has no column `kind`"),
    ] {
        let project = project(&content);
        let rest = if rest.is_empty() { SPLIT.to_owned() } else { format!("{rest}, {SPLIT}") };
        let problem = project.problem(&format!("source: {{csv: {{from: t.csv, {columns}}}}}, {rest}")).await;
        assert_eq!(problem.code, code, "{problem:?}");
        assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem:?}");
    }
    // Latin-1
    let project = project([good.as_bytes(), b"1,K\xf6ln,2,0\n"].concat());
    let problem = project
        .problem(&format!("source: {{csv: {{from: t.csv, features: [age], label: kind}}}}, classes: 3, {SPLIT}"))
        .await;
    assert_eq!(problem.message, "t.csv, line 32 cannot be read as CSV: it is not UTF-8");
    // lines as Excel ends them
    let project = crate::tables::project(line(9, ",14", ",14,3").replace('\n', "\r\n"));
    let problem = project
        .problem(&format!("source: {{csv: {{from: t.csv, features: [age], label: kind}}}}, classes: 3, {SPLIT}"))
        .await;
    assert_eq!(problem.message, "t.csv, line 9 has 5 cells, but there are 4 columns");
    // files with other columns
    let project = crate::tables::project(&good);
    project.write("other.csv", good.replace("age", "years"));
    let problem = project
        .problem(&format!("source: {{csv: {{from: [t.csv, other.csv], label: kind}}}}, classes: 3, {SPLIT}"))
        .await;
    assert_eq!((problem.code, problem.field.as_str()), ("missing-column", "spec.source.csv.from.1"));
}

const PANDAS: &[u8] = include_bytes!("files/pandas.parquet");

#[tokio::test]
async fn a_parquet_file_of_pandas_is_read_and_written() {
    let project = Project::new();
    project.write("t.parquet", PANDAS);
    let spec =
        |columns: &str, rest: &str| format!("source: {{parquet: {{from: t.parquet, {columns}}}}}, {rest}, {SPLIT}");
    let good = "features: [income, city, age], types: {city: text, age: integer}, label: bought, missing: allowed";
    let files = project.files(&spec(good, "labels: [nothing, bread, cheese]")).await;
    let mut rows = Vec::new();
    for part in ["train", "validation", "test"] {
        let path = project.path().join(part);
        std::fs::write(&path, &files[&format!("{part}.parquet")]).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let part: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        rows.push(part);
    }
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [18, 6, 6]);
    let all = rows.concat();
    assert!(all.contains(&"{income: 4.5, city: \"Köln\", age: 33, bought: 0}".to_owned()), "{all:?}");
    assert!(all.contains(&"{income: null, city: \"Köln\", age: 32, bought: 1}".to_owned()), "{all:?}");
    // the same every time
    let digest = project.make(&spec(good, "classes: 3")).await.unwrap().dataset.digest();
    assert_eq!(project.make(&spec(good, "classes: 3")).await.unwrap().dataset.digest(), digest);

    for (columns, code, message) in [
        ("features: [age, income], label: bought", "wrong-cell", "t.parquet, row 8, column `income` is empty"),
        (
            "features: [city], label: bought",
            "wrong-cell",
            "t.parquet, row 1, column `city` holds `Bonn`, which is not a finite number",
        ),
        ("features: [tags], label: bought", "wrong-cell", "t.parquet, column `tags` holds lists or maps"),
        ("features: [aeg], label: bought", "missing-column", "t.parquet has no column `aeg`"),
    ] {
        let problem = project.problem(&spec(columns, "classes: 3")).await;
        assert_eq!(problem.code, code, "{problem:?}");
        assert!(problem.message.contains(message) && !problem.help.is_empty(), "{problem:?}");
    }
}

#[tokio::test]
async fn a_damaged_parquet_file_is_an_error_at_every_length() {
    let project = Project::new();
    let spec = format!("source: {{parquet: {{from: t.parquet, features: [age], label: bought}}}}, classes: 3, {SPLIT}");
    for length in (0..PANDAS.len()).step_by(97) {
        project.write("t.parquet", &PANDAS[..length]);
        let problem = project.problem(&spec).await;
        assert_eq!(problem.code, "truncated", "{length}: {problem:?}");
        assert!(problem.message.starts_with("t.parquet is not a complete Parquet file"), "{problem:?}");
    }
}
