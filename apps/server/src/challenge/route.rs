//! The routes of the internal address: `GET /challengers`, and `POST /v2/models/<model>/truths` with what turned out to be right.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::truths::Truth;
use crate::address::{Address, Versions};
use crate::infer::start_of;
use crate::interface::Interface;
use crate::refusal::Refusal;

/// The most truths of one request: more than wait for theirs are not known anyway.
const MOST: usize = 10_000;

/// What turned out to be right for a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// The id that the request had.
    id: String,
    /// The right class: its name, or its place if classes have no names.
    label: String,
}

/// The routes.
pub fn routes() -> Router<Address> {
    Router::new().route("/challengers", get(challengers)).route("/v2/models/{model}/truths", post(truths))
}

/// How the versions are that are tried beside those in service.
async fn challengers(State(address): State<Address>) -> Result<Json<Value>, Refusal> {
    inside(&address)?;
    Ok(Json(json!({ "challengers": address.app.models.challengers.reports() })))
}

/// Takes truths, all or none. Feedback of people is no such truth: they speak up where the version that answered was wrong, and every other
/// version looks better on those requests alone. What it says about a canary is in `corrections`.
async fn truths(
    State(address): State<Address>,
    Path(model): Path<String>,
    known: Result<Json<Vec<Known>>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    inside(&address)?;
    let Json(known) = known.map_err(|rejected| Refusal { status: rejected.status(), message: rejected.body_text() })?;
    if known.len() > MOST {
        return Err(Refusal::too_much(format!("{} truths are too many: at most {MOST} at once", known.len())));
    }
    let champion = address.find(&model, None).await?;
    let Some(challenger) = address.app.models.challengers.of(&model) else {
        return Err(Refusal::missing(format!("no version of {model} is tried beside the one in service")));
    };
    let truths = known.iter().map(|Known { id, label }| Ok((id, class(&champion.interface, label)?)));
    let truths: Vec<(&String, i64)> = truths.collect::<Result<_, Refusal>>()?;
    let counted = truths.iter().filter(|(id, class)| challenger.truth(id, *class) == Truth::Counted).count();
    Ok(Json(json!({ "counted": counted, "unknown": truths.len() - counted })))
}

fn inside(address: &Address) -> Result<(), Refusal> {
    match address.versions {
        Versions::Registered => Ok(()),
        Versions::InService => Err(Refusal::missing("this is at the internal address")),
    }
}

/// The place of a class.
fn class(interface: &Interface, label: &str) -> Result<i64, Refusal> {
    let place = if interface.labels.is_empty() {
        label.parse().ok().filter(|place| *place >= 0)
    } else {
        interface.labels.iter().position(|one| one == label).map(|place| place as i64)
    };
    place.ok_or_else(|| Refusal::request(format!("`{}` is not a class of this model", start_of(label))))
}
