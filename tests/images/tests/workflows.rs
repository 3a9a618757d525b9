//! The workflow `images`, all of it as its file says: what two runners push becomes an index, is signed together with SBOM and provenance,
//! and is pinned by a pull request. The registry is real, the images are small, and GitHub and Sigstore are those of tests/github.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::REPOSITORY;
use slipway_github_tests::workflow::{Runner, Said, Workflow};
use slipway_images::built::image;
use slipway_images::registry::{Access, Registry};
use slipway_loop::programs::{fresh_clone, repository};
use slipway_oci::{Descriptor, Document, Layout, LayoutWriter, Manifest, Platform, media_type};
use slipway_registry::{Options, combine, pull, push};
use slipway_repositories::git;
use tempfile::TempDir;

const MAIN: &str = "refs/heads/main";
/// The only image of the project here. Its name is one that the environments know.
const NAME: &str = "demo-ui";
/// What the project does not need. With it, images would be built for hours.
const CODE: [&str; 6] = ["apps", "crates", "docs", "tests", "tools", "trainers"];
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// A base image for both platforms, by digest.
async fn base(registry: &Registry, folder: &Path) -> Result<String> {
    let repository = format!("{}/base", registry.address);
    let mut images = Vec::new();
    for platform in Platform::ALL {
        let writer = LayoutWriter::open(&folder.join(platform.architecture()))?;
        let content = platform.machine().as_bytes();
        let digest = writer.blobs().put(content)?;
        let layer = Descriptor::new(media_type::LAYER, digest, content.len() as u64);
        let config = json!({
            "architecture": platform.architecture(), "os": platform.os(), "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest] },
        });
        let config = writer.put(&Document::new(media_type::CONFIG, &config))?;
        let image = writer.put(&Manifest::new(config, vec![layer]).document())?;
        let layout = writer.finish(vec![image])?;
        images.push(push(&layout, &repository, &Options::default(), |_| ()).await?.image);
    }
    Ok(combine(&images, None, &Options::default()).await?.push().await?.image)
}

/// This repository's project and workflows, with a single image that is built on another.
fn project(folder: &Path, base: &str) -> Result<()> {
    fresh_clone(folder)?;
    git(folder, &[&["rm", "-r", "--quiet"][..], &CODE].concat());
    let app = folder.join("apps").join(NAME);
    std::fs::create_dir_all(&app)?;
    let declaration = format!(
        "apiVersion: slipway.dev/v1alpha1\nkind: Image\nmetadata: {{name: {NAME}}}\nspec:\n  base: {{oci: '{base}'}}\n  \
         files: [{{path: experiments, to: /experiments}}]\n  entrypoint: [/bin/true]\n"
    );
    std::fs::write(app.join("image.yaml"), declaration)?;
    image(folder, &["lock", NAME])?;
    git(folder, &["add", "apps"]);
    let tree = git(folder, &["write-tree"]);
    let commit = git(folder, &["commit-tree", &tree, "-m", "Everything"]);
    git(folder, &["reset", "--quiet", "--hard", &commit]);
    Ok(())
}

/// Runs the workflow, or a job of it after others, for a push to main.
async fn run(github: &GitHub, workflow: &Workflow, artifacts: TempDir) -> Result<Said> {
    let event = json!({
        "ref": MAIN, "repository": { "full_name": REPOSITORY, "default_branch": "main" }, "sender": { "login": "ann" },
    });
    let commit = github.bare(REPOSITORY).commit("main").await.context("main has a commit")?;
    let runner = Runner { github, event_name: "push", event, reference: MAIN, commit };
    runner.run_after(workflow, artifacts).await
}

/// A person's cosign.
struct Cosign {
    programs: TempDir,
    /// Whose signature is expected, as docs/github.md tells people to say it.
    signer: Vec<String>,
}

impl Cosign {
    async fn of(github: &GitHub) -> Result<Self> {
        let programs = tempfile::tempdir()?;
        github.sigstore().await?.install(programs.path())?;
        let page = std::fs::read_to_string(repository().join("docs/github.md"))?;
        let said = page.split_once("--certificate-identity-regexp '").context("docs/github.md says how to verify")?.1;
        let (like, rest) = said.split_once('\'').context("a pattern in quotes")?;
        ensure!(rest.contains(&format!("--certificate-oidc-issuer {ISSUER}")), "docs/github.md names another issuer");
        let like = like.replace("acme/slipway", REPOSITORY);
        ensure!(like.contains(REPOSITORY), "{like}");
        let signer = [("identity-regexp", like.as_str()), ("oidc-issuer", ISSUER)];
        let signer = signer.map(|(option, value)| format!("--certificate-{option}={value}")).to_vec();
        Ok(Self { programs, signer })
    }

    fn run(&self, arguments: &[&str], signer: &[String]) -> Result<Output> {
        let cosign = self.programs.path().join("cosign");
        Ok(Command::new(cosign).args(arguments).args(signer).output()?)
    }

