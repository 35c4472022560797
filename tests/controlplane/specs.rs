//! Specs that the API server must refuse, and specs with every field that it must accept: the files of `kinds/`.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

/// Every kind of ours.
pub const KINDS: [&str; 5] = [
    "SendingAccount",
    "MailGuardrail",
    "MailPolicy",
    "MailWindow",
    "MailSuppression",
];

/// Something that must be refused.
pub struct Refusal {
    /// What is wrong with it.
    pub what: String,
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    pub tried: Tried,
    /// The field that the answer must name.
    pub field: String,
    /// What the answer must say so that a person can mend it.
    pub mend: String,
}

/// What is tried.
pub enum Tried {
    /// To create an object of this spec.
    Spec(Value),
    /// To change the spec of a complete one so.
    Change(Value),
}

/// A file of `kinds/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindFile {
    complete: Value,
    refused: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    what: String,
    #[serde(flatten)]
    tried: Written,
    field: String,
    mend: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    /// A whole spec.
    Spec(Value),
    /// The complete one with other fields.
    With(Value),
    /// A change of the complete one.
    Change(Value),
}

fn read(kind: &str) -> KindFile {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/controlplane/kinds/{kind}.yaml"));
    let text = std::fs::read_to_string(&file).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A spec with every field that its kind has.
pub fn complete(kind: &str) -> Value {
    read(kind).complete
}

/// Everything that must be refused.
pub fn refused() -> Vec<Refusal> {
    KINDS
        .into_iter()
        .flat_map(written)
        .chain(KINDS.into_iter().map(misnamed))
        .chain(too_much())
        .collect()
}

fn written(kind: &'static str) -> Vec<Refusal> {
    let KindFile { complete, refused } = read(kind);
    let refusal = |Case {
                       what,
                       tried,
                       field,
                       mend,
                   }| {
        let tried = match tried {
            Written::Spec(spec) => Tried::Spec(spec),
            Written::With(fields) => {
                let mut spec = complete.clone();
                spec.as_object_mut()
                    .unwrap()
                    .extend(fields.as_object().unwrap().clone());
                Tried::Spec(spec)
            }
            Written::Change(change) => Tried::Change(change),
        };
        Refusal {
            what,
            kind,
            name: "refused".to_owned(),
            tried,
            field,
            mend,
        }
    };
    refused.into_iter().map(refusal).collect()
}

fn misnamed(kind: &'static str) -> Refusal {
    Refusal {
        what: "a name that is no label".to_owned(),
        kind,
        name: "n".repeat(64),
        tried: Tried::Spec(complete(kind)),
        field: "name".to_owned(),
        mend: "a name has at most 63 characters: it becomes a label".to_owned(),
    }
}

/// What is too long to be written in a file.
fn too_much() -> Vec<Refusal> {
    let domains: Vec<String> = (0..129).map(|number| format!("d{number}.example.com")).collect();
    let long = [format!("{}.com", "d".repeat(250))];
    let destination =
        |number| json!({"arn": format!("arn:aws:sns:eu-west-1:123456789012:t{number}"), "events": ["Send"]});
    let destinations: Vec<Value> = (0..10).map(destination).collect();
    let entries: Vec<Value> = (0..257)
        .map(|number| json!({"address": format!("a{number}@example.com")}))
        .collect();
    let case = |what: &str, kind, spec, field: &str, mend: &str| Refusal {
        what: what.to_owned(),
        kind,
        name: "refused".to_owned(),
        tried: Tried::Spec(spec),
        field: field.to_owned(),
        mend: mend.to_owned(),
    };
    vec![
        case(
            "too many domains",
            "MailPolicy",
            json!({"mode": "Restricted", "allowedDomains": domains}),
            "spec.allowedDomains",
            "must have at most 128 items",
        ),
        case(
            "a domain that is too long",
            "MailPolicy",
            json!({"mode": "Restricted", "allowedDomains": long}),
            "spec.allowedDomains[0]",
            "may not be more than 253 bytes",
        ),
        case(
            "more destinations than SES has room for",
            "MailPolicy",
            json!({"mode": "Live", "ses": {"eventDestinations": destinations}}),
            "spec.ses.eventDestinations",
            "must have at most 9 items",
        ),
        case(
            "too many entries",
            "MailSuppression",
            json!({"entries": entries}),
            "spec.entries",
            "must have at most 256 items",
        ),
    ]
}
