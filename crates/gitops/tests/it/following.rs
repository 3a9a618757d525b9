//! What is followed as Argo CD does, and what is said not to be.

use rstest::rstest;
use slipway_gitops::{Builds, Changed, Environment};

use crate::repository::Repository;

const APPS: &str = "clusters/local/applications.yaml";
const NAMESPACES: &str = "base/namespaces/namespaces.yaml";
const WEB: &str = "base/web/web.yaml";
const JOBS: &str = "overlays/local/training-jobs";
const SOURCE: &str = "    repoURL: https://example.org/this.git
    targetRevision: main
    path: overlays/local/web
";

/// A repository whose web Application has another source, and whose web has a mistake that is found if it is read.
fn with_source(source: &str) -> Repository {
    let mut repository = Repository::new();
    repository.replace(APPS, SOURCE, source);
    repository.replace(WEB, "example.org/web:1.2", "example.org/web");
    repository
}

const FLOATING: &str = "floating-image | image: example.org/web";

#[rstest]
#[case("https://example.org/this")]
#[case("https://Example.org/This.git")]
#[case("https://user@example.org/this.git")]
fn this_repository_has_several_addresses(#[case] address: &str) {
    let mut repository = with_source(&SOURCE.replace("https://example.org/this.git", address));
    repository.replace(APPS, "sourceRepos: ['https://example.org/*']", "sourceRepos: ['*']");
    assert_eq!((repository.found(), repository.omitted()), (vec![FLOATING.to_owned()], vec![]));
}

#[test]
fn a_project_permits_an_address_with_and_without_git() {
    let mut repository = Repository::new();
    repository.replace(APPS, "'https://example.org/*'", "'https://example.org/THIS', 'https://example.org/upstream'");
    assert_eq!(repository.found(), [""; 0]);
    repository.replace(APPS, SOURCE, &SOURCE.replace("https://example.org/this.git", "git@example.org:this.git"));
    assert_eq!(repository.found(), ["source-not-permitted | repoURL: git@example.org:this.git"]);
}

#[test]
fn an_address_is_shown_without_its_login() {
    let address = "https://ann:secret@example.net/this.git";
    let mut repository = with_source(&SOURCE.replace("https://example.org/this.git", address));
    repository.replace("base/web/kustomization.yaml", "[web.yaml]", "[web.yaml, 'https://ann:secret@example.org/b']");
    let messages: Vec<String> = repository.findings().into_iter().map(|finding| finding.message).collect();
    for shown in [
        "project stack does not permit the repository https://example.net/this.git",
        "`https://example.org/b` is not in this repository",
    ] {
        assert!(messages.iter().any(|message| message.contains(shown)), "{messages:?}");
    }
    assert!(!messages.iter().any(|message| message.contains("secret")), "{messages:?}");
}

#[rstest]
#[case::path_with_slashes("./overlays/local/web/")]
#[case::path_with_steps("overlays/staging/../local/web")]
fn a_path_is_what_it_leads_to(#[case] path: &str) {
    let repository = with_source(&SOURCE.replace("overlays/local/web", path));
    assert_eq!(repository.found(), [FLOATING]);
}

#[rstest]
#[case::revision(SOURCE.replace("main", "v1.0"), "at v1.0, and these files are main", "targetRevision: v1.0")]
#[case::commit(
    SOURCE.replace("main", "8162c7c4a48f3ee0e91b1a3eb90616cf319a4b1a"),
    "at 8162c7c4a48f3ee0e91b1a3eb90616cf319a4b1a, and these files are main",
    "targetRevision: 8162c7c4a48f3ee0e91b1a3eb90616cf319a4b1a"
)]
#[case::helm(format!("{SOURCE}    helm: {{values: ''}}\n"), "by helm, which does not run here", "path: overlays/local/web")]
#[case::plugin(format!("{SOURCE}    plugin: {{name: x}}\n"), "by a plugin, which does not run here", "path: overlays/local/web")]
#[case::changed(
    format!("{SOURCE}    kustomize:\n      forceCommonLabels: true\n"),
    "changes overlays/local/web by kustomize.forceCommonLabels, which is not done here",
    "forceCommonLabels: true"
)]
#[case::component(
    format!("{SOURCE}    kustomize:\n      components: ['https://example.org/base?ref=main']\n"),
    "adds https://example.org/base?ref=main to overlays/local/web, which is in another repository",
    "components: ['https://example.org/base?ref=main']"
)]
#[case::login(
    format!("{SOURCE}    kustomize:\n      components: ['https://ann:secret@example.org/base?ref=main']\n"),
    "adds https://example.org/base?ref=main to overlays/local/web, which is in another repository",
    "components: ['https://ann:secret@example.org/base?ref=main']"
)]
fn what_is_not_followed_is_said(#[case] source: String, #[case] message: &str, #[case] line: &str) {
    let repository = with_source(&source);
    assert_eq!(repository.found(), [""; 0], "nothing that depends on it is judged");
    let omitted = repository.omitted();
    assert_eq!(omitted.len(), 1, "{omitted:?}");
    assert!(omitted[0].contains(message) && omitted[0].ends_with(&format!(" | {line}")), "{omitted:?}");
}

