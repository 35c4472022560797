//! Who calls: the credential of the `Authorization` header. Its signature is not verified.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::wire::{ApiError, Code, digest, encode};

/// Sessions that are kept; the oldest goes first.
const MAX_SESSIONS: usize = 10_000;

/// The service a credential must be scoped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Ses,
    Sts,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Sts => "sts",
        }
    }

    const fn unknown_key(self) -> Code {
        match self {
            Self::Ses => Code::UnrecognizedClient,
            Self::Sts => Code::InvalidClientTokenId,
        }
    }

    const fn bad_scope(self) -> Code {
        match self {
            Self::Ses => Code::InvalidSignature,
            Self::Sts => Code::SignatureDoesNotMatch,
        }
    }
}

/// Who made a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) access_key: String,
    /// The role of its session, if it has one.
    pub(super) role: Option<String>,
    /// As IAM writes it.
    pub(super) arn: String,
}

/// A session made by `AssumeRole`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) access_key: String,
    pub(super) token: String,
    pub(super) role: String,
    pub(super) assumed_role_arn: String,
    pub(super) expires: Timestamp,
}

/// Known access keys and sessions.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    account_id: String,
    region: String,
    access_keys: BTreeSet<String>,
    /// By access key id, which counts up: the first is the oldest.
    sessions: BTreeMap<String, Session>,
    sessions_made: u64,
}

/// What of a request says who makes it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claim<'a> {
    pub(super) authorization: Option<&'a str>,
    pub(super) security_token: Option<&'a str>,
}

impl Credentials {
    pub(super) fn new(account_id: &str, region: &str, access_keys: BTreeSet<String>) -> Self {
        Self {
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            access_keys,
            sessions: BTreeMap::new(),
            sessions_made: 0,
        }
    }

    /// The caller, or the refusal of the service's front end.
    pub(super) fn authenticate(&self, claim: Claim<'_>, service: Service, now: Timestamp) -> Result<Caller, ApiError> {
        let scope = claim
            .authorization
            .and_then(Scope::parse)
            .ok_or_else(|| ApiError::new(Code::MissingAuthenticationToken, "Missing Authentication Token"))?;
        let caller = self.caller(&scope, claim.security_token, service, now)?;
        if scope.region != self.region {
            let text = format!("Credential should be scoped to a valid region, not '{}'.", scope.region);
            return Err(ApiError::new(service.bad_scope(), text));
        }
        if scope.service != service.name() {
            let text = format!("Credential should be scoped to correct service: '{}'.", service.name());
            return Err(ApiError::new(service.bad_scope(), text));
        }
        Ok(caller)
    }

    fn caller(
        &self,
        scope: &Scope<'_>,
        token: Option<&str>,
        service: Service,
        now: Timestamp,
    ) -> Result<Caller, ApiError> {
        let invalid = || {
            ApiError::new(
                service.unknown_key(),
                "The security token included in the request is invalid.",
            )
        };
        let access_key = scope.access_key.to_owned();
        if self.access_keys.contains(scope.access_key) {
            let arn = format!("arn:aws:iam::{}:user/{access_key}", self.account_id);
            return Ok(Caller {
                access_key,
                role: None,
                arn,
            });
        }
        let session = self.sessions.get(scope.access_key).ok_or_else(invalid)?;
        if token != Some(session.token.as_str()) {
            return Err(invalid());
        }
        if session.expires <= now {
            let text = "The security token included in the request is expired";
            return Err(ApiError::new(Code::ExpiredToken, text));
        }
        Ok(Caller {
            access_key,
            role: Some(session.role.clone()),
            arn: session.assumed_role_arn.clone(),
        })
    }

    /// Makes a session. Nothing in it is secret: no signature is verified.
    pub(super) fn open_session(&mut self, role: &str, assumed_role_arn: String, expires: Timestamp) -> &Session {
        self.sessions_made += 1;
        let access_key = format!("ASIA{:016}", self.sessions_made);
        let token = encode(&digest(&[&access_key, role, &expires.to_string()]));
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions.pop_first();
        }
        let session = Session {
            access_key: access_key.clone(),
            token,
            role: role.to_owned(),
            assumed_role_arn,
            expires,
        };
        self.sessions.entry(access_key).or_insert(session)
    }
}

