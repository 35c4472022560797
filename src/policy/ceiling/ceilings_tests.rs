use proptest::prelude::*;

use super::*;

fn limits(texts: &[&str]) -> Limits {
    texts.iter().map(|text| text.parse::<Rate>().unwrap()).collect()
}

fn policy(recipients: &[&str], new: &[&str], each: &[&str]) -> PolicyLimits {
    PolicyLimits {
        recipients: limits(recipients),
        new_recipients: limits(new),
        per_recipient: limits(each),
    }
}

fn namespace(recipients: &[&str], new: &[&str], policies: &[(&str, PolicyLimits)]) -> NamespaceLimits {
    NamespaceLimits {
        recipients: limits(recipients),
        new_recipients: limits(new),
        policies: policies
            .iter()
            .map(|(name, limits)| ((*name).to_owned(), limits.clone()))
            .collect(),
    }
}

fn to(hashes: impl IntoIterator<Item = u64>) -> Vec<Mailed> {
    hashes
        .into_iter()
        .map(|hash| Mailed { hash, simulated: false })
        .collect()
}

fn at(seconds: u64) -> Moment {
    Moment(seconds * super::super::SECOND)
}

#[test]
fn a_message_takes_from_every_ceiling_or_from_none() {
    let two = namespace(
        &["10/h"],
        &[],
        &[("a", policy(&["4/h"], &[], &[])), ("b", policy(&[], &[], &[]))],
    );
    let mut ceilings = Ceilings::new(&two);
    let hindrance = ceilings.take(&["a", "b"], &to(0..5), at(0)).unwrap_err();
    assert_eq!(hindrance.wait, None, "it never fits");
    assert_eq!(hindrance.ceiling.policy.as_deref(), Some("a"));
    assert!(ceilings.usage(at(0)).all(|(_, _, used)| used == 0), "nothing was taken");
    ceilings.take(&["a", "b"], &to(0..4), at(0)).unwrap();
    ceilings.take(&["b"], &to(4..10), at(0)).unwrap();
    let hindrance = ceilings.take(&["b"], &to(10..11), at(0)).unwrap_err();
    assert_eq!(
        (hindrance.ceiling.policy, hindrance.rate),
        (None, "10/h".parse().unwrap())
    );
}

#[test]
fn new_recipients_are_those_that_ses_never_took_mail_for() {
    let mut ceilings = Ceilings::new(&namespace(&[], &["2/h"], &[]));
    ceilings.take(&[], &to([1, 2]), at(0)).unwrap();
    ceilings.learn([1]);
    assert!(ceilings.take(&[], &to([1]), at(0)).is_ok());
    let hindrance = ceilings.take(&[], &to([1, 3]), at(0)).unwrap_err();
    assert_eq!(hindrance.ceiling.of, CeilingOf::NewRecipients);
}

#[test]
fn what_was_not_mailed_is_given_back_to_every_ceiling() {
    let mut ceilings = Ceilings::new(&namespace(
        &["4/h"],
        &["4/h"],
        &[("a", policy(&["4/h"], &[], &["1/h"]))],
    ));
    let ticket = ceilings.take(&["a"], &to(0..4), at(0)).unwrap();
    assert!(ceilings.take(&["a"], &to([7]), at(1)).is_err());
    ceilings.give_back(&ticket, &to([2, 3]), at(1));
    assert!(ceilings.take(&["a"], &to([0]), at(1)).is_err(), "0 was mailed");
    assert!(ceilings.take(&["a"], &to([2, 3]), at(1)).is_ok());
}

#[test]
fn mail_to_the_simulator_counts_on_the_rate_a_second_alone() {
    let mut ceilings = Ceilings::new(&namespace(&["2/s", "2/d"], &["1/d"], &[]));
    let simulated = [Mailed {
        hash: 1,
        simulated: true,
    }; 2];
    for second in 0..10 {
        ceilings.take(&[], &simulated, at(second)).unwrap();
    }
    let hindrance = ceilings.take(&[], &simulated, at(9)).unwrap_err();
    assert_eq!(hindrance.rate, "2/s".parse().unwrap());
    assert!(ceilings.take(&[], &to([5]), at(20)).is_ok());
}

