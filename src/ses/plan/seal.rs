//! Sealing an identity: its default configuration set becomes one that cannot send, so that mail which names no set
//! goes nowhere.

use super::super::call::SesCall;
use super::super::desired::DesiredSeal;
use super::super::observed::IdentityRecord;
use super::{Consent, Finding, Plan};

/// What seals the identity, or gives it back. A default that is not our sealed set was chosen by somebody: it is
/// replaced only with consent, and never taken away.
#[must_use]
pub fn plan_seal(desired: &DesiredSeal, observed: &IdentityRecord, consent: &Consent) -> Plan {
    let DesiredSeal { identity, set, sealed } = desired;
    let mut plan = Plan::default();
    let ours = observed.default_set.as_deref() == Some(set.as_str());
    match (sealed, &observed.default_set) {
        (true, _) if ours => {}
        (true, Some(standing)) if consent.take_over.as_ref() != Some(standing) => {
            plan.find(Finding::IdentityHasDefault {
                identity: identity.clone(),
                default_set: standing.clone(),
            });
        }
        (true, _) => plan.step(SesCall::PutIdentityDefault {
            identity: identity.clone(),
            set: Some(set.clone()),
        }),
        (false, _) if ours => plan.step(SesCall::PutIdentityDefault {
            identity: identity.clone(),
            set: None,
        }),
        (false, _) => {}
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::super::super::address::Identity;
    use super::super::super::name::SetName;
    use super::*;

    fn seal(sealed: bool) -> DesiredSeal {
        DesiredSeal {
            identity: Identity::new("example.com"),
            set: SetName::sealed("prod", "primary"),
            sealed,
        }
    }

    fn observed(default_set: Option<&str>) -> IdentityRecord {
        IdentityRecord {
            verified: true,
            dkim_verified: true,
            mail_from: None,
            default_set: default_set.map(str::to_owned),
        }
    }

    fn plan(sealed: bool, default_set: Option<&str>, take_over: Option<&str>) -> String {
        plan_seal(
            &seal(sealed),
            &observed(default_set),
            &Consent {
                take_over: take_over.map(str::to_owned),
                recreate: false,
            },
        )
        .to_string()
    }

    #[test]
    fn a_sealed_identity_and_an_open_one_need_nothing() {
        assert_eq!(plan(true, Some(seal(true).set.as_str()), None), "nothing to do\n");
        assert_eq!(plan(false, None, None), "nothing to do\n");
    }

    #[test]
    fn an_identity_without_default_is_sealed_by_one_call() {
        let expected = format!("make {} the default of example.com\n", seal(true).set);
        assert_eq!(plan(true, None, None), expected);
        assert_eq!(plan(true, Some("theirs"), Some("theirs")), expected);
    }

    #[test]
    fn a_default_that_somebody_chose_is_left() {
        let found = plan_seal(&seal(true), &observed(Some("theirs")), &Consent::default());
        assert!(found.is_empty());
        assert_eq!(
            found.findings(),
            [Finding::IdentityHasDefault {
                identity: Identity::new("example.com"),
                default_set: "theirs".to_owned(),
            }]
        );
        let otherwise = plan(true, Some("theirs"), Some("another"));
        assert!(
            otherwise.starts_with("! ") && otherwise.ends_with("take-over-from: theirs\n"),
            "{otherwise}"
        );
        assert_eq!(plan(false, Some("theirs"), None), "nothing to do\n");
    }

    #[test]
    fn a_seal_that_is_no_longer_wanted_is_taken_off() {
        assert_eq!(
            plan(false, Some(seal(true).set.as_str()), None),
            "take the default set from example.com\n"
        );
    }
}
