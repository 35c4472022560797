//! The custom resources of `mailpolicy.dev/v1alpha1`, their conditions, and the newtypes their texts are parsed into.
//!
//! A `spec` holds the user's texts as they were written; [`crate::policy`] parses each once into the newtypes of this
//! module. So a text that the API server cannot judge (a public suffix as a domain) is refused with `Accepted=False`
//! and a message, and the object stays readable.

pub mod account;
pub mod address;
pub mod condition;
pub mod crd;
pub mod domain;
pub mod guardrail;
pub mod mode;
pub mod parsed;
pub mod pattern;
pub mod policy;
pub mod rate;
mod schema;
pub mod suppression;
pub mod window;

pub use account::{SendingAccount, SendingAccountSpec, SendingAccountStatus};
pub use address::Address;
pub use domain::Domain;
pub use guardrail::{MailGuardrail, MailGuardrailSpec, MailGuardrailStatus};
pub use mode::Mode;
pub use parsed::Parsed;
pub use pattern::{AddressSet, Pattern};
pub use policy::{MailPolicy, MailPolicySpec, MailPolicyStatus};
pub use rate::Rate;
pub use suppression::{MailSuppression, MailSuppressionSpec, MailSuppressionStatus};
pub use window::{MailWindow, MailWindowSpec, MailWindowStatus};

/// The API group of every kind, also the prefix of annotations, labels and SES tags.
pub const GROUP: &str = "mailpolicy.dev";

/// The name under which the operator owns fields, labels objects and tags SES resources.
pub const MANAGER: &str = "mail-policy-operator";

/// Annotation that consents to taking over what is not ours in SES, and whose value names from whom.
///
/// On a `MailPolicy`, whose configuration set and tenant it concerns: the cluster id in the tags of what stands there, or
/// [`NOBODY`] where it does not carry this operator's tags. On a `SendingAccount`: the default configuration set of an
/// identity, which the sealed one replaces. Any other value is refused with a message that says which one it must be, so
/// that a consent which was given once does not reach further than was meant.
pub const TAKE_OVER: &str = "mailpolicy.dev/take-over-from";

/// The value of [`TAKE_OVER`] for what does not carry this operator's tags.
pub const NOBODY: &str = "nobody";

/// Annotation on a `MailPolicy`: `"true"` consents to deleting and making anew the configuration set where SES
/// has no call for a change (suppression from `Only` back to `Inherit`).
pub const RECREATE: &str = "mailpolicy.dev/recreate-configuration-set";