    /// What is said of an image and signed, of a type.
    fn attested(&self, kind: &str, image: &str) -> Result<Vec<Value>> {
        let done = self.run(&["verify-attestation", "--type", kind, image], &self.signer)?;
        ensure!(done.status.success(), "{kind} of {image}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_two_runners_become_a_signed_index_that_a_pull_request_pins() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start(Access::Anyone)?;
    let work = folder.path().join("project");
    project(&work, &base(&registry, folder.path()).await?)?;
    let github = GitHub::start(&work).await?;
    let images = format!("{}/acme/models", registry.address);
    github.set_variable("SLIPWAY_IMAGES", &images).await;
    let text = std::fs::read_to_string(work.join(".github/workflows/images.yml"))?;

    let said = run(&github, &Workflow::of(&text)?, tempfile::tempdir()?).await?;
    let all = ["push", "index", "pin"].map(|job| (job.to_owned(), true));
    ensure!(said.jobs == BTreeMap::from(all), "{:?}: {}", said.jobs, said.text());
    for tag in ["main", "main-amd64", "main-arm64"] {
        ensure!(registry.has_tag(&format!("acme/models/{NAME}"), tag), "there is no tag {tag}");
    }

    // the pull request pins the index
    let names = std::fs::read_to_string(said.artifacts.path().join("indexes/images"))?;
    let index = names.trim_end().to_owned();
    let (name, digest) = index.split_once('@').context("a digest")?;
    ensure!(name == format!("{images}/{NAME}"), "{names}");
    let bare = github.bare(REPOSITORY);
    let open = github.get("/pulls?state=open").await?;
    ensure!(open.as_array().map(Vec::len) == Some(1), "{open}");
    let head = open[0]["head"]["sha"].as_str().context("a commit")?;
    for environment in ["staging", "production"] {
        let file = format!("{head}:clusters/{environment}/images/kustomization.yaml");
        let pins = bare.git(&["show", &file]).await?;
        // on one line, or on two
        let words: Vec<&str> = pins.split([' ', '\n', ',']).filter(|word| !word.is_empty()).collect();
        ensure!(words.join(" ").contains(&format!("newName: {name} digest: {digest}")), "{pins}");
    }

    // it holds an image of each platform
    let copy = folder.path().join("copy");
    let pulled = pull(&index, &copy, &Options::default()).await?;
    let mut platforms: Vec<(Platform, Digest)> = Vec::new();
    for entry in Layout::open(&copy)?.references(&pulled)? {
        let of = entry.platform.as_ref().context("a platform")?;
        let platform = Platform::ALL.into_iter().find(|platform| of == platform).context("a known platform")?;
        platforms.push((platform, entry.digest));
    }
    ensure!(platforms.iter().map(|(platform, _)| *platform).eq(Platform::ALL), "{platforms:?}");

    // the index is signed by this workflow on main, and by nobody else
    let cosign = Cosign::of(&github).await?;
    let done = cosign.run(&["verify", &index], &cosign.signer)?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let other =
        format!("--certificate-identity=https://github.com/{REPOSITORY}/.github/workflows/images.yml@refs/heads/topic");
    let done = cosign.run(&["verify", &index], &[other, cosign.signer[1].clone()])?;
    let reason = String::from_utf8_lossy(&done.stderr).into_owned();
    ensure!(done.status.code() == Some(1) && reason.contains("certificate identity error"), "{reason}");

    // SBOM and provenance are signed for the image that they are of, and for the index
    let commit = bare.commit("main").await.context("main has a commit")?;
    for (platform, digest) in &platforms {
        let one = format!("{name}@{digest}");
        let (bills, made) = (cosign.attested("cyclonedx", &one)?, cosign.attested("slsaprovenance1", &one)?);
        let ([bill], [made]) = (&bills[..], &made[..]) else { bail!("{one}: {bills:?} {made:?}") };
        ensure!(bill["metadata"]["component"]["version"] == digest.to_string(), "{bill}");
        let from = &made["buildDefinition"]["externalParameters"];
        ensure!(from["revision"] == commit && from["platforms"] == json!([platform.to_string()]), "{made}");
    }
    let of = cosign.attested("cyclonedx", &index)?;
    let of = of.iter().filter_map(|bill| bill["metadata"]["component"]["version"].as_str().map(str::to_owned));
    let of: BTreeSet<String> = of.collect();
    let expected: BTreeSet<String> = platforms.iter().map(|(_, digest)| digest.to_string()).collect();
    ensure!(of == expected, "{of:?}");
    let made = cosign.attested("slsaprovenance1", &index)?;
    ensure!(made.len() == platforms.len(), "{made:?}");

    // without the right to say which workflow it is, a job signs nothing
    let without = text.replace("id-token: write", "id-token: none");
    ensure!(without != text);
    let said = run(&github, &Workflow::only(&without, "index")?, said.artifacts).await?;
    ensure!(said.jobs == BTreeMap::from([("index".to_owned(), false)]), "{:?}", said.jobs);
    ensure!(said.text().contains("this job has no identity"), "{}", said.text());
    Ok(())
}
