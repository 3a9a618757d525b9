//! Lists in pages, so that neither side holds a whole large list as one answer.

use std::fmt::Debug;

use kube::api::{Api, ListParams};
use serde::de::DeserializeOwned;

/// Objects on a page; kubectl asks for as many.
const PAGE: u32 = 500;

/// How often a list is begun again whose next page the server has forgotten.
const RESTARTS: u32 = 3;

/// Every object that matches. A kind that the cluster does not serve has none.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn list_all<K>(api: &Api<K>, params: &ListParams) -> kube::Result<Vec<K>>
where
    K: Clone + DeserializeOwned + Debug,
{
    let (mut all, mut restarts) = (Vec::new(), 0);
    let mut params = params.clone().limit(PAGE);
    loop {
        match api.list(&params).await {
            Ok(page) => {
                all.extend(page.items);
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params.continue_token = Some(token),
                    None => return Ok(all),
                }
            }
            // the objects that this list is of were compacted away between two pages
            Err(kube::Error::Api(status)) if status.code == 410 && restarts < RESTARTS => {
                restarts += 1;
                all.clear();
                params.continue_token = None;
            }
            Err(kube::Error::Api(status)) if status.code == 404 && params.continue_token.is_none() => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}
