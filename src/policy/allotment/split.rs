//! How one ceiling is split among pods.

/// Of what there is, one part in so many is granted to nobody who has a share: a newcomer need not wait until others are
/// seen to have shrunk.
const RESERVE: u64 = 10;

/// Of what can be granted, one part in so many is everybody's alike, wanted or not: the first message of a pod that was
/// quiet need not wait. The rest follows demand.
const STANDING: u64 = 4;

/// A share is left as it is unless it would change by more than one part in so many.
const LEAST_CHANGE: u64 = 5;

/// One pod and one ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// The share as it was written last.
    pub share: u64,
    /// What it counts as: see the module's `C`.
    pub counts: u64,
    /// What counts of it for a period however small its share becomes; nothing of a rate a second.
    pub used: u64,
    /// What it would like.
    pub wanted: u64,
    /// The largest of its messages that waits; nothing of a rate a second.
    pub largest: u64,
    /// Nothing was heard of it now: it is given no more, and nothing is gained by giving it less.
    pub silent: bool,
}

/// The shares, in the order of the claims, for a ceiling of which so much counts for pods that are gone. With these the sum
/// of what counts is within the ceiling, or no one's share is larger than before.
pub(super) fn split(ceiling: u64, spent: u64, claims: &[Claim]) -> Vec<u64> {
    let room = ceiling.saturating_sub(spent);
    let everyone = claims.len() as u64;
    let reserve = (room / RESERVE).min(room.saturating_sub(everyone));
    let counted = sum(claims.iter().map(|claim| claim.counts));
    let targets = targets(room - reserve, claims);
    let mut shares: Vec<u64> = claims.iter().map(|claim| claim.share).collect();

    // More is written than there is: the ceiling was lowered, and what is little counts too.
    let over = sum(shares.iter().copied()) > room;
    for ((share, target), claim) in shares.iter_mut().zip(&targets).zip(claims) {
        let less = *target < *share && (over || is_change(*share, *target)) && !claim.silent;
        if less {
            *share = *target;
        }
    }
    if counted > room {
        return shares;
    }

    let free = room - counted;
    make_room(free.saturating_sub(reserve), &targets, claims, &mut shares);
    grow(free, reserve, &targets, claims, &mut shares);
    shares
}

/// Where those who must grow will not find enough, those who have more than they should give it up, although it is little.
fn make_room(free: u64, targets: &[u64], claims: &[Claim], shares: &mut [u64]) {
    let grows = |(claim, target): &(&Claim, &u64)| is_growth(claim.share, **target) && !claim.silent;
    let missing = claims.iter().zip(targets).filter(grows);
    let missing = missing.map(|(claim, target)| target.saturating_sub(claim.counts));
    let missing = sum(missing);
    let coming = |(claim, share): (&Claim, &u64)| claim.counts.saturating_sub((*share).max(claim.used));
    let mut there = free.saturating_add(sum(claims.iter().zip(shares.iter()).map(coming)));
    let excess = |index: usize, shares: &[u64]| match (claims[index].silent, shares[index]) {
        (false, share) => share.saturating_sub(targets[index]),
        (true, _) => 0,
    };
    let mut order: Vec<usize> = (0..claims.len()).filter(|&index| excess(index, shares) > 0).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(excess(index, shares)));
    for index in order {
        if there >= missing {
            return;
        }
        there = there.saturating_add(excess(index, shares));
        shares[index] = targets[index];
    }
}

/// Gives what is free: one to each who has nothing, then more to them, and to others of what is not reserved.
fn grow(mut free: u64, reserve: u64, targets: &[u64], claims: &[Claim], shares: &mut [u64]) {
    let grows = |index: &usize| is_growth(shares[*index], targets[*index]) && !claims[*index].silent;
    let (mut new, mut old): (Vec<usize>, Vec<usize>) =
        (0..claims.len()).filter(grows).partition(|&index| shares[index] == 0);
    new.sort_by_key(|&index| std::cmp::Reverse(claims[index].wanted));
    let lacks = |index: usize| targets[index].saturating_sub(claims[index].counts);
    for &index in &new {
        // Up to what it counts as anyway nothing is needed.
        let first = claims[index].counts.min(targets[index]);
        shares[index] = if first == 0 { free.min(1) } else { first };
        free -= shares[index].saturating_sub(claims[index].counts);
    }
    for (these, kept) in [(&mut new, 0), (&mut old, reserve)] {
        these.sort_by_key(|&index| lacks(index));
        let mut left = these.len() as u64;
        for &index in these.iter() {
            let counts = claims[index].counts.max(shares[index]);
            let most = free.saturating_sub(kept) / left.max(1);
            let more = targets[index].saturating_sub(counts).min(most);
            let share = counts.min(targets[index]) + more;
            left = left.saturating_sub(1);
            if is_growth(shares[index], share) {
                shares[index] = share;
                free -= more;
            }
        }
    }
}

