//! Mistakes in declarations are reported with line and column.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use rstest::rstest;
use slipway_image::parse;

const GOOD: &str = "apiVersion: slipway.dev/v1alpha1
kind: Image
metadata:
  name: thing
spec:
  base:
    debian:
      suite: bookworm
      packages: [libc6]
  files:
    - {binary: thing, to: /usr/local/bin/thing}
  entrypoint: [/usr/local/bin/thing]
";

#[test]
fn a_good_one_has_defaults() {
    let image = parse("apps/thing/image.yaml", GOOD).unwrap();
    assert_eq!((image.spec.user.uid, image.spec.workdir.as_str()), (65532, "/"));
}

#[rstest]
#[case("name: thing", "name: other", 4, 9, "is not that of the folder")]
#[case("[libc6]", "[libc6, Bad_Name]", 9, 25, "not the name of a Debian package")]
#[case("[/usr/local/bin/thing]", "[thing]", 12, 3, "absolute path of a program")]
#[case("binary: thing, ", "", 11, 12, "needs either a `binary` or a `path`")]
#[case("binary: thing", "path: ../secret", 11, 14, "must be inside the repository")]
#[case("to: /usr", "to: usr", 11, 27, "absolute path in the image")]
#[case("  files:", "  user: {uid: 0, gid: 0, name: root}\n  files:", 10, 3, "must not be root")]
fn content(#[case] from: &str, #[case] to: &str, #[case] line: usize, #[case] column: usize, #[case] message: &str) {
    let mistakes = parse("apps/thing/image.yaml", &GOOD.replacen(from, to, 1)).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].message.contains(message), "{mistakes:?}");
    assert_eq!((mistakes[0].line, mistakes[0].column), (line, column), "{mistakes:?}");
}

#[rstest]
#[case("  files:", "  flies: 1\n  files:", 10, "flies")]
#[case("kind: Image", "kind: Picture", 2, "Picture")]
#[case("slipway.dev/v1alpha1", "slipway.dev/v9", 1, "v9")]
fn form(#[case] from: &str, #[case] to: &str, #[case] line: usize, #[case] message: &str) {
    let mistakes = parse("apps/thing/image.yaml", &GOOD.replacen(from, to, 1)).unwrap_err();
    assert!(mistakes[0].message.contains(message), "{mistakes:?}");
    assert_eq!(mistakes[0].line, line, "{mistakes:?}");
}

#[test]
fn a_base_needs_a_digest() {
    let text = GOOD.replace("    debian:\n      suite: bookworm\n      packages: [libc6]", "    oci: debian:bookworm");
    let mistakes = parse("apps/thing/image.yaml", &text).unwrap_err();
    assert!(
        mistakes[0].to_string().starts_with("apps/thing/image.yaml:7:10: ")
            && mistakes[0].message.contains("a tag moves")
    );
}

const PROGRAM: &str = "apiVersion: slipway.dev/v1alpha1
kind: Image
metadata:
  name: wine
spec:
  base:
    debian: {suite: bookworm, packages: [python3.11]}
  python:
    version: \"3.11\"
    requirements: requirements.lock
    without: {packages: [nvidia-*], files: [torch/include/**], sections: [.nv_fatbin]}
  files:
    - {binary: slipway-launch, to: /usr/bin/slipway-launch}
    - {path: trainers/wine, to: /opt/program, except: [image.yaml, \"*.lock\"]}
  entrypoint: [/usr/bin/slipway-launch]
";

#[rstest]
#[case(
    "binary: slipway-launch",
    "binary: slipway-trainer",
    13,
    5,
    "needs `- {binary: slipway-launch, to: /usr/bin/slipway-launch}`"
)]
#[case("to: /opt/program", "to: /program", 13, 5, "needs `- {path: trainers/wine, to: /opt/program}`")]
#[case("path: trainers/wine", "path: trainers/other", 13, 5, "the launcher starts what is in /opt/program")]
#[case("nvidia-*", "\"nvidia-[\"", 11, 27, "is not a pattern")]
#[case("\"*.lock\"", "\"[.lock\"", 14, 69, "is not a pattern")]
fn a_program(#[case] from: &str, #[case] to: &str, #[case] line: usize, #[case] column: usize, #[case] message: &str) {
    assert!(parse("trainers/wine/image.yaml", PROGRAM).is_ok());
    let mistakes = parse("trainers/wine/image.yaml", &PROGRAM.replacen(from, to, 1)).unwrap_err();
    assert!(mistakes.len() == 1 && mistakes[0].message.contains(message), "{mistakes:?}");
    assert_eq!((mistakes[0].line, mistakes[0].column), (line, column), "{mistakes:?}");
}

#[test]
fn programs_are_declared_beside_apps_and_names_are_unique() {
    let folder = tempfile::tempdir().unwrap();
    assert!(slipway_image::declared(folder.path()).unwrap().is_empty());
    let error = slipway_image::named(folder.path(), &[]).unwrap_err().to_string();
    assert!(error.contains("no image is declared"), "{error}");
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(folder.path().join(path)).unwrap();
        std::fs::write(folder.path().join(path).join("image.yaml"), text).unwrap();
    };
    write("trainers/wine", PROGRAM);
    write("apps/thing", GOOD);
    let names: Vec<String> =
        slipway_image::declared(folder.path()).unwrap().iter().map(|one| one.name().to_owned()).collect();
    assert_eq!(names, ["thing", "wine"]);
    write("apps/wine", &GOOD.replace("thing", "wine"));
    let error = slipway_image::declared(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("trainers/wine/image.yaml:4:9: ") && error.contains("apps/wine is called wine as well"),
        "{error}"
    );
}
