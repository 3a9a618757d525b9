//! Downloading a file.

use std::time::Duration;

use slipway_causes::root;
use slipway_dataset::{Cache, Part};
use slipway_digest::Digest;
use slipway_http::{Client, Url, client_of};

use crate::{Error, Result};

/// Pauses before a further attempt, while the server or the network is at fault.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Downloads a file into the cache, in bounded memory; gives its digest. `field` declares the address.
pub(crate) async fn download(address: &str, field: &str, cache: &Cache) -> Result<Digest> {
    let refuse = |message: String, help: &str| Error::problem(field, "wrong-value", message, help);
    let url: Url = address.parse().map_err(|error| {
        refuse(format!("{address} is not an address: {error}"), "such as https://example.org/data.zip")
    })?;
    let unreachable = |reason: String| Error::Unreachable { address: address.to_owned(), reason };
    // a file that is compressed stays so, because its digest is declared
    let client = client_of(&url).no_gzip().build().map_err(|error| unreachable(root(&error)))?;
    let mut part = cache.part().await?;
    let mut pauses = PAUSES.into_iter();
    loop {
        let reason = match attempt(&client, &url, field, &mut part).await? {
            None => return Ok(part.keep_whatever(cache).await?),
            Some(reason) => reason,
        };
        let Some(pause) = pauses.next() else { return Err(unreachable(reason)) };
        tracing::warn!("{address}: {reason}; trying again");
        tokio::time::sleep(pause).await;
        part.restart().await?;
    }
}

/// `None` if the file is whole, otherwise why another attempt may help.
async fn attempt(client: &Client, url: &Url, field: &str, part: &mut Part) -> Result<Option<String>> {
    let mut response = match client.get(url.clone()).send().await {
        Ok(response) => response,
        Err(error) => return Ok(Some(root(&error))),
    };
    let status = response.status();
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return Ok(Some(format!("it answers {status}")));
    }
    if !status.is_success() {
        let help = match status.as_u16() {
            401 | 403 => {
                "this address needs a login: download the file yourself and give its path, or put it into an S3 bucket"
            }
            _ => "correct the address, or download the file yourself and give its path",
        };
        return Err(Error::problem(field, "not-found", format!("{url} answers {status}"), help));
    }
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => part.append(&bytes).await?,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(root(&error))),
        }
    }
}