/// The credential scope of a `SigV4` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scope<'a> {
    access_key: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    fn parse(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name));
        field("SignedHeaders=").filter(|headers| !headers.is_empty())?;
        field("Signature=").filter(|signature| !signature.is_empty())?;
        let parts: Vec<&str> = field("Credential=")?.split('/').collect();
        match parts[..] {
            [access_key, _date, region, service, "aws4_request"] => Some(Self {
                access_key,
                region,
                service,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1000, 0);

    fn credentials() -> Credentials {
        Credentials::new("111122223333", "us-east-1", BTreeSet::from(["known".to_owned()]))
    }

    fn header(key: &str, region: &str, service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261124/{region}/{service}/aws4_request, SignedHeaders=host, Signature=00"
        )
    }

    fn code(header: &str, service: Service) -> Code {
        let claim = Claim {
            authorization: Some(header),
            security_token: None,
        };
        credentials().authenticate(claim, service, NOW).unwrap_err().code
    }

    #[test]
    fn a_known_key_in_the_right_scope_is_a_user() {
        let header = header("known", "us-east-1", "ses");
        let claim = Claim {
            authorization: Some(&header),
            security_token: None,
        };
        let caller = credentials().authenticate(claim, Service::Ses, NOW).unwrap();
        assert_eq!(
            (caller.arn.as_str(), caller.role),
            ("arn:aws:iam::111122223333:user/known", None)
        );
    }

    #[test]
    fn an_unknown_key_is_refused_in_each_services_words() {
        assert_eq!(
            code(&header("other", "us-east-1", "ses"), Service::Ses),
            Code::UnrecognizedClient
        );
        assert_eq!(
            code(&header("other", "us-east-1", "sts"), Service::Sts),
            Code::InvalidClientTokenId
        );
    }

    #[test]
    fn another_region_or_service_is_refused_in_each_services_words() {
        assert_eq!(
            code(&header("known", "eu-west-1", "ses"), Service::Ses),
            Code::InvalidSignature
        );
        assert_eq!(
            code(&header("known", "us-east-1", "sqs"), Service::Ses),
            Code::InvalidSignature
        );
        assert_eq!(
            code(&header("known", "eu-west-1", "sts"), Service::Sts),
            Code::SignatureDoesNotMatch
        );
    }

    #[test]
    fn no_header_and_half_a_header_are_no_authentication() {
        assert_eq!(
            credentials()
                .authenticate(Claim::default(), Service::Ses, NOW)
                .unwrap_err()
                .code,
            Code::MissingAuthenticationToken
        );
        for half in [
            "Bearer x",
            "AWS4-HMAC-SHA256 Credential=known/20261124/us-east-1/ses/aws4_request",
        ] {
            assert_eq!(code(half, Service::Ses), Code::MissingAuthenticationToken, "{half}");
        }
    }

    #[test]
    fn a_session_needs_its_token_and_ends_with_its_time() {
        let mut credentials = credentials();
        let ends = Timestamp::constant(2000, 0);
        let session = credentials
            .open_session("arn:role", "arn:assumed".to_owned(), ends)
            .clone();
        let header = header(&session.access_key, "us-east-1", "ses");
        let authenticate = |token, now| {
            let claim = Claim {
                authorization: Some(&header),
                security_token: token,
            };
            credentials
                .authenticate(claim, Service::Ses, now)
                .map(|caller| caller.role)
        };
        assert_eq!(authenticate(Some(&session.token), NOW), Ok(Some("arn:role".to_owned())));
        assert_eq!(authenticate(None, NOW).unwrap_err().code, Code::UnrecognizedClient);
        assert_eq!(
            authenticate(Some("other"), NOW).unwrap_err().code,
            Code::UnrecognizedClient
        );
        assert_eq!(
            authenticate(Some(&session.token), ends).unwrap_err().code,
            Code::ExpiredToken
        );
    }

    #[test]
    fn the_oldest_session_goes_when_there_are_too_many() {
        let mut credentials = credentials();
        let first = credentials.open_session("r", "a".to_owned(), NOW).access_key.clone();
        for _ in 0..MAX_SESSIONS {
            credentials.open_session("r", "a".to_owned(), NOW);
        }
        assert!(!credentials.sessions.contains_key(&first));
        assert_eq!(credentials.sessions.len(), MAX_SESSIONS);
    }
}