#[test]
fn a_chart_in_the_folder_is_said() {
    let mut repository = with_source(&SOURCE.replace("overlays/local/web", "base/chart"));
    repository.write("base/chart/Chart.yaml", "name: web\n");
    repository.files.remove("overlays/local/web/kustomization.yaml");
    assert_eq!(repository.found(), [""; 0]);
    assert_eq!(
        repository.omitted(),
        ["Application web makes its objects from base/chart by helm, which does not run here | path: base/chart"]
    );
}

#[rstest]
#[case("kustomize.buildOptions")]
#[case("kustomize.buildOptions.v5.8.1")]
fn build_options_of_argo_cd_are_said(#[case] key: &str) {
    let settings = |value: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: argocd-cm, namespace: argocd}}\ndata:\n  {key}: {value}\n"
        )
    };
    let mut repository = Repository::new();
    repository.append(NAMESPACES, &settings("''"));
    assert_eq!((repository.found(), repository.omitted()), (vec![], vec![]));
    let mut repository = Repository::new();
    repository.append(NAMESPACES, &settings("--enable-helm"));
    assert_eq!(repository.found(), [""; 0]);
    assert_eq!(
        repository.omitted(),
        [format!("Argo CD runs kustomize with `--enable-helm`, which is not done here | {key}: --enable-helm")]
    );
}

#[test]
fn build_options_in_a_patch_are_said_too() {
    let mut repository = Repository::new();
    repository.replace(
        APPS,
        "targetRevision: v1, path: manifests}",
        "targetRevision: v1, path: manifests, kustomize: {patches: [{patch: 'data: {kustomize.buildOptions: --enable-helm}'}]}}",
    );
    assert_eq!(repository.omitted().len(), 1, "{:?}", repository.omitted());
}

/// A repository in which an ApplicationSet makes the web Application.
fn with_set(generators: &str, more: &str, name: &str, path: &str) -> Repository {
    let mut repository = Repository::new();
    repository.replace(
        APPS,
        &format!("kind: Application\nmetadata: {{name: web, namespace: argocd}}\nspec:\n  project: stack\n  source:\n{SOURCE}  destination: {{server: https://kubernetes.default.svc, namespace: web}}\n"),
        &format!(
            "kind: ApplicationSet\nmetadata: {{name: sites, namespace: argocd}}\nspec:\n{more}  generators:\n    - {generators}\n  template:\n    metadata:\n      name: {name}\n    spec:\n      project: stack\n      source:\n        repoURL: https://example.org/this.git\n        targetRevision: main\n        path: {path}\n      destination: {{server: https://kubernetes.default.svc, namespace: '{{{{site}}}}'}}\n"
        ),
    );
    repository
}

const LIST: &str = "list: {elements: [{site: web}]}";

#[test]
fn a_list_of_an_application_set_is_expanded() {
    let mut repository = with_set(LIST, "", "'{{ site }}'", "'overlays/local/{{site}}'");
    assert_eq!((repository.found(), repository.omitted()), (vec![], vec![]));
    let names = |environment: &Environment| -> Vec<String> {
        environment.applications.iter().map(|one| one.application.name().to_owned()).collect()
    };
    assert_eq!(names(&repository.check().0), ["root", "namespaces", "web", "upstream", "training-jobs"]);
    repository.replace(WEB, "example.org/web:1.2", "example.org/web");
    assert_eq!(repository.found(), [FLOATING]);
    // what is wrong with the Application is where its template is
    let repository = with_set(LIST, "", "'{{site}}'", "'overlays/local/{{site}}x'");
    assert_eq!(
        repository.found(),
        ["application-path | path: 'overlays/local/{{site}}x'", "not-synced | resources: [../../../base/web]"]
    );
    assert!(repository.findings()[0].message.contains("Application web deploys overlays/local/webx"));
}

#[test]
fn go_templates_that_name_parameters_are_expanded() {
    let list = "list: {elements: [{site: {name: web, number: 7}}]}";
    let repository = with_set(list, "  goTemplate: true\n", "'{{ .site.name }}'", "'overlays/local/{{.site.name}}'");
    let repository = replaced(repository, "namespace: '{{site}}'", "namespace: '{{.site.name}}'");
    assert_eq!((repository.found(), repository.omitted()), (vec![], vec![]));
}

fn replaced(mut repository: Repository, from: &str, to: &str) -> Repository {
    repository.replace(APPS, from, to);
    repository
}

