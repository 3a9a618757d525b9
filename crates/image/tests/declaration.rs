//! Mistakes in declarations are reported with line and column.

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
