//! Lists that are longer than a page.

use serde_json::json;
use slipway_cluster::{Cluster, Component, Error, components};

use crate::server::{Api, Server};

const ALL: usize = 1201;

async fn many() -> (Api, Server, Cluster) {
    let api = Api::default();
    let (server, cluster) = api.start().await;
    for n in 0..ALL {
        let name = format!("app-{n:04}");
        let path = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}");
        api.put(&path, json!({"metadata": {"namespace": "argocd"}}));
    }
    (api, server, cluster)
}

fn assert_complete(found: &[Component]) {
    let expected: Vec<String> = (0..ALL).map(|n| format!("app-{n:04}")).collect();
    assert_eq!(found.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn every_page_is_read() {
    let (api, _server, cluster) = many().await;
    assert_complete(&components(&cluster, None).await.unwrap());
    let lists = std::mem::take(&mut api.0.lock().unwrap().lists);
    assert_eq!(lists.len(), 3);
    assert!(lists.iter().all(|list| list.contains("limit=500")), "{lists:#?}");
    assert!(lists[1].contains("continue=500") && lists[2].contains("continue=1000"), "{lists:#?}");
}

#[tokio::test]
async fn a_list_whose_next_page_is_gone_is_begun_again_and_nothing_is_there_twice() {
    let (api, _server, cluster) = many().await;
    api.0.lock().unwrap().gone = 2;
    assert_complete(&components(&cluster, None).await.unwrap());
    // but not for ever
    api.0.lock().unwrap().gone = usize::MAX;
    let error = components(&cluster, None).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { code: 410, .. }), "{error}");
}
