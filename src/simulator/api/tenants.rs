//! Tenants and their associations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Answer, Call, ListRequest, done};
use crate::simulator::state::shapes::{Reason, Scope, SendingStatus, Tag, TenantSuppressionAttributes};
use crate::simulator::state::{Account, Tags, Tenant, TenantFilter};
use crate::simulator::wire::write_json;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    tenant_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
    suppression_attributes: Option<TenantSuppressionAttributes>,
}

/// What a listing says of a tenant.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Info<'a> {
    tenant_name: &'a str,
    tenant_id: &'a str,
    tenant_arn: &'a str,
    created_timestamp: i64,
    sending_status: SendingStatus,
}

/// What creating or reading says of it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Whole<'a> {
    #[serde(flatten)]
    info: Info<'a>,
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression_attributes: Option<&'a TenantSuppressionAttributes>,
}

impl<'a> From<&'a Tenant> for Info<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Self {
            tenant_name: &tenant.name,
            tenant_id: &tenant.id,
            tenant_arn: &tenant.arn,
            created_timestamp: tenant.created.as_second(),
            sending_status: tenant.sending_status(),
        }
    }
}

impl<'a> From<&'a Tenant> for Whole<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Self {
            info: tenant.into(),
            tags: tenant.tags.list(),
            suppression_attributes: tenant.suppression.as_ref(),
        }
    }
}

pub(super) fn create(account: &mut Account, call: &Call<'_>, now: Timestamp) -> Answer {
    let Create {
        tenant_name,
        tags,
        suppression_attributes,
    } = call.body()?;
    let tenant = account.create_tenant(&tenant_name, Tags::new(tags)?, suppression_attributes, now)?;
    write_json(&Whole::from(tenant))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByName {
    tenant_name: String,
}

pub(super) fn get(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Found<'a> {
        tenant: Whole<'a>,
    }
    let ByName { tenant_name } = call.body()?;
    write_json(&Found {
        tenant: account.tenant(&tenant_name)?.into(),
    })
}

pub(super) fn list(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed<'a> {
        tenants: Vec<Info<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    const CONTAINS: &str = "TENANT_NAME_CONTAINS";
    const STATUS: &str = "SENDING_STATUS";
    let (page, mut filters) = call.body::<ListRequest>()?.split(&[CONTAINS, STATUS])?;
    let filter = TenantFilter {
        name_contains: filters.text(CONTAINS).unwrap_or_default(),
        status: filters.word(STATUS)?,
    };
    let page = account.list_tenants(&filter, &page)?;
    write_json(&Listed {
        tenants: page.entries.into_iter().map(Info::from).collect(),
        next_token: page.next_token,
    })
}

pub(super) fn delete(account: &mut Account, call: &Call<'_>) -> Answer {
    let ByName { tenant_name } = call.body()?;
    done(account.delete_tenant(&tenant_name))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Association {
    tenant_name: String,
    resource_arn: String,
}

pub(super) fn associate(account: &mut Account, call: &Call<'_>, now: Timestamp) -> Answer {
    let Association {
        tenant_name,
        resource_arn,
    } = call.body()?;
    done(account.associate(&tenant_name, &resource_arn, now))
}

pub(super) fn disassociate(account: &mut Account, call: &Call<'_>) -> Answer {
    let Association {
        tenant_name,
        resource_arn,
    } = call.body()?;
    done(account.disassociate(&tenant_name, &resource_arn))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListResources {
    tenant_name: String,
    #[serde(default)]
    filter: BTreeMap<String, String>,
    next_token: Option<String>,
    page_size: Option<i64>,
}

pub(super) fn list_resources(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Resource {
        resource_type: &'static str,
        resource_arn: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        tenant_resources: Vec<Resource>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    const TYPE: &str = "RESOURCE_TYPE";
    let ListResources {
        tenant_name,
        filter,
        next_token,
        page_size,
    } = call.body()?;
    let (page, mut filters) = ListRequest {
        filter,
        next_token,
        page_size,
    }
    .split(&[TYPE])?;
    let page = account.list_tenant_resources(&tenant_name, filters.text(TYPE).as_deref(), &page)?;
    let resource = |(resource_type, resource_arn)| Resource {
        resource_type,
        resource_arn,
    };
    write_json(&Listed {
        tenant_resources: page.entries.into_iter().map(resource).collect(),
        next_token: page.next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListTenantsOf {
    resource_arn: String,
    next_token: Option<String>,
    page_size: Option<i64>,
}

pub(super) fn list_tenants_of(account: &Account, call: &Call<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata<'a> {
        tenant_name: &'a str,
        tenant_id: &'a str,
        resource_arn: &'a str,
        associated_timestamp: i64,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed<'a> {
        resource_tenants: Vec<Metadata<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    }
    let ListTenantsOf {
        resource_arn,
        next_token,
        page_size,
    } = call.body()?;
    let (page, _) = ListRequest {
        filter: BTreeMap::new(),
        next_token,
        page_size,
    }
    .split(&[])?;
    let page = account.list_resource_tenants(&resource_arn, &page)?;
    let resource_tenants = page.entries.iter().map(|(tenant, since)| Metadata {
        tenant_name: &tenant.name,
        tenant_id: &tenant.id,
        resource_arn: &resource_arn,
        associated_timestamp: since.as_second(),
    });
    let resource_tenants = resource_tenants.collect();
    write_json(&Listed {
        resource_tenants,
        next_token: page.next_token,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutSuppression {
    tenant_name: String,
    suppressed_reasons: Option<Vec<Reason>>,
    suppression_scope: Option<Scope>,
}

pub(super) fn put_suppression(account: &mut Account, call: &Call<'_>) -> Answer {
    let PutSuppression {
        tenant_name,
        suppressed_reasons,
        suppression_scope,
    } = call.body()?;
    let attributes = TenantSuppressionAttributes {
        suppressed_reasons,
        suppression_scope,
    };
    done(account.put_tenant_suppression(&tenant_name, attributes))
}
