//! STS: `AssumeRole` and `GetCallerIdentity`, in the query protocol with XML answers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::auth::{Caller, Credentials};
use super::operation::Operation;
use super::wire::{ApiError, Code, Pairs, UnknownMembers, digest, encode};

/// The namespace of its answers.
pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// Characters of a session policy (IAM quota).
const MAX_POLICY: usize = 2048;

/// What STS knows of the account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sts<'a> {
    pub(super) account_id: &'a str,
    /// External id by role ARN.
    pub(super) roles: &'a BTreeMap<String, Option<String>>,
    pub(super) unknown_members: UnknownMembers,
}

impl Sts<'_> {
    /// Does the call; the answer is the result element's content.
    pub(super) fn answer(
        &self,
        operation: Operation,
        parameters: &Pairs,
        caller: &Caller,
        credentials: &mut Credentials,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        if operation == Operation::AssumeRole {
            self.assume_role(parameters, caller, credentials, now)
        } else {
            self.check_members(parameters, &["Action", "Version"])?;
            let Caller {
                access_key,
                role: _,
                arn,
            } = caller;
            let account = self.account_id;
            Ok(format!(
                "<Arn>{arn}</Arn><UserId>{access_key}</UserId><Account>{account}</Account>"
            ))
        }
    }

    fn assume_role(
        &self,
        parameters: &Pairs,
        caller: &Caller,
        credentials: &mut Credentials,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        const KNOWN: [&str; 7] = [
            "Action",
            "Version",
            "RoleArn",
            "RoleSessionName",
            "ExternalId",
            "DurationSeconds",
            "Policy",
        ];
        self.check_members(parameters, &KNOWN)?;
        let role = required(parameters, "RoleArn")?;
        let session_name = required(parameters, "RoleSessionName")?;
        check_session_name(session_name)?;
        let duration = duration(parameters)?;
        if parameters
            .first("Policy")
            .is_some_and(|policy| policy.chars().count() > MAX_POLICY)
        {
            return Err(validation(format!("Policy must have at most {MAX_POLICY} characters.")));
        }
        let trusted = self.roles.get(role).is_some_and(|external_id| match external_id {
            Some(wanted) => parameters.first("ExternalId") == Some(wanted),
            None => true,
        });
        if !trusted {
            // As real STS: a role that is not there, and one that does not trust the caller, look the same.
            let text = format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
                caller.arn
            );
            return Err(ApiError::new(Code::AccessDenied, text));
        }
        let expires = now
            .checked_add(duration)
            .map_err(|error| validation(format!("DurationSeconds: {error}")))?;
        let role_name = role.rsplit('/').next().unwrap_or(role);
        let arn = format!(
            "arn:aws:sts::{}:assumed-role/{role_name}/{session_name}",
            self.account_id
        );
        let session = credentials.open_session(role, arn.clone(), expires);
        let secret = encode(&digest(&["secret", &session.access_key]));
        let seconds = expires.strftime("%Y-%m-%dT%H:%M:%SZ");
        Ok(format!(
            "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{seconds}</Expiration></Credentials>\
             <AssumedRoleUser><AssumedRoleId>AROASIMULATOR:{session_name}</AssumedRoleId><Arn>{arn}</Arn>\
             </AssumedRoleUser>",
            key = session.access_key,
            token = session.token,
        ))
    }

    fn check_members(&self, parameters: &Pairs, known: &[&str]) -> Result<(), ApiError> {
        match (self.unknown_members, parameters.first_unknown(known)) {
            (UnknownMembers::Refused, Some(name)) => Err(validation(format!("The operation has no parameter {name}."))),
            _ => Ok(()),
        }
    }
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::ValidationError, message)
}

fn required<'a>(parameters: &'a Pairs, name: &str) -> Result<&'a str, ApiError> {
    parameters
        .first(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| validation(format!("{name} is missing.")))
}

/// 2 to 64 of the characters STS allows; none of them needs escaping in XML.
fn check_session_name(name: &str) -> Result<(), ApiError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (2..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(validation(
        "RoleSessionName must be 2 to 64 letters, digits or any of _+=,.@-.",
    ))
}

fn duration(parameters: &Pairs) -> Result<SignedDuration, ApiError> {
    let seconds = parameters.first("DurationSeconds").map_or(Ok(3600), str::parse);
    match seconds {
        Ok(seconds) if (900..=43_200).contains(&seconds) => Ok(SignedDuration::from_secs(seconds)),
        _ => Err(validation("DurationSeconds must be between 900 and 43200.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/control";

    fn assume(parameters: &str) -> Result<String, ApiError> {
        let roles = BTreeMap::from([(ROLE.to_owned(), Some("secret-id".to_owned()))]);
        let sts = Sts {
            account_id: "111122223333",
            roles: &roles,
            unknown_members: UnknownMembers::Refused,
        };
        let caller = Caller {
            access_key: "k".to_owned(),
            role: None,
            arn: "arn:user".to_owned(),
        };
        let mut credentials = Credentials::new("111122223333", "us-east-1", BTreeSet::new());
        let parameters = Pairs::parse(&format!("Action=AssumeRole&Version=2011-06-15&{parameters}"));
        sts.answer(
            Operation::AssumeRole,
            &parameters,
            &caller,
            &mut credentials,
            Timestamp::UNIX_EPOCH,
        )
    }

    fn with(rest: &str) -> String {
        format!("RoleArn={ROLE}&RoleSessionName=operator&{rest}")
    }

    #[test]
    fn the_right_external_id_gives_a_session_of_the_time_asked_for() {
        let answer = assume(&with("ExternalId=secret-id&DurationSeconds=900")).unwrap();
        assert!(
            answer.contains("<Expiration>1970-01-01T00:15:00Z</Expiration>"),
            "{answer}"
        );
        assert!(
            answer.contains("<Arn>arn:aws:sts::111122223333:assumed-role/control/operator</Arn>"),
            "{answer}"
        );
    }

    #[test]
    fn a_wrong_or_missing_external_id_and_an_unknown_role_look_the_same() {
        for rest in [
            with(""),
            with("ExternalId=other"),
            "RoleArn=arn:other&RoleSessionName=operator".to_owned(),
        ] {
            let error = assume(&rest).unwrap_err();
            assert_eq!(error.code, Code::AccessDenied, "{rest}");
            assert!(
                error
                    .message
                    .starts_with("User: arn:user is not authorized to perform: sts:AssumeRole")
            );
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let id = "ExternalId=secret-id";
        let policy = "p".repeat(MAX_POLICY + 1);
        for rest in [
            format!("RoleArn={ROLE}&{id}"),
            format!("RoleSessionName=operator&{id}"),
            format!("RoleArn={ROLE}&RoleSessionName=a%20b&{id}"),
            with(&format!("{id}&DurationSeconds=899")),
            with(&format!("{id}&DurationSeconds=x")),
            with(&format!("{id}&Policy={policy}")),
            with(&format!("{id}&Unknown=1")),
        ] {
            assert_eq!(assume(&rest).unwrap_err().code, Code::ValidationError, "{rest}");
        }
    }
}
