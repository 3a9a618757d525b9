//! What a remote can do, and which references it has.
//!
//! Protocol: <https://git-scm.com/docs/protocol-v2>.

use std::collections::BTreeMap;

use git2::Oid;
use slipway_http::Url;

use super::answer::Answer;
use super::endpoint::{Endpoint, SMALL};
use super::packets::{Packet, write_delimiter, write_flush, write_line};
use crate::Result;

/// What this program calls itself.
const AGENT: &str = concat!("agent=slipway/", env!("CARGO_PKG_VERSION"));
const FORMAT: &str = "object-format=sha1";

/// A remote that has said what it can do.
#[derive(Debug)]
pub(crate) struct Known {
    /// Where it answers.
    pub(crate) base: Url,
    /// Whether it wants to be told how objects are named.
    names_format: bool,
}

impl Known {
    /// Asks a remote what it can do.
    ///
    /// # Errors
    /// When it cannot be asked, or does not speak version 2 of the protocol.
    pub(crate) async fn ask(endpoint: &Endpoint) -> Result<Self> {
        let (base, mut answer) = endpoint.advertisement().await?;
        let mut lines = lines(endpoint, &mut answer).await?;
        // some servers say first which service it is
        if lines.first().is_some_and(|line| line == "# service=git-upload-pack") {
            lines = self::lines(endpoint, &mut answer).await?;
        }
        if lines.first().is_none_or(|line| line != "version 2") {
            return Err(endpoint.unreadable("it does not speak version 2 of git's protocol"));
        }
        let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let can = |name: &str| value(name).is_some() || lines.iter().any(|line| line == name);
        if !can("ls-refs") || !can("fetch") {
            return Err(endpoint.unreadable("nothing can be fetched there"));
        }
        let format = value("object-format");
        if format.is_some_and(|format| format != "sha1") {
            return Err(endpoint.unreadable("its objects are not named by SHA-1"));
        }
        Ok(Self { base, names_format: format.is_some() })
    }

    /// The ids that references lead to, by their full names; those that do not exist are missing.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub(crate) async fn references(&self, endpoint: &Endpoint, names: &[&str]) -> Result<BTreeMap<String, Oid>> {
        let mut request = self.request("ls-refs");
        write_delimiter(&mut request);
        names.iter().for_each(|name| write_line(&mut request, &format!("ref-prefix {name}")));
        write_flush(&mut request);
        let mut answer = endpoint.command(&self.base, request, SMALL).await?;
        let mut found = BTreeMap::new();
        for line in lines(endpoint, &mut answer).await? {
            // attributes may follow
            let mut parts = line.split(' ');
            let (Some(id), Some(name)) = (parts.next(), parts.next()) else {
                return Err(endpoint.unreadable("a reference has no name"));
            };
            // others begin with the same letters
            if names.contains(&name) {
                found.insert(name.to_owned(), id_of(id).ok_or_else(|| endpoint.unreadable("a reference has no id"))?);
            }
        }
        Ok(found)
    }

    /// A request for a pack with everything that `wants` need and `haves` do not.
    pub(crate) fn pack(&self, wants: &[Oid], haves: &[Oid]) -> Vec<u8> {
        let mut request = self.request("fetch");
        write_delimiter(&mut request);
        write_line(&mut request, "no-progress");
        write_line(&mut request, "ofs-delta");
        wants.iter().for_each(|id| write_line(&mut request, &format!("want {id}")));
        haves.iter().for_each(|id| write_line(&mut request, &format!("have {id}")));
        write_line(&mut request, "done");
        write_flush(&mut request);
        request
    }

    /// The beginning of a request.
    fn request(&self, command: &str) -> Vec<u8> {
        let mut request = Vec::new();
        write_line(&mut request, &format!("command={command}"));
        write_line(&mut request, AGENT);
        if self.names_format {
            write_line(&mut request, FORMAT);
        }
        request
    }
}

/// The lines of a message, up to its end.
async fn lines(endpoint: &Endpoint, answer: &mut Answer<'_>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        match answer.needed().await? {
            Packet::Data(data) => {
                if let Some(said) = data.strip_prefix(b"ERR ") {
                    return Err(endpoint.failure(said).await);
                }
                lines.push(String::from_utf8_lossy(&data).trim_end_matches('\n').to_owned());
            }
            Packet::Flush => return Ok(lines),
            Packet::Delimiter | Packet::End => return Err(endpoint.unreadable("a list of lines has sections")),
        }
    }
}

/// An id as 40 hexadecimal digits.
fn id_of(text: &str) -> Option<Oid> {
    if text.len() == 40 { text.parse().ok() } else { None }
}
