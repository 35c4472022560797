//! Whose word an effective value is.

use std::{collections::BTreeSet, fmt};

use super::Meet;

/// Who has an opinion on a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A policy of the namespace.
    MailPolicy(String),
    /// A guardrail that selects the namespace.
    MailGuardrail(String),
    /// The account the namespace sends with.
    SendingAccount(String),
    /// An open window.
    MailWindow(String),
    /// An open hold.
    MailHold(String),
    /// The policy's spec as it was accepted last: the present one cannot be compiled.
    LastGood(String),
    /// Nobody said anything: what absence means.
    Default,
    /// The policy is being deleted.
    Deletion,
    /// What is needed is missing, unreadable or contradictory.
    Closed,
    /// SES does not stand as compiled yet.
    Ses,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MailPolicy(name) => write!(f, "MailPolicy/{name}"),
            Self::MailGuardrail(name) => write!(f, "MailGuardrail/{name}"),
            Self::SendingAccount(name) => write!(f, "SendingAccount/{name}"),
            Self::MailWindow(name) => write!(f, "MailWindow/{name}"),
            Self::MailHold(name) => write!(f, "MailHold/{name}"),
            Self::LastGood(name) => write!(f, "last good MailPolicy/{name}"),
            Self::Default => f.write_str("default"),
            Self::Deletion => f.write_str("deletion"),
            Self::Closed => f.write_str("closed"),
            Self::Ses => f.write_str("SES as it stands"),
        }
    }
}

/// A value and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Those whose opinion made it so.
    pub from: BTreeSet<Source>,
}

impl<T> Sourced<T> {
    /// A value by one source.
    pub fn new(value: T, source: Source) -> Self {
        Self {
            value,
            from: BTreeSet::from([source]),
        }
    }

    /// The sources as they are shown.
    pub fn from_words(&self) -> Vec<String> {
        self.from.iter().map(ToString::to_string).collect()
    }
}

impl<T: Meet + PartialEq + Clone> Sourced<T> {
    /// The meet of all opinions; `None` where there is none. Its sources are those whose own opinion is the result, or
    /// where nobody's is (an intersection), all that have one.
    pub fn meet_all(opinions: impl IntoIterator<Item = Self>) -> Option<Self> {
        let opinions: Vec<Self> = opinions.into_iter().collect();
        let value = opinions
            .iter()
            .map(|opinion| opinion.value.clone())
            .reduce(|one, two| one.meet(&two))?;
        let deciding: BTreeSet<Source> = opinions
            .iter()
            .filter(|opinion| opinion.value == value)
            .flat_map(|opinion| opinion.from.iter().cloned())
            .collect();
        let from = if deciding.is_empty() {
            opinions.into_iter().flat_map(|opinion| opinion.from).collect()
        } else {
            deciding
        };
        Some(Self { value, from })
    }

    /// The meet with one more opinion.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let value = self.value.meet(&other.value);
        let from = match (self.value == value, other.value == value) {
            (true, false) => self.from,
            (false, true) => other.from,
            (true, true) | (false, false) => self.from.into_iter().chain(other.from).collect(),
        };
        Self { value, from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Mode;

    fn guardrail(name: &str) -> Source {
        Source::MailGuardrail(name.to_owned())
    }

    #[test]
    fn no_opinion_has_no_meet() {
        assert_eq!(Sourced::<Mode>::meet_all([]), None);
    }

    #[test]
    fn a_value_names_those_whose_opinion_it_is() {
        let opinions = [("a", Mode::Live), ("b", Mode::Capture), ("c", Mode::Capture)];
        let met = Sourced::meet_all(opinions.map(|(name, mode)| Sourced::new(mode, guardrail(name)))).unwrap();
        assert_eq!(
            met,
            Sourced {
                value: Mode::Capture,
                from: BTreeSet::from([guardrail("b"), guardrail("c")])
            }
        );
    }

    #[test]
    fn an_intersection_that_is_nobodys_own_value_names_all() {
        let set = |items: &[u8]| items.iter().copied().collect::<BTreeSet<u8>>();
        let met = Sourced::new(set(&[1, 2]), guardrail("a")).and(Sourced::new(set(&[2, 3]), guardrail("b")));
        assert_eq!(
            met,
            Sourced {
                value: set(&[2]),
                from: BTreeSet::from([guardrail("a"), guardrail("b")])
            }
        );
    }
}
