//! Tags.

use serde::{Deserialize, Serialize};

use super::{Answer, Call, done};
use crate::simulator::state::Account;
use crate::simulator::state::shapes::Tag;
use crate::simulator::wire::{ApiError, Pairs, write_json};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Add {
    resource_arn: String,
    tags: Vec<Tag>,
}

pub(super) fn tag(account: &mut Account, call: &Call<'_>) -> Answer {
    let Add { resource_arn, tags } = call.body()?;
    done(account.tag(&resource_arn, tags))
}

pub(super) fn untag(account: &mut Account, call: &Call<'_>) -> Answer {
    let query = call.query(&["ResourceArn", "TagKeys"])?;
    if query.first("TagKeys").is_none() {
        return Err(ApiError::bad_request("TagKeys is missing."));
    }
    done(account.untag(resource(query)?, query.all("TagKeys")))
}

pub(super) fn list(account: &mut Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        tags: Vec<Tag>,
    }
    let query = call.query(&["ResourceArn"])?;
    write_json(&Listed {
        tags: account.tags(resource(query)?)?,
    })
}

fn resource(query: &Pairs) -> Result<&str, ApiError> {
    query
        .first("ResourceArn")
        .ok_or_else(|| ApiError::bad_request("ResourceArn is missing."))
}
