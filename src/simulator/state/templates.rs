//! Templates, as far as sending by them needs.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::message::Parts;
use super::names::Resource;
use super::{Account, Tags};
use crate::simulator::wire::ApiError;

/// Templates of an account and region (quotas page).
const MAX_TEMPLATES: usize = 20_000;
/// Bytes of a template (quotas page).
const MAX_TEMPLATE: usize = 500 * 1024;

/// `EmailTemplateContent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateContent {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The body as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
}

/// A stored template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailTemplate {
    /// What it says.
    pub content: TemplateContent,
    /// Its tags.
    pub tags: Tags,
}

impl TemplateContent {
    /// Whether it has neither subject nor body.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members().all(|part| part.is_none_or(str::is_empty))
    }

    fn members(&self) -> impl Iterator<Item = Option<&str>> {
        [&self.subject, &self.text, &self.html]
            .into_iter()
            .map(Option::as_deref)
    }

    /// Puts the data into every `{{name}}`. Only that form is known: no blocks, no escaping.
    ///
    /// # Errors
    /// The text of SES's rendering failure: a name has no value, or braces are not closed.
    pub fn render(&self, data: &Map<String, Value>) -> Result<Parts, String> {
        let part = |text: &Option<String>| text.as_deref().map(|text| render(text, data)).transpose();
        Ok(Parts {
            subject: part(&self.subject)?.unwrap_or_default(),
            text: part(&self.text)?,
            html: part(&self.html)?,
            headers: Vec::new(),
            attachments: Vec::new(),
        })
    }
}

fn render(text: &str, data: &Map<String, Value>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| "Template has an opening {{ without its closing }}.".to_owned())?;
        let name = name.trim();
        match data.get(name) {
            Some(Value::String(value)) => out.push_str(value),
            Some(value) if !value.is_null() => out.push_str(&value.to_string()),
            _ => return Err(format!("Attribute '{name}' is not present in the rendering data.")),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl Account {
    /// `CreateEmailTemplate`.
    pub fn create_template(&mut self, name: &str, content: TemplateContent, tags: Tags) -> Result<(), ApiError> {
        if name.is_empty() || name.trim() != name {
            return Err(ApiError::bad_request(
                "TemplateName must not be empty nor begin or end with a space.",
            ));
        }
        if content.is_empty() {
            return Err(ApiError::bad_request(
                "Template must have at least a subject, text, or html part.",
            ));
        }
        if content.members().flatten().map(str::len).sum::<usize>() > MAX_TEMPLATE {
            return Err(ApiError::bad_request(format!(
                "Template must have at most {MAX_TEMPLATE} bytes."
            )));
        }
        if self.templates.contains_key(name) {
            return Err(ApiError::already_exists(format!("Template {name} already exists.")));
        }
        if self.templates.len() >= MAX_TEMPLATES {
            return Err(ApiError::limit_exceeded(format!(
                "The account has {MAX_TEMPLATES} templates, which is the most it may have."
            )));
        }
        self.templates.insert(name.to_owned(), EmailTemplate { content, tags });
        Ok(())
    }

    /// `GetEmailTemplate`.
    pub fn template(&self, name: &str) -> Result<&EmailTemplate, ApiError> {
        self.templates.get(name).ok_or_else(|| no_template(name))
    }

    /// `DeleteEmailTemplate`, refused while a tenant has it.
    pub fn delete_template(&mut self, name: &str) -> Result<(), ApiError> {
        self.template(name)?;
        self.check_not_associated(&self.owner.arn(Resource::Template(name)))?;
        self.templates.remove(name);
        Ok(())
    }
}

fn no_template(name: &str) -> ApiError {
    ApiError::not_found(format!("Template {name} does not exist."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;

    use super::super::fixture::{account, at};
    use super::*;
    use crate::simulator::wire::Code;

    fn content(subject: &str, text: &str) -> TemplateContent {
        TemplateContent {
            subject: Some(subject.to_owned()),
            text: Some(text.to_owned()),
            html: None,
        }
    }

    fn rendered(text: &str, data: Value) -> Result<String, String> {
        let Value::Object(data) = data else { panic!("no object") };
        content("s", text).render(&data).map(|parts| parts.text.unwrap())
    }

    #[test]
    fn names_in_braces_are_replaced() {
        let data = json!({"name": "Ann", "count": 3});
        assert_eq!(
            rendered("Hi {{name}}, {{ count }} new, {{name}}.", data),
            Ok("Hi Ann, 3 new, Ann.".to_owned())
        );
    }

    #[test]
    fn a_name_without_a_value_is_a_rendering_failure() {
        assert_eq!(
            rendered("Hi {{name}}.", json!({})),
            Err("Attribute 'name' is not present in the rendering data.".to_owned())
        );
        assert!(rendered("Hi {{name", json!({"name": "Ann"})).is_err());
    }

    #[test]
    fn a_template_is_made_read_and_deleted_once() {
        let mut account = account();
        account
            .create_template("hello", content("s", "t"), Tags::default())
            .unwrap();
        assert_eq!(account.template("hello").unwrap().content, content("s", "t"));
        let again = account.create_template("hello", content("s", "t"), Tags::default());
        assert_eq!(again.unwrap_err().code, Code::AlreadyExists);
        assert_eq!(account.delete_template("hello"), Ok(()));
        assert_eq!(account.delete_template("hello").unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn an_empty_template_and_one_above_the_limit_are_refused() {
        let mut account = account();
        let mut create = |content| account.create_template("hello", content, Tags::default());
        assert_eq!(create(TemplateContent::default()).unwrap_err().code, Code::BadRequest);
        let large = content("s", &"t".repeat(MAX_TEMPLATE));
        assert_eq!(create(large).unwrap_err().code, Code::BadRequest);
    }

    #[test]
    fn an_associated_template_cannot_be_deleted() {
        let mut account = account();
        account
            .create_template("hello", content("s", "t"), Tags::default())
            .unwrap();
        account.create_tenant("shop", Tags::default(), None, at(0)).unwrap();
        let arn = account.owner.arn(Resource::Template("hello"));
        account.associate("shop", &arn, at(0)).unwrap();
        let error = account.delete_template("hello").unwrap_err();
        assert!(error.message.contains("has tenant associations"), "{error}");
    }
}
