#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::super::budget::Priority;
use super::super::client::Page;
use super::super::error::ErrorKind;
use super::super::test_support::mock::{Mock, Step};
use super::super::test_support::unlimited;
use super::*;

fn page<T>(items: impl IntoIterator<Item = T>, next: Option<&str>) -> Page<T> {
    Page {
        items: items.into_iter().collect(),
        next: next.map(str::to_owned),
    }
}

async fn read(steps: Vec<Step>) -> Result<Inventory, SesError> {
    let (mock, budget) = (Mock::new(steps), unlimited());
    Inventory::list(Reader::new(&mock, &budget, Priority::Drift), Scope::WithoutTenants).await
}

#[tokio::test]
async fn listings_are_followed_to_their_last_page() {
    let listing = IdentityListing {
        identity: Identity::new("example.com"),
        verified: true,
        sending: true,
    };
    let inventory = read(vec![
        Step::Sets(None, Ok(page(["a".to_owned()], Some("t")))),
        Step::Sets(Some("t"), Ok(page(["b".to_owned()], None))),
        Step::Identities(page([listing], None)),
    ]);
    let inventory = inventory.await.unwrap();
    assert_eq!(inventory.sets, ["a", "b"].map(str::to_owned).into());
    assert_eq!(inventory.identities.len(), 1);
}

#[tokio::test]
async fn a_listing_starts_again_when_its_token_is_refused() {
    let inventory = read(vec![
        Step::Sets(None, Ok(page(["gone".to_owned()], Some("t")))),
        Step::Sets(Some("t"), Err(ErrorKind::InvalidNextToken)),
        Step::Sets(None, Ok(page(["a".to_owned()], None))),
        Step::Identities(page([], None)),
    ]);
    assert_eq!(inventory.await.unwrap().sets, ["a".to_owned()].into());
}

#[tokio::test]
async fn a_listing_whose_tokens_are_refused_again_and_again_is_an_error() {
    let refused = || Step::Sets(None, Err(ErrorKind::InvalidNextToken));
    let error = read(vec![refused(), refused(), refused(), refused()])
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidNextToken);
}

#[tokio::test]
async fn tenants_are_listed_only_where_they_are_used() {
    let arn = super::super::arn::Arn::new("arn:aws:ses:eu-west-1:123456789012:tenant/t/tn-1");
    let tenant = TenantListing {
        name: "t".into(),
        id: "tn-1".into(),
        arn,
        sending: super::super::observed::SendingStatus::default(),
    };
    let mock = Mock::new([
        Step::Sets(None, Ok(page([], None))),
        Step::Identities(page([], None)),
        Step::Tenants(page([tenant], None)),
    ]);
    let budget = unlimited();
    let inventory = Inventory::list(Reader::new(&mock, &budget, Priority::Drift), Scope::WithTenants)
        .await
        .unwrap();
    assert_eq!(inventory.tenants.len(), 1);
}

#[test]
fn the_rotating_reader_visits_every_key_and_survives_that_its_cursor_goes() {
    let keys: BTreeSet<u8> = [1, 3, 5].into();
    assert_eq!(rotate(&keys, None), Some(&1));
    assert_eq!(rotate(&keys, Some(&1)), Some(&3));
    assert_eq!(rotate(&keys, Some(&4)), Some(&5));
    assert_eq!(rotate(&keys, Some(&5)), Some(&1));
    assert_eq!(rotate(&BTreeSet::<u8>::new(), Some(&1)), None);
}

#[test]
fn identities_are_grouped_by_the_set_that_is_their_default() {
    let record = |set: Option<&str>| IdentityRecord {
        verified: true,
        dkim_verified: true,
        mail_from: None,
        default_set: set.map(str::to_owned),
    };
    let records = [("a.example", Some("s")), ("b.example", Some("s")), ("c.example", None)];
    let records = records
        .into_iter()
        .map(|(name, set)| (Identity::new(name), record(set)))
        .collect();
    let grouped = defaults_by_set(&records);
    assert_eq!(grouped.len(), 1);
    assert_eq!(grouped["s"].len(), 2);
}
