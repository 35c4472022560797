//! The operations the simulator answers, each with its method and path, and the router over raw paths.

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Declares [`Operation`] from one table, so that a name, its route and its place in the counts cannot drift apart.
macro_rules! operations {
    (rest { $($rest:ident: $method:literal $path:literal,)* } query { $($query:ident,)* }) => {
        /// One operation of SES v2 (REST), SES v1 or STS (query protocol), or [`Operation::Unknown`] for anything else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $(#[doc = concat!("`", $method, " ", $path, "`")] $rest,)*
            $(#[doc = concat!("`POST /` with `Action=", stringify!($query), "`")] $query,)*
            /// A request that no operation of the simulator answers.
            Unknown,
        }

        impl Operation {
            /// Every operation the simulator knows.
            pub const ALL: &'static [Self] = &[$(Self::$rest,)* $(Self::$query,)*];

            /// The operation's name as AWS writes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rest => stringify!($rest),)*
                    $(Self::$query => stringify!($query),)*
                    Self::Unknown => "Unknown",
                }
            }
        }

        /// Method, path pattern (`{}` stands for one label) and operation.
        const ROUTES: &[(&str, &str, Operation)] = &[$(($method, $path, Operation::$rest),)*];
        const QUERY_ACTIONS: &[Operation] = &[$(Operation::$query,)*];
    };
}

operations! {
    rest {
        // First, because nothing is called as often.
        SendEmail: "POST" "/v2/email/outbound-emails",
        SendBulkEmail: "POST" "/v2/email/outbound-bulk-emails",
        GetAccount: "GET" "/v2/email/account",
        PutAccountSendingAttributes: "PUT" "/v2/email/account/sending",
        PutAccountSuppressionAttributes: "PUT" "/v2/email/account/suppression",
        CreateConfigurationSet: "POST" "/v2/email/configuration-sets",
        GetConfigurationSet: "GET" "/v2/email/configuration-sets/{}",
        DeleteConfigurationSet: "DELETE" "/v2/email/configuration-sets/{}",
        ListConfigurationSets: "POST" "/v2/email/list-configuration-sets",
        UpdateConfigurationSet: "POST" "/v2/email/update-configuration-sets",
        PutConfigurationSetArchivingOptions: "PUT" "/v2/email/configuration-sets/{}/archiving-options",
        PutConfigurationSetDeliveryOptions: "PUT" "/v2/email/configuration-sets/{}/delivery-options",
        PutConfigurationSetReputationOptions: "PUT" "/v2/email/configuration-sets/{}/reputation-options",
        PutConfigurationSetSendingOptions: "PUT" "/v2/email/configuration-sets/{}/sending",
        PutConfigurationSetSuppressionOptions: "PUT" "/v2/email/configuration-sets/{}/suppression-options",
        PutConfigurationSetTrackingOptions: "PUT" "/v2/email/configuration-sets/{}/tracking-options",
        PutConfigurationSetVdmOptions: "PUT" "/v2/email/configuration-sets/{}/vdm-options",
        CreateConfigurationSetEventDestination: "POST" "/v2/email/configuration-sets/{}/event-destinations",
        GetConfigurationSetEventDestinations: "GET" "/v2/email/configuration-sets/{}/event-destinations",
        UpdateConfigurationSetEventDestination: "PUT" "/v2/email/configuration-sets/{}/event-destinations/{}",
        DeleteConfigurationSetEventDestination: "DELETE" "/v2/email/configuration-sets/{}/event-destinations/{}",
        CreateTenant: "POST" "/v2/email/tenants",
        GetTenant: "POST" "/v2/email/tenants/get",
        ListTenants: "POST" "/v2/email/tenants/list",
        DeleteTenant: "POST" "/v2/email/tenants/delete",
        CreateTenantResourceAssociation: "POST" "/v2/email/tenants/resources",
        DeleteTenantResourceAssociation: "POST" "/v2/email/tenants/resources/delete",
        ListTenantResources: "POST" "/v2/email/tenants/resources/list",
        ListResourceTenants: "POST" "/v2/email/resources/tenants/list",
        PutTenantSuppressionAttributes: "POST" "/v2/email/tenant/suppression",
        PutSuppressedDestination: "PUT" "/v2/email/suppression/addresses",
        GetSuppressedDestination: "GET" "/v2/email/suppression/addresses/{}",
        DeleteSuppressedDestination: "DELETE" "/v2/email/suppression/addresses/{}",
        ListSuppressedDestinations: "GET" "/v2/email/suppression/addresses",
        GetReputationEntity: "GET" "/v2/email/reputation/entities/{}/{}",
        ListReputationEntities: "POST" "/v2/email/reputation/entities",
        UpdateReputationEntityCustomerManagedStatus: "PUT"
            "/v2/email/reputation/entities/{}/{}/customer-managed-status",
        UpdateReputationEntityPolicy: "PUT" "/v2/email/reputation/entities/{}/{}/policy",
        ListRecommendations: "POST" "/v2/email/vdm/recommendations",
        CreateEmailIdentity: "POST" "/v2/email/identities",
        GetEmailIdentity: "GET" "/v2/email/identities/{}",
        ListEmailIdentities: "POST" "/v2/email/list-identities",
        DeleteEmailIdentity: "DELETE" "/v2/email/identities/{}",
        PutEmailIdentityConfigurationSetAttributes: "PUT" "/v2/email/identities/{}/configuration-set",
        PutEmailIdentityDkimAttributes: "PUT" "/v2/email/identities/{}/dkim",
        PutEmailIdentityFeedbackAttributes: "PUT" "/v2/email/identities/{}/feedback",
        PutEmailIdentityMailFromAttributes: "PUT" "/v2/email/identities/{}/mail-from",
        CreateEmailTemplate: "POST" "/v2/email/templates",
        GetEmailTemplate: "GET" "/v2/email/templates/{}",
        DeleteEmailTemplate: "DELETE" "/v2/email/templates/{}",
        TagResource: "POST" "/v2/email/tags",
        UntagResource: "DELETE" "/v2/email/tags",
        ListTagsForResource: "GET" "/v2/email/tags",
    }
    query {
        AssumeRole,
        GetCallerIdentity,
        SendRawEmail,
    }
}

