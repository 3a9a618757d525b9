//! An index over images of several platforms, from a registry in memory: of the same bytes every time, and never over something damaged.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_oci::{Descriptor, Document, Index, Manifest, Platform, media_type};
use slipway_registry::{Error, Indexed, Options, Result, combine};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// A registry that keeps what it is sent, by path.
struct Registry {
    server: MockServer,
    content: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Registry {
    async fn start() -> Self {
        let (server, content) = (MockServer::start().await, Arc::<Mutex<BTreeMap<_, _>>>::default());
        let kept = Arc::clone(&content);
        let answer = move |request: &Request| {
            let mut kept = kept.lock().unwrap();
            let path = request.url.path().trim_start_matches("/v2/").to_owned();
            match request.method.as_str() {
                "PUT" => {
                    kept.insert(path, request.body.clone());
                    ResponseTemplate::new(201).insert_header("Location", "/v2/x")
                }
                _ if path.is_empty() => ResponseTemplate::new(200),
                _ => match kept.get(&path) {
                    Some(bytes) => ResponseTemplate::new(200).set_body_bytes(bytes.clone()),
                    None => ResponseTemplate::new(404),
                },
            }
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        Self { server, content }
    }

    fn repository(&self) -> String {
        format!("{}/team/thing", self.server.address())
    }

    fn name(&self, digest: Digest) -> String {
        format!("{}@{digest}", self.repository())
    }

    fn keep(&self, kind: &str, digest: Digest, bytes: Vec<u8>) {
        self.content.lock().unwrap().insert(format!("team/thing/{kind}/{digest}"), bytes);
    }

    fn manifest(&self, document: &Document) -> Descriptor {
        self.keep("manifests", document.digest(), document.bytes.clone());
        document.descriptor()
    }

    /// Any JSON as a manifest.
    fn json(&self, document: &Value) -> Descriptor {
        self.manifest(&Document::new(media_type::MANIFEST, document))
    }

    /// An image with this configuration.
    fn configured(&self, config: &Value) -> Descriptor {
        let config = Document::new(media_type::CONFIG, config);
        self.keep("blobs", config.digest(), config.bytes.clone());
        self.manifest(&image_of(config.descriptor()))
    }

    fn image(&self, platform: Platform) -> Descriptor {
        self.configured(&configuration(platform))
    }

    fn index(&self, entries: Vec<Descriptor>) -> Digest {
        self.manifest(&Index::new(entries).document()).digest
    }

    async fn combined(&self, images: &[Digest], tag: Option<&str>) -> Result<Indexed> {
        let images: Vec<String> = images.iter().map(|digest| self.name(*digest)).collect();
        combine(&images, tag, &options()).await?.push().await
    }

    /// The paths of what was sent, in order.
    async fn sent(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        let puts = requests.iter().filter(|one| one.method.as_str() == "PUT");
        puts.map(|one| one.url.path().trim_start_matches("/v2/team/thing/manifests/").to_owned()).collect()
    }
}

fn options() -> Options {
    Options { attempts: 2, silence: Duration::from_secs(5), plain_http: false }
}

fn configuration(platform: Platform) -> Value {
    json!({ "architecture": platform.architecture(), "os": platform.os() })
}

fn image_of(config: Descriptor) -> Document {
    Manifest::new(config, vec![Descriptor::new(media_type::LAYER, Digest::of(b"a layer"), 7)]).document()
}

/// As BuildKit marks an attestation of an image.
fn attestation(entry: Descriptor, of: Digest) -> Descriptor {
    let entry = entry.annotated("vnd.docker.reference.type", "attestation-manifest");
    entry.annotated("vnd.docker.reference.digest", of.to_string())
}

#[tokio::test]
async fn the_same_images_give_the_same_index_in_any_order_and_the_tag_is_set_last() {
    let registry = Registry::start().await;
    let (amd64, arm64) = (registry.image(Platform::Amd64), registry.image(Platform::Arm64));
    let first = registry.combined(&[arm64.digest, amd64.digest], Some("1.0")).await.unwrap();
    // what a build for both platforms makes on one machine
    let entries = vec![amd64.clone().for_platform(Platform::Amd64), arm64.clone().for_platform(Platform::Arm64)];
    let expected = Index::new(entries).document();
    assert_eq!(first.digest, expected.digest());
    assert_eq!(first.image, registry.name(first.digest));
    assert_eq!(first.tag.as_deref(), Some("1.0"));
    let platforms = [("linux/amd64", amd64.digest), ("linux/arm64", arm64.digest)];
    assert_eq!(first.platforms, platforms.map(|(platform, digest)| (platform.to_owned(), digest)).into());
    let kept = registry.content.lock().unwrap().clone();
    assert_eq!(kept["team/thing/manifests/1.0"], expected.bytes);
    assert_eq!(kept[&format!("team/thing/manifests/{}", first.digest)], expected.bytes);
    assert_eq!(registry.sent().await, [first.digest.to_string(), "1.0".to_owned()]);

    let second = registry.combined(&[amd64.digest, arm64.digest], Some("1.0")).await.unwrap();
    assert_eq!((second, registry.content.lock().unwrap().clone()), (first, kept));
}

#[tokio::test]
async fn indexes_of_one_platform_are_taken_apart_and_their_attestations_stay() {
    let registry = Registry::start().await;
    let (amd64, arm64) = (registry.image(Platform::Amd64), registry.image(Platform::Arm64));
    let about = |of: &Descriptor| {
        let config = Document::new(media_type::CONFIG, &json!({ "of": of.digest })).descriptor();
        let unknown = slipway_oci::AnyPlatform { architecture: "unknown".into(), os: "unknown".into(), variant: None };
        let entry = Descriptor { platform: Some(unknown), ..registry.manifest(&image_of(config)) };
        attestation(entry, of.digest)
    };
    let (of_amd64, of_arm64) = (about(&amd64), about(&arm64));
    let amd64 = amd64.for_platform(Platform::Amd64);
    // some write the only variant that there is, and it is the same platform
    let mut arm64 = arm64.for_platform(Platform::Arm64);
    arm64.platform.as_mut().unwrap().variant = Some("v8".into());
    let inputs =
        [registry.index(vec![of_arm64.clone(), arm64.clone()]), registry.index(vec![amd64.clone(), of_amd64.clone()])];
    let indexed = registry.combined(&inputs, None).await.unwrap();
    let expected = Index::new(vec![amd64, arm64, of_amd64, of_arm64]).document();
    let kept = registry.content.lock().unwrap()[&format!("team/thing/manifests/{}", indexed.digest)].clone();
    assert_eq!(String::from_utf8(kept).unwrap(), String::from_utf8(expected.bytes.clone()).unwrap());
    assert_eq!((indexed.digest, indexed.tag), (expected.digest(), None));
    assert_eq!(registry.sent().await, [expected.digest().to_string()]);
    // an index of both is one already
    assert_eq!(registry.combined(&[indexed.digest], None).await.unwrap().digest, indexed.digest);
}

#[tokio::test]
async fn what_does_not_fit_is_named_and_nothing_is_sent() {
    let registry = Registry::start().await;
    let (amd64, arm64) = (registry.image(Platform::Amd64), registry.image(Platform::Arm64));
    let other = registry.configured(&json!({ "architecture": "arm64", "os": "linux", "variant": "v8" }));
    let config = Document::new(media_type::CONFIG, &configuration(Platform::Arm64)).descriptor();
    let empty = Document::new(media_type::EMPTY, &json!({})).descriptor();
    let both = json!({
        "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [], "config": config, "layers": [],
    });
    let larger = Descriptor { size: arm64.size + 1, ..arm64.clone() };
    let otherwise = Descriptor { media_type: media_type::DOCKER_MANIFEST.to_owned(), ..arm64.clone() };
    let one = registry.index(vec![arm64.clone()]);
    let nested = Descriptor { digest: one, ..Index::new(vec![arm64.clone()]).document().descriptor() };
    let old = json!({ "schemaVersion": 1, "config": config, "layers": [] });
    let unknown = json!({ "schemaVersion": 2, "mediaType": "text/plain", "config": config, "layers": [] });
    let longer = Descriptor { size: config.size + 1, ..config.clone() };
    let huge = Descriptor { size: 1 << 30, ..config.clone() };
    for (part, message) in [
        (other.digest, "same"),
        (amd64.digest, "it is for linux/amd64, as"),
        (registry.manifest(&image_of(empty)).digest, "it is not an image"),
        (registry.configured(&json!({})).digest, "does not say for which platform"),
        (registry.configured(&json!({ "architecture": "unknown", "os": "unknown" })).digest, "for which platform"),
        (registry.configured(&json!([1])).digest, "its configuration cannot be read"),
        (registry.manifest(&image_of(longer)).digest, "and its manifest says"),
        (registry.manifest(&image_of(huge)).digest, "which is too many"),
        (
            registry.index(vec![arm64.clone().for_platform(Platform::Amd64)]),
            "it is for linux/arm64, and its index says linux/amd64",
        ),
        (registry.index(vec![larger]), "bytes, and its index says"),
        (registry.index(vec![otherwise]), "as its media type, and its index says"),
        (registry.index(vec![nested]), "an index inside of the index"),
        (registry.index(vec![arm64.clone(), attestation(other.clone(), amd64.digest)]), "an attestation of no image"),
        (registry.index(vec![]), "it is for linux/amd64, and no image of another platform was given"),
        (registry.json(&both).digest, "a manifest and an index at once"),
        (registry.json(&old).digest, "only 2 is known"),
        (registry.json(&unknown).digest, "\"text/plain\" is not the media type of a manifest"),
        (registry.json(&json!({ "schemaVersion": 2 })).digest, "it is not a manifest: missing field"),
        (registry.json(&json!("text")).digest, "it is not a manifest"),
    ] {
        let images = if message == "same" { [other.digest, arm64.digest] } else { [amd64.digest, part] };
        let message = if message == "same" { "it is for linux/arm64, as" } else { message };
        let error = registry.combined(&images, Some("1.0")).await.unwrap_err();
        assert!(matches!(error, Error::NotIndexable { .. }) && error.to_string().contains(message), "{error}");
        assert!(!error.is_unavailable());
    }
    let none = registry.combined(&[registry.index(vec![])], None).await.unwrap_err();
    assert!(none.to_string().contains("there is no image in it"), "{none}");
    assert_eq!(registry.sent().await, [""; 0]);
}

#[tokio::test]
async fn what_the_registry_has_damaged_or_lost_is_not_named_by_an_index() {
    let registry = Registry::start().await;
    let (amd64, arm64) = (registry.image(Platform::Amd64), registry.image(Platform::Arm64));
    let config = Document::new(media_type::CONFIG, &configuration(Platform::Arm64));
    let manifest = registry.content.lock().unwrap()[&format!("team/thing/manifests/{}", arm64.digest)].clone();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    };
    let combined = async || registry.combined(&[amd64.digest, arm64.digest], Some("1.0")).await.unwrap_err();

    registry.keep("blobs", config.digest(), flipped(&config.bytes));
    let error = combined().await;
    assert!(matches!(error, Error::OtherDigest { .. }), "{error}");
    registry.keep("blobs", config.digest(), [config.bytes.as_slice(), b" "].concat());
    let error = combined().await;
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    registry.keep("blobs", config.digest(), config.bytes.clone());
    registry.keep("manifests", arm64.digest, flipped(&manifest));
    let error = combined().await;
    assert!(matches!(error, Error::OtherDigest { expected, .. } if expected == arm64.digest), "{error}");
    registry.keep("manifests", arm64.digest, manifest[..manifest.len() / 2].to_vec());
    let error = combined().await;
    assert!(matches!(error, Error::OtherDigest { .. }) && error.is_unavailable(), "{error}");
    registry.content.lock().unwrap().remove(&format!("team/thing/manifests/{}", arm64.digest));
    let error = combined().await;
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(registry.sent().await, [""; 0]);
    registry.keep("manifests", arm64.digest, manifest);
    registry.combined(&[amd64.digest, arm64.digest], Some("1.0")).await.unwrap();
}

#[tokio::test]
async fn images_are_named_by_digest_and_are_of_one_repository() {
    // port 1 is closed: none of these asks a registry
    let digest = Digest::of(b"");
    let whole = format!("127.0.0.1:1/team/thing@{digest}");
    for (images, tag, message) in [
        (vec!["127.0.0.1:1/team/thing:1.0".to_owned()], None, "a tag can point elsewhere"),
        (vec![format!("127.0.0.1:1/team/thing:1.0@{digest}")], None, "leave the tag 1.0 out"),
        (vec![whole.clone(), format!("127.0.0.1:1/team/other@{digest}")], None, "an index is of one repository"),
        (vec![whole.clone()], Some("a b"), "does not name an image"),
        (vec![whole.clone()], Some("1.0@sha256:12"), "does not name an image"),
        (vec![], None, "an index needs images"),
    ] {
        let error = combine(&images, tag, &options()).await.err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}