#[rstest]
#[case::git(
    "git: {repoURL: x, directories: [{path: 'overlays/local/*'}]}",
    "",
    "'{{site}}'",
    "the generator `git` is not understood here"
)]
#[case::matrix("matrix: {generators: []}", "", "'{{site}}'", "the generator `matrix` is not understood here")]
#[case::selected(
    "list: {elements: [{site: web}]}\n      selector: {}",
    "",
    "'{{site}}'",
    "the generator `selector` is not understood here"
)]
#[case::text(
    "list: {elementsYaml: '[]'}",
    "",
    "'{{site}}'",
    "`elementsYaml` of a list generator is not understood here"
)]
#[case::number("list: {elements: [{site: 7}]}", "", "'{{site}}'", "the parameter `site` is not a text")]
#[case::expression(
    LIST,
    "  goTemplate: true\n",
    "'{{ .site | upper }}'",
    "the expression `{{ .site | upper }}` is not understood here"
)]
#[case::missing(LIST, "  goTemplate: true\n", "'{{.sit}}'", "the expression `{{.sit}}` is not understood here")]
#[case::patch(LIST, "  templatePatch: x\n", "'{{site}}'", "patches of templates are not understood here")]
fn an_application_set_that_is_not_expanded_is_said(
    #[case] generators: &str,
    #[case] more: &str,
    #[case] name: &str,
    #[case] reason: &str,
) {
    let repository = with_set(generators, more, name, "'overlays/local/{{site}}'");
    assert_eq!(repository.found(), [""; 0], "no overlay is called unused");
    let omitted = repository.omitted();
    assert_eq!(omitted.len(), 1, "{omitted:?}");
    assert!(
        omitted[0].starts_with("the Applications of ApplicationSet argocd/sites are not followed: ")
            && omitted[0].contains(reason),
        "{omitted:?}"
    );
}

#[test]
fn the_changes_of_a_source_are_built_with_the_folder() {
    let repository = with_source(&format!("{SOURCE}    kustomize:\n      images: [\"example.org/web:2\"]\n"));
    let mut builds = repository.builds();
    let with = |builds: &Builds| {
        let (environment, findings) = repository.check_with(builds);
        let codes: Vec<String> = findings.iter().map(|one| format!("{}:{} {}", one.file, one.line, one.code)).collect();
        (environment.unbuilt, codes)
    };
    let changed =
        Changed { folder: "overlays/local/web".to_owned(), changes: "{\"images\":[\"example.org/web:2\"]}".to_owned() };
    assert_eq!(with(&builds), (vec![changed.clone()], vec![]));
    let text = String::from_utf8(repository.files[WEB].clone()).unwrap();
    builds.changed.insert(changed.clone(), Ok(text.replace("image: example.org/web", "image: example.org/web:2")));
    assert_eq!(with(&builds), (vec![], vec![]), "the image is that of the source");
    builds.changed.insert(changed, Err("no such image".to_owned()));
    assert_eq!(with(&builds), (vec![], vec![format!("{APPS}:31 kustomize-build")]));
}

#[test]
fn files_of_a_folder_are_chosen_as_argo_cd_chooses_them() {
    let mut repository = Repository::new();
    let job = String::from_utf8(repository.files[&format!("{JOBS}/digits-1.yaml")].clone()).unwrap();
    let (runtime, wrong) = ("name: rust", "name: none");
    for (name, text) in [
        ("read.yml", job.replace(runtime, wrong).replace("digits-1", "read")),
        ("below/deep.yaml", job.replace(runtime, wrong).replace("digits-1", "deep")),
        ("marked.yaml", format!("# +argocd:skip-file-rendering\n{}", job.replace(runtime, wrong))),
        ("values.yaml", "a: 1\n".to_owned()),
        ("read.txt", "x: [".to_owned()),
    ] {
        repository.write(&format!("{JOBS}/{name}"), &text);
    }
    let found = |repository: &Repository| -> Vec<String> {
        repository
            .findings()
            .iter()
            .map(|one| format!("{} {}", one.file.rsplit('/').next().unwrap(), one.code))
            .collect()
    };
    assert_eq!(found(&repository), ["read.yml unknown-runtime"]);
    let source = "path: overlays/local/training-jobs}";
    repository.replace(
        APPS,
        source,
        "path: overlays/local/training-jobs, directory: {recurse: true, exclude: '{read,x}.*'}}",
    );
    assert_eq!(found(&repository), ["deep.yaml unknown-runtime"]);
    repository.replace(APPS, "exclude: '{read,x}.*'", "include: '*.yml'");
    assert_eq!(found(&repository), ["read.yml unknown-runtime"]);
    // a folder with a kustomization is read as it is, if the source says so
    repository.write(&format!("{JOBS}/kustomization.yaml"), "resources: [none.yaml]\n");
    assert_eq!(found(&repository).len(), 2, "{:?}", repository.findings());
    repository.write(&format!("{JOBS}/more.jsonnet"), "{}");
    repository.replace(APPS, "include: '*.yml'", "include: '*.{yml,jsonnet}'");
    assert_eq!(repository.omitted().len(), 1, "{:?}", repository.omitted());
}
