//! Templates, as far as sending by them needs.

use serde::{Deserialize, Serialize};

use super::{Answer, Call, done};
use crate::simulator::state::shapes::Tag;
use crate::simulator::state::{Account, Tags, TemplateContent};
use crate::simulator::wire::write_json;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    template_name: String,
    template_content: TemplateContent,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) fn create(account: &mut Account, call: &Call<'_>) -> Answer {
    let Create {
        template_name,
        template_content,
        tags,
    } = call.body()?;
    done(account.create_template(&template_name, template_content, Tags::new(tags)?))
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        template_name: &'a str,
        template_content: &'a TemplateContent,
        tags: Vec<Tag>,
    }
    call.query(&[])?;
    let template = account.template(call.label(0))?;
    write_json(&Found {
        template_name: call.label(0),
        template_content: &template.content,
        tags: template.tags.list(),
    })
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Answer {
    call.query(&[])?;
    done(account.delete_template(call.label(0)))
}
