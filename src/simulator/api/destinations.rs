//! Event destinations.

use serde::{Deserialize, Serialize};

use super::{Answer, Call, done};
use crate::simulator::state::{Account, EventDestination};
use crate::simulator::wire::write_json;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    event_destination_name: String,
    event_destination: EventDestination,
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Answer {
    let Create {
        event_destination_name,
        event_destination,
    } = call.body()?;
    done(account.create_destination(call.label(0), &event_destination_name, event_destination))
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Named<'a> {
        name: &'a str,
        #[serde(flatten)]
        definition: &'a EventDestination,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        event_destinations: Vec<Named<'a>>,
    }
    call.query(&[])?;
    let destinations = &account.set(call.label(0))?.destinations;
    let event_destinations = destinations
        .iter()
        .map(|(name, definition)| Named { name, definition })
        .collect();
    write_json(&Found { event_destinations })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    event_destination: EventDestination,
}

pub(super) fn update(account: &mut Account, call: &Call<'_>) -> Answer {
    let Update { event_destination } = call.body()?;
    done(account.update_destination(call.label(0), call.label(1), event_destination))
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Answer {
    call.query(&[])?;
    done(account.delete_destination(call.label(0), call.label(1)))
}