impl Operation {
    /// The operation of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }

    /// The query-protocol operation that `Action=<name>` asks for. `SendEmail` is one in both versions of SES.
    #[must_use]
    pub fn by_action(name: &str) -> Option<Self> {
        let mut known = QUERY_ACTIONS.iter().copied().chain([Self::SendEmail]);
        known.find(|operation| operation.name() == name)
    }

    /// Whether the operation belongs to STS, which has its own error shape and is outside SES's throttle.
    #[must_use]
    pub const fn is_sts(self) -> bool {
        matches!(self, Self::AssumeRole | Self::GetCallerIdentity)
    }

    /// Whether the operation sends mail.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendEmail | Self::SendBulkEmail | Self::SendRawEmail)
    }

    /// Whether SES's limit on control calls holds for it. `SendBulkEmail` is not among the exceptions (quotas page).
    #[must_use]
    pub const fn is_throttled(self) -> bool {
        !matches!(
            self,
            Self::SendEmail | Self::SendRawEmail | Self::AssumeRole | Self::GetCallerIdentity
        )
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Operation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::by_name(&name).ok_or_else(|| de::Error::custom(format!("there is no operation {name}")))
    }
}

/// What a REST request asks for: the operation and its decoded path labels, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Routed {
    /// The operation.
    pub operation: Operation,
    /// The labels, percent-decoded.
    pub labels: Vec<String>,
}

/// Whether a request of this method and path may be one that sends, and so have a large body.
#[must_use]
pub fn may_send(method: &str, raw_path: &str) -> bool {
    method == "POST" && (raw_path == "/" || raw_path.starts_with("/v2/email/outbound-"))
}

/// Matches the raw path, so that an encoded `/` inside a label (an ARN) does not split it.
///
/// `None` where no operation has this method and path, or a label is empty or not UTF-8.
#[must_use]
pub fn route(method: &str, raw_path: &str) -> Option<Routed> {
    ROUTES.iter().find_map(|&(candidate, pattern, operation)| {
        if candidate != method {
            return None;
        }
        match_path(pattern, raw_path).map(|labels| Routed { operation, labels })
    })
}

fn match_path(pattern: &str, raw_path: &str) -> Option<Vec<String>> {
    let mut labels = Vec::new();
    let mut wanted = pattern.split('/');
    let mut given = raw_path.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(labels),
            (Some("{}"), Some(label)) if !label.is_empty() => {
                labels.push(percent_decode_str(label).decode_utf8().ok()?.into_owned());
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_arn_is_one_label_when_its_slashes_are_encoded() {
        let path = "/v2/email/reputation/entities/RESOURCE/arn%3Aaws%3Ases%3Aus-east-1%3A1%3Atenant%2Fa%2Ftn-1/policy";
        let routed = route("PUT", path).unwrap();
        assert_eq!(routed.operation, Operation::UpdateReputationEntityPolicy);
        assert_eq!(routed.labels, ["RESOURCE", "arn:aws:ses:us-east-1:1:tenant/a/tn-1"]);
    }

    #[test]
    fn an_arn_whose_slashes_are_bare_is_another_path() {
        assert_eq!(
            route("PUT", "/v2/email/reputation/entities/RESOURCE/arn:tenant/a/tn-1/policy"),
            None
        );
    }

    #[test]
    fn an_address_label_is_decoded() {
        let routed = route("GET", "/v2/email/suppression/addresses/a%2Bb%40example.com").unwrap();
        assert_eq!(routed.labels, ["a+b@example.com"]);
    }

    #[test]
    fn a_trailing_slash_and_an_empty_label_match_nothing() {
        assert_eq!(route("GET", "/v2/email/account/"), None);
        assert_eq!(route("GET", "/v2/email/configuration-sets/"), None);
    }

    #[test]
    fn the_method_decides_between_operations_on_one_path() {
        let operation = |method| route(method, "/v2/email/tags").map(|routed| routed.operation);
        assert_eq!(operation("POST"), Some(Operation::TagResource));
        assert_eq!(operation("DELETE"), Some(Operation::UntagResource));
        assert_eq!(operation("GET"), Some(Operation::ListTagsForResource));
        assert_eq!(operation("PATCH"), None);
    }

    #[test]
    fn every_operation_is_found_by_its_own_name_and_no_two_share_a_route() {
        for &operation in Operation::ALL {
            assert_eq!(Operation::by_name(operation.name()), Some(operation));
        }
        let distinct: BTreeSet<_> = ROUTES.iter().map(|&(method, path, _)| (method, path)).collect();
        assert_eq!(distinct.len(), ROUTES.len());
    }
}
