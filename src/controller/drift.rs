//! The rotating reader: one policy after the other is compared with SES, option by option.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{context::Context, world::Key};
use crate::ses::inventory::rotate;

/// Reads one policy of each account every so often: with 300 policies each is compared every two and a half hours at
/// one in 30 seconds, for a fifteenth of SES's one call a second.
pub async fn rotate_reads(context: Arc<Context>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cursors = std::collections::HashMap::<String, Key>::new();
    loop {
        ticks.tick().await;
        for account in context.accounts.all() {
            let policies = programmed_policies(&context, &account.name);
            if let Some(next) = rotate(&policies, cursors.get(&account.name)).cloned() {
                context.doubt(&next);
                context.queues.policies.push(next.clone());
                cursors.insert(account.name.clone(), next);
            }
        }
    }
}

fn programmed_policies(context: &Context, account: &str) -> BTreeSet<Key> {
    let of_account = |key: &Key| {
        let policy = context.world.policies.get(key);
        let status = policy.as_ref().and_then(|policy| policy.readable()?.status.as_ref());
        status.is_some_and(|status| {
            status.account.as_deref() == Some(account) && status.ses.as_ref().is_some_and(|ses| !ses.applied.is_empty())
        })
    };
    context.world.policies.keys().into_iter().filter(of_account).collect()
}
