//! Which request gets which answer.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Extension, Path, Query as UrlQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::routing::{MethodRouter, get, post};
use axum::{Router, middleware};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::object::Key;
use super::query::Query;
use super::refusal::{Answer, Refusal};
use super::resource::Resource;
use super::store::Store;
use super::tokens::{Caller, Tokens};
use super::{access, discovery, leases, logs, progress, reading};
use crate::notes::Notes;

/// The most bytes of a body.
const BODY: usize = 256 << 10;

/// What the answers are made of.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) store: Arc<Store>,
    pub(super) notes: Notes,
    /// The folder of the jobs' folders.
    pub(super) jobs: Arc<PathBuf>,
}

/// The parameters of a patch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchQuery {
    field_manager: Option<String>,
}

type Named = Result<Path<(String, String)>, PathRejection>;
type Body = Result<Bytes, BytesRejection>;

/// All routes, each behind the checks of who asks.
pub(super) fn router(api: Api, tokens: Tokens) -> Router {
    let mut router = Router::new()
        .route("/version", get(discovery::version))
        .route("/api", get(discovery::core))
        .route("/apis", get(discovery::groups));
    for path in ["/healthz", "/livez", "/readyz"] {
        router = router.route(path, get(async || "ok"));
    }
    let mut served = BTreeSet::new();
    for resource in Resource::ALL {
        let (path, plural) = (resource.path(), resource.plural());
        if served.insert(path.clone()) {
            router = router.route(&path, get(async move || discovery::kinds(&resource.api_version())));
            if !resource.group().is_empty() {
                let group = format!("/apis/{}", resource.group());
                router = router.route(&group, get(async move || discovery::group_alone(resource)));
            }
        }
        router = router
            .route(&format!("{path}/{plural}"), all(resource))
            .route(&format!("{path}/namespaces/{{namespace}}/{plural}"), of_namespace(resource))
            .route(&format!("{path}/namespaces/{{namespace}}/{plural}/{{name}}"), named(resource));
    }
    let below = |resource: Resource, name: &str| {
        format!("{}/namespaces/{{namespace}}/{}/{{name}}/{name}", resource.path(), resource.plural())
    };
    router
        .route(&below(Resource::Pods, "log"), get(log))
        .route(&below(Resource::TrainJobs, "status"), post(report))
        .fallback(async || Refusal::no_path())
        .method_not_allowed_fallback(async || Refusal::no_method())
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(tokens, access::check))
        .with_state(api)
}

/// The objects of a kind in all namespaces.
fn all(resource: Resource) -> MethodRouter<Api> {
    get(async move |State(api): State<Api>, uri: Uri, headers: HeaderMap| {
        reading::list(api.store, resource, None, &parameters(&uri)?, &headers)
    })
}

/// The objects of a kind in one namespace.
fn of_namespace(resource: Resource) -> MethodRouter<Api> {
    let router = get(
        async move |State(api): State<Api>,
                    namespace: Result<Path<String>, PathRejection>,
                    uri: Uri,
                    headers: HeaderMap| {
            let Path(namespace) = namespace.map_err(|_| Refusal::no_path())?;
            let query: Query = parameters(&uri)?;
            reading::list(api.store, resource, Some(namespace), &query, &headers)
        },
    );
    if !resource.is_written() {
        return router;
    }
    router.post(async |State(api): State<Api>, namespace: Result<Path<String>, PathRejection>, body: Body| {
        let Path(namespace) = namespace.map_err(|_| Refusal::no_path())?;
        leases::create(&api.store, &namespace, &whole(body)?)
    })
}

/// An object of a kind.
fn named(resource: Resource) -> MethodRouter<Api> {
    let router = get(async move |State(api): State<Api>, path: Named, headers: HeaderMap| {
        reading::get(&api.store, &key(resource, path)?, &headers)
    });
    if !resource.is_written() {
        return router;
    }
    router
        .put(async move |State(api): State<Api>, path: Named, body: Body| {
            leases::update(&api.store, &key(resource, path)?, &whole(body)?)
        })
        .patch(async move |State(api): State<Api>, path: Named, uri: Uri, headers: HeaderMap, body: Body| {
            let PatchQuery { field_manager } = parameters(&uri)?;
            leases::patch(&api.store, &key(resource, path)?, field_manager.as_deref(), &headers, &whole(body)?)
        })
}

async fn log(State(api): State<Api>, path: Named, uri: Uri) -> Answer {
    let query: logs::Query = parameters(&uri)?;
    logs::answer(api.store, &api.jobs, key(Resource::Pods, path)?, &query).await
}

async fn report(State(api): State<Api>, Extension(caller): Extension<Caller>, path: Named, body: Body) -> Answer {
    progress::take(&api.store, &api.notes, &caller, &key(Resource::TrainJobs, path)?, &whole(body)?)
}

fn key(resource: Resource, path: Named) -> Answer<Key> {
    let Path((namespace, name)) = path.map_err(|_| Refusal::no_path())?;
    Ok(Key { resource, namespace, name })
}

fn parameters<T: DeserializeOwned>(uri: &Uri) -> Answer<T> {
    let read = UrlQuery::try_from_uri(uri);
    read.map(|UrlQuery(query)| query).map_err(|error| Refusal::bad_request(error.body_text()))
}

fn whole(body: Body) -> Answer<Bytes> {
    body.map_err(|error| Refusal::of_body(error.status(), error.body_text()))
}