/// What each should have: what counts of it anyway, then as much as it wants, the least satisfied first.
fn targets(pool: u64, claims: &[Claim]) -> Vec<u64> {
    let silent = sum(claims.iter().filter(|claim| claim.silent).map(|claim| claim.counts));
    let pool = pool.saturating_sub(silent);
    let heard: Vec<usize> = (0..claims.len()).filter(|&index| !claims[index].silent).collect();
    let many = heard.len() as u64;
    let standing = match pool {
        pool if many == 0 || pool < many => 0,
        pool => (pool / STANDING / many).max(1),
    };
    let least = least(pool, standing, &heard, claims);
    let wanted = |index: usize| claims[index].wanted.max(standing).max(least[index]);

    let mut targets: Vec<u64> = claims.iter().map(|claim| claim.counts.min(claim.share)).collect();
    let total = sum(heard.iter().map(|&index| wanted(index)));
    // Who has a share keeps it where not all can have one.
    let mut order = heard.clone();
    order.sort_by_key(|&index| std::cmp::Reverse(claims[index].share));
    if total >= pool {
        let at = |index: usize, level: u64| least[index].max(level.min(wanted(index)));
        fill(pool, &order, at, &mut targets);
    } else {
        let at = |index: usize, level: u64| wanted(index).max(level);
        fill(pool, &order, at, &mut targets);
    }
    targets
}

/// What each must have at least: what counts of it anyway, and room for its largest message, as far as there is. Where
/// messages are larger than an equal part, none would ever go; so one pod after the other is given room for one.
fn least(pool: u64, standing: u64, heard: &[usize], claims: &[Claim]) -> Vec<u64> {
    let mut least: Vec<u64> = claims.iter().map(|claim| claim.used).collect();
    if sum(heard.iter().map(|&index| least[index])) > pool {
        return vec![0; claims.len()];
    }
    let mut waiting: Vec<usize> = heard
        .iter()
        .copied()
        .filter(|&index| claims[index].largest > 0)
        .collect();
    waiting.sort_by_key(|&index| std::cmp::Reverse(claims[index].share));
    let mut total = sum(heard.iter().map(|&index| least[index].max(standing)));
    for index in waiting {
        let with_room = claims[index].used.saturating_add(claims[index].largest);
        let more = with_room.saturating_sub(least[index].max(standing));
        if total.saturating_add(more) <= pool {
            total += more;
            least[index] = with_room;
        }
    }
    least
}

/// Fills to the highest level at which the sum of `at` is within the pool; what is left goes by ones to those whom the next
/// level would give more.
fn fill(pool: u64, order: &[usize], at: impl Fn(usize, u64) -> u64, targets: &mut [u64]) {
    let fits = |level: u64| sum(order.iter().map(|&index| at(index, level))) <= pool;
    let (mut low, mut high) = (0, pool);
    while low < high {
        let middle = high - (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let mut left = pool.saturating_sub(sum(order.iter().map(|&index| at(index, low))));
    for &index in order {
        targets[index] = at(index, low);
        if left > 0 && at(index, low.saturating_add(1)) > targets[index] {
            targets[index] += 1;
            left -= 1;
        }
    }
}

/// Whether a share would change so much that it is worth a patch.
fn is_change(share: u64, target: u64) -> bool {
    let by = share.abs_diff(target);
    (share == 0) != (target == 0) || by.saturating_mul(LEAST_CHANGE) > share
}

fn is_growth(share: u64, target: u64) -> bool {
    target > share && is_change(share, target)
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}
