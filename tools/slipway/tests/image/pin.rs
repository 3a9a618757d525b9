//! `slipway image pin`.

use crate::repository::Repository;

const KUSTOMIZATION: &str =
    "resources: [../../../base/thing]\nimages:\n  - name: slipway/thing   # ours\n    newTag: 1.0.0\n";

fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

#[test]
fn a_digest_goes_where_the_manifests_take_it_from() {
    let repository = Repository::new();
    repository.write("overlays/staging/thing/kustomization.yaml", KUSTOMIZATION);
    repository.write("overlays/production/thing/kustomization.yaml", KUSTOMIZATION);
    repository.write("clusters/staging/cluster.yaml", "spec:\n  trainerImage: slipway/trainer:1\n");
    let images =
        "kind: Component\nimages:\n  - {name: slipway/trainer, newTag: 0.1.0}\n  - {name: redis, newTag: 8.2.3}\n";
    repository.write("clusters/staging/images/kustomization.yaml", images);
    let image = format!("registry.example.org/acme/thing@{}", digest());
    let ran = repository.run(&["pin", &image, "--environment", "staging", "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()[0]["file"], "overlays/staging/thing/kustomization.yaml");
    let text = repository.read("overlays/staging/thing/kustomization.yaml");
    assert!(text.contains(&format!("newName: registry.example.org/acme/thing\n    digest: {}", digest())), "{text}");
    assert!(!text.contains("newTag"), "{text}");
    assert_eq!(repository.read("overlays/production/thing/kustomization.yaml"), KUSTOMIZATION);

    let trainer = format!("registry.example.org/acme/trainer@{}", digest());
    assert_eq!(repository.run(&["pin", &trainer]).code(), 0);
    assert_eq!(repository.read("clusters/staging/cluster.yaml"), format!("spec:\n  trainerImage: {trainer}\n"));
    let text = repository.read("clusters/staging/images/kustomization.yaml");
    assert!(text.contains(&format!("newName: registry.example.org/acme/trainer\n    digest: {}", digest())), "{text}");
    assert!(text.contains("{name: redis, newTag: 8.2.3}"), "{text}");
}

#[test]
fn a_tag_is_not_a_digest_and_nothing_is_written() {
    let repository = Repository::new();
    repository.write("overlays/staging/thing/kustomization.yaml", KUSTOMIZATION);
    let good = format!("registry.example.org/acme/thing@{}", digest());
    let message = repository.fails(3, &["pin", &good, "registry.example.org/acme/thing:1.0"]);
    assert!(message.contains("a tag can point elsewhere tomorrow"), "{message}");
    let unknown = format!("registry.example.org/acme/other@{}", digest());
    let message = repository.fails(3, &["pin", &good, &unknown]);
    assert!(message.contains("nothing in clusters/staging, overlays/staging uses an image called other"), "{message}");
    assert!(repository.fails(3, &["pin", &good, "--environment", "moon"]).contains("staging"));
    assert_eq!(repository.read("overlays/staging/thing/kustomization.yaml"), KUSTOMIZATION);
}

#[test]
fn a_program_of_trainers_is_pinned_for_new_jobs() {
    let repository = Repository::new();
    repository.write("overlays/staging/thing/kustomization.yaml", KUSTOMIZATION);
    repository.write("trainers/wine/image.yaml", "declared");
    let cluster = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {name: staging}\nspec:\n  \
                   trainerImage: slipway/trainer:1\n  maxTrials: 9   # few\n  prices: {cpuHour: 1, currency: USD}\n";
    repository.write("clusters/staging/cluster.yaml", cluster);
    let image = format!("registry.example.org/acme/wine@{}", digest());
    let ran = repository.run(&["pin", &image, "-o", "json"]);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.json()[0]["file"], "clusters/staging/cluster.yaml");
    let expected = cluster.replace("  maxTrials", &format!("  trainers:\n    wine: {image}\n  maxTrials"));
    assert_eq!(repository.read("clusters/staging/cluster.yaml"), expected);

    repository.write("clusters/staging/cluster.yaml", "spec: {trainerImage: a}\n");
    let message = repository.fails(3, &["pin", &image]);
    assert!(message.contains("clusters/staging/cluster.yaml: the image of wine cannot be written"), "{message}");
}
