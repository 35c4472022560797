//! Event destinations of a configuration set.

use serde::{Deserialize, Serialize};

use super::Account;
use super::names::check_name;
use super::shapes::{DimensionValueSource, EventType};
use crate::simulator::wire::ApiError;

/// Event destinations of one configuration set (quotas page).
const MAX_DESTINATIONS: usize = 10;
/// Dimensions of one `CloudWatch` destination (quotas page).
const MAX_DIMENSIONS: usize = 10;

/// `EventDestinationDefinition`: where events of which types go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventDestination {
    /// Whether events are published. Absent means not.
    #[serde(default)]
    pub enabled: bool,
    /// The types wanted; at least one.
    #[serde(default)]
    pub matching_event_types: Vec<EventType>,
    /// To Firehose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinesis_firehose_destination: Option<FirehoseDestination>,
    /// To `CloudWatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_watch_destination: Option<CloudWatchDestination>,
    /// To SNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sns_destination: Option<SnsDestination>,
    /// To `EventBridge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bridge_destination: Option<EventBridgeDestination>,
    /// To Pinpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinpoint_destination: Option<PinpointDestination>,
}

/// `KinesisFirehoseDestination`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FirehoseDestination {
    /// The role SES assumes.
    pub iam_role_arn: String,
    /// The stream.
    pub delivery_stream_arn: String,
}

/// `CloudWatchDestination`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CloudWatchDestination {
    /// One to ten dimensions.
    pub dimension_configurations: Vec<CloudWatchDimension>,
}

/// `CloudWatchDimensionConfiguration`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CloudWatchDimension {
    /// The dimension.
    pub dimension_name: String,
    /// Where its value comes from.
    pub dimension_value_source: DimensionValueSource,
    /// The value where there is none.
    pub default_dimension_value: String,
}

/// `SnsDestination`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SnsDestination {
    /// A standard topic.
    pub topic_arn: String,
}

/// `EventBridgeDestination`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EventBridgeDestination {
    /// The account's default bus.
    pub event_bus_arn: String,
}

/// `PinpointDestination`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PinpointDestination {
    /// The application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_arn: Option<String>,
}

impl Account {
    /// `CreateConfigurationSetEventDestination`.
    pub fn create_destination(&mut self, set: &str, name: &str, definition: EventDestination) -> Result<(), ApiError> {
        check_name("EventDestinationName", name)?;
        let destinations = &self.set(set)?.destinations;
        if destinations.contains_key(name) {
            return Err(ApiError::already_exists(format!(
                "An event destination with name {name} already exists for configuration set {set}."
            )));
        }
        if destinations.len() >= MAX_DESTINATIONS {
            return Err(ApiError::limit_exceeded(format!(
                "Configuration set {set} has {MAX_DESTINATIONS} event destinations, which is the most it may have."
            )));
        }
        self.check_destination(&definition)?;
        self.set_mut(set)?.destinations.insert(name.to_owned(), definition);
        Ok(())
    }

    /// `UpdateConfigurationSetEventDestination`: replaces the whole definition.
    pub fn update_destination(&mut self, set: &str, name: &str, definition: EventDestination) -> Result<(), ApiError> {
        self.check_destination(&definition)?;
        let existing = self
            .set_mut(set)?
            .destinations
            .get_mut(name)
            .ok_or_else(|| no_destination(set, name))?;
        *existing = definition;
        Ok(())
    }

    /// `DeleteConfigurationSetEventDestination`.
    pub fn delete_destination(&mut self, set: &str, name: &str) -> Result<(), ApiError> {
        self.set_mut(set)?
            .destinations
            .remove(name)
            .map(|_| ())
            .ok_or_else(|| no_destination(set, name))
    }

    fn check_destination(&self, definition: &EventDestination) -> Result<(), ApiError> {
        let EventDestination {
            enabled: _,
            matching_event_types,
            kinesis_firehose_destination,
            cloud_watch_destination,
            sns_destination,
            event_bridge_destination,
            pinpoint_destination,
        } = definition;
        let kinds = usize::from(kinesis_firehose_destination.is_some())
            + usize::from(cloud_watch_destination.is_some())
            + usize::from(sns_destination.is_some())
            + usize::from(event_bridge_destination.is_some())
            + usize::from(pinpoint_destination.is_some());
        if kinds != 1 {
            return Err(ApiError::bad_request(format!(
                "An event destination must have exactly one destination, it has {kinds}."
            )));
        }
        if matching_event_types.is_empty() {
            return Err(ApiError::bad_request(
                "MatchingEventTypes must have at least one event type.",
            ));
        }
        if let Some(SnsDestination { topic_arn }) = sns_destination {
            self.check_topic(topic_arn)?;
        }
        if let Some(EventBridgeDestination { event_bus_arn }) = event_bridge_destination {
            let default_bus = format!(
                "arn:aws:events:{}:{}:event-bus/default",
                self.owner.region, self.owner.account_id
            );
            if *event_bus_arn != default_bus {
                return Err(ApiError::bad_request(format!(
                    "EventBusArn must be the default event bus {default_bus}, it is {event_bus_arn}."
                )));
            }
        }
        if let Some(CloudWatchDestination {
            dimension_configurations,
        }) = cloud_watch_destination
            && !(1..=MAX_DIMENSIONS).contains(&dimension_configurations.len())
        {
            return Err(ApiError::bad_request(format!(
                "A CloudWatch destination must have 1 to {MAX_DIMENSIONS} dimensions, it has {}.",
                dimension_configurations.len()
            )));
        }
        Ok(())
    }

