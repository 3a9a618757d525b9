//! Everything builds, offline, and nothing is left open.

use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{builds, documents, environments, repository};

#[test]
fn every_folder_builds_and_every_setting_is_filled_in() {
    need(&["kustomize"]).unwrap();
    let environments = environments().unwrap();
    assert_eq!(environments, ["local", "production", "staging"]);
    for environment in environments {
        for folder in builds(&environment).unwrap() {
            let text = kustomize(&folder).unwrap();
            assert!(!text.contains("SETTING"), "{}: a value of settings.yaml is not put in:\n{text}", folder.display());
            assert!(!text.contains("name: settings\n"), "{}: the settings would be applied", folder.display());
            assert!(!documents(&text).unwrap().is_empty(), "{} holds nothing", folder.display());
        }
    }
}

#[test]
fn no_build_needs_a_url() {
    let mut seen = 0;
    let mut open = vec!["argocd", "base", "clusters", "overlays"]
        .into_iter()
        .map(|name| repository().join(name))
        .collect::<Vec<_>>();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("kustomization.yaml") {
                seen += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                let kustomization = documents(&text).unwrap().remove(0);
                for list in ["resources", "components"] {
                    for item in kustomization[list].as_array().into_iter().flatten() {
                        let item = item.as_str().unwrap();
                        assert!(!item.contains("://") && !item.contains("?ref="), "{}: {item}", path.display());
                    }
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} kustomizations were found");
}