#[test]
fn a_policy_taken_away_and_put_back_knows_its_past() {
    let with = namespace(&[], &[], &[("a", policy(&["2/h"], &[], &["1/h"]))]);
    let mut ceilings = Ceilings::new(&with);
    ceilings.take(&["a"], &to([1, 2]), at(10)).unwrap();
    let without = namespace(&[], &[], &[]);
    let mut back = ceilings.clone().under(&without, at(20)).under(&with, at(30));
    assert!(back.take(&["a"], &to([3]), at(30)).is_err());
    let later = ceilings.under(&without, at(8_000));
    assert!(later.policies.is_empty(), "what counts no more is forgotten");
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Send {
        policies: Vec<&'static str>,
        recipients: Vec<u64>,
    },
    GiveBack(usize),
    Accept,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let policies = prop_oneof![Just(vec!["a"]), Just(vec!["b"]), Just(vec!["a", "b"])];
    let recipients = prop::collection::btree_set(0..30_u64, 1..6).prop_map(|set| set.into_iter().collect());
    let send = (policies, recipients).prop_map(|(policies, recipients)| Step::Send { policies, recipients });
    prop::collection::vec(
        prop_oneof![
            3 => (1..900_u64).prop_map(Step::Pass),
            6 => send,
            1 => (0..4_usize).prop_map(Step::GiveBack),
            1 => Just(Step::Accept),
            1 => Just(Step::Restart),
        ],
        1..120,
    )
}

/// The most that happened in any hour.
fn most_in_an_hour(times: &[(u64, u64)]) -> u64 {
    let from = times.iter().map(|(from, _)| {
        let within = times.iter().filter(|(time, _)| time >= from && time - from <= 3_600);
        within.map(|(_, count)| count).sum()
    });
    from.max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_hour_holds_more_than_any_ceiling_of_any_kind(history in steps()) {
        let limits = namespace(&["12/h"], &["6/h"], &[
            ("a", policy(&["8/h"], &["5/h"], &["2/h"])),
            ("b", policy(&[], &["4/h"], &["3/h"])),
        ]);
        let mut ceilings = Ceilings::new(&limits);
        let mut now = 1_000;
        // When, under which policies, to whom, and who of them was new.
        let mut sent: Vec<Ticket> = Vec::new();
        for step in &history {
            match step {
                Step::Pass(seconds) => now += seconds,
                Step::Send { policies, recipients } => {
                    sent.extend(ceilings.take(policies, &to(recipients.iter().copied()), at(now)));
                }
                Step::GiveBack(count) => if let Some(last) = sent.last_mut().filter(|last| last.at == at(now)) {
                    let count = (*count).min(last.recipients.len());
                    let back: Vec<Mailed> = last.recipients.split_off(last.recipients.len() - count);
                    ceilings.give_back(last, &back, at(now));
                    last.new.retain(|hash| !back.iter().any(|mailed| mailed.hash == *hash));
                },
                Step::Accept => if let Some(last) = sent.last() {
                    ceilings.learn(last.recipients.iter().map(|mailed| mailed.hash));
                },
                Step::Restart => {
                    let kept = serde_json::to_string(&ceilings).unwrap();
                    ceilings = serde_json::from_str::<Ceilings>(&kept).unwrap().not_after(at(now)).under(&limits, at(now));
                }
            }
        }
        let most = |policy: Option<&str>, count: &dyn Fn(&Ticket) -> u64| {
            let of = sent.iter().filter(|it| policy.is_none_or(|name| it.policies.iter().any(|it| it == name)));
            let times: Vec<(u64, u64)> = of.map(|it| (it.at.0 / super::super::SECOND, count(it))).collect();
            most_in_an_hour(&times)
        };
        let all = |ticket: &Ticket| ticket.recipients.len() as u64;
        let new = |ticket: &Ticket| ticket.new.len() as u64;
        prop_assert!(most(None, &all) <= 12 && most(None, &new) <= 6);
        prop_assert!(most(Some("a"), &all) <= 8 && most(Some("a"), &new) <= 5 && most(Some("b"), &new) <= 4);
        for hash in 0..30 {
            let one = |ticket: &Ticket| ticket.recipients.iter().filter(|mailed| mailed.hash == hash).count() as u64;
            prop_assert!(most(Some("a"), &one) <= 2 && most(Some("b"), &one) <= 3);
        }
    }
}