    fn check_topic(&self, topic_arn: &str) -> Result<(), ApiError> {
        let here = format!("arn:aws:sns:{}:", self.owner.region);
        let named = topic_arn.strip_prefix(&here).and_then(|rest| rest.split_once(':'));
        match named {
            Some((account, topic)) if !account.is_empty() && !topic.is_empty() && !topic.contains(':') => {}
            _ => {
                return Err(ApiError::bad_request(format!(
                    "Invalid SNS topic <{topic_arn}>: not a topic of {here}…"
                )));
            }
        }
        // Topic names are case-sensitive, and SNS asks for exactly this ending.
        if topic_arn.strip_suffix(".fifo").is_some() {
            return Err(ApiError::bad_request(format!(
                "SNS topic <{topic_arn}> is a FIFO topic, which is not supported."
            )));
        }
        Ok(())
    }
}

fn no_destination(set: &str, name: &str) -> ApiError {
    ApiError::not_found(format!(
        "An event destination with name {name} does not exist for configuration set {set}."
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::{Value, json};

    use super::super::fixture::account;
    use super::super::{SetOptions, Tags};
    use super::*;
    use crate::simulator::wire::Code;

    const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:feedback";

    fn with_set() -> Account {
        let mut account = account();
        account
            .create_set("team", SetOptions::default(), Tags::default())
            .unwrap();
        account
    }

    fn definition(json: Value) -> EventDestination {
        serde_json::from_value(json).unwrap()
    }

    fn sns() -> EventDestination {
        definition(json!({"Enabled": true, "MatchingEventTypes": ["BOUNCE"], "SnsDestination": {"TopicArn": TOPIC}}))
    }

    #[test]
    fn what_is_refused_in_a_definition() {
        let bus = |bus: &str| format!("arn:aws:events:us-east-1:111122223333:event-bus/{bus}");
        let dimension =
            json!({"DimensionName": "d", "DimensionValueSource": "MESSAGE_TAG", "DefaultDimensionValue": "x"});
        let cases = [
            ("no kind", json!({"MatchingEventTypes": ["BOUNCE"]})),
            (
                "two kinds",
                json!({"MatchingEventTypes": ["BOUNCE"], "SnsDestination": {"TopicArn": TOPIC},
                       "EventBridgeDestination": {"EventBusArn": bus("default")}}),
            ),
            (
                "no event type",
                json!({"MatchingEventTypes": [], "SnsDestination": {"TopicArn": TOPIC}}),
            ),
            (
                "a FIFO topic",
                json!({"MatchingEventTypes": ["BOUNCE"], "SnsDestination": {"TopicArn": format!("{TOPIC}.fifo")}}),
            ),
            (
                "not a topic",
                json!({"MatchingEventTypes": ["BOUNCE"], "SnsDestination": {"TopicArn": "feedback"}}),
            ),
            (
                "another bus",
                json!({"MatchingEventTypes": ["BOUNCE"], "EventBridgeDestination": {"EventBusArn": bus("own")}}),
            ),
            (
                "eleven dimensions",
                json!({"MatchingEventTypes": ["BOUNCE"],
                       "CloudWatchDestination": {"DimensionConfigurations": vec![dimension; 11]}}),
            ),
        ];
        for (case, json) in cases {
            let mut account = with_set();
            assert_eq!(
                account
                    .create_destination("team", "d", definition(json))
                    .unwrap_err()
                    .code,
                Code::BadRequest,
                "{case}"
            );
            assert!(account.set("team").unwrap().destinations.is_empty(), "{case}");
        }
    }

    #[test]
    fn the_default_bus_is_accepted() {
        let definition = definition(json!({"MatchingEventTypes": ["SEND"], "EventBridgeDestination":
            {"EventBusArn": "arn:aws:events:us-east-1:111122223333:event-bus/default"}}));
        assert_eq!(with_set().create_destination("team", "d", definition), Ok(()));
    }

    #[test]
    fn a_name_taken_is_refused_with_the_observed_text() {
        let mut account = with_set();
        account.create_destination("team", "feedback", sns()).unwrap();
        let text = "An event destination with name feedback already exists for configuration set team.";
        assert_eq!(
            account.create_destination("team", "feedback", sns()),
            Err(ApiError::already_exists(text))
        );
    }

    #[test]
    fn the_eleventh_destination_is_refused() {
        let mut account = with_set();
        for number in 0..MAX_DESTINATIONS {
            account
                .create_destination("team", &format!("d{number}"), sns())
                .unwrap();
        }
        assert_eq!(
            account.create_destination("team", "more", sns()).unwrap_err().code,
            Code::LimitExceeded
        );
    }

    #[test]
    fn an_update_replaces_the_whole_definition() {
        let mut account = with_set();
        account.create_destination("team", "feedback", sns()).unwrap();
        let without_enabled =
            definition(json!({"MatchingEventTypes": ["COMPLAINT"], "SnsDestination": {"TopicArn": TOPIC}}));
        account.update_destination("team", "feedback", without_enabled).unwrap();
        let kept = &account.set("team").unwrap().destinations["feedback"];
        assert_eq!(
            (kept.enabled, kept.matching_event_types.as_slice()),
            (false, [EventType::Complaint].as_slice())
        );
    }

    #[test]
    fn a_destination_that_is_not_there_is_not_found() {
        let mut account = with_set();
        assert_eq!(
            account.update_destination("team", "none", sns()).unwrap_err().code,
            Code::NotFound
        );
        assert_eq!(
            account.delete_destination("team", "none").unwrap_err().code,
            Code::NotFound
        );
        assert_eq!(
            account.create_destination("none", "d", sns()).unwrap_err().code,
            Code::NotFound
        );
    }
}
