//! Whether the realm is followed, and whether somebody has to decide.

use std::time::Duration;

use super::finding::{Checked, Verdict};
use super::{Examination, left};
use crate::clock::Timestamp;
use crate::store::Progress;

/// So many intervals may pass before something is late: a poll or a sweep takes its time, too.
const INTERVALS: u32 = 3;
/// A sign of life is written every few seconds, however often events are read.
const SHORTEST: Duration = Duration::from_secs(30);

pub(super) async fn follows(examination: &Examination) -> Checked {
    let Some(progress) = left(&examination.store)?.inspect_progress().await? else {
        return Ok(Verdict::ok("`hallpass serve` brings the tables up to date first"));
    };
    let (now, settings) = (examination.clock.now(), examination.settings.lifecycle);
    let Progress { polled_at: Some(polled_at), swept_at, .. } = progress else {
        return Ok(Verdict::ok("no `hallpass serve` has followed the realm yet"));
    };
    let (poll, sweep) = (settings.poll_interval, settings.sweep_interval);
    let silent = age(polled_at, now);
    if silent > SHORTEST.max(poll * INTERVALS) {
        return Ok(Verdict::warn(
            format!("the realm's events were last dealt with {} ago", text(silent)),
            "start `hallpass serve`, or look in its log for `events cannot be followed`",
        ));
    }
    match swept_at.map(|swept_at| age(swept_at, now)) {
        Some(old) if old > sweep * INTERVALS => Ok(Verdict::warn(
            format!("the last sweep of all owners began {} ago", text(old)),
            "look in the log of `hallpass serve` for `owners of tokens cannot be swept`; with very many owners a sweep \
             takes longer than `lifecycle.sweep_interval`",
        )),
        Some(old) => Ok(Verdict::ok(format!(
            "events were dealt with {} ago, all owners looked at {} ago",
            text(silent),
            text(old)
        ))),
        None => Ok(Verdict::ok("events are dealt with, the first sweep is under way")),
    }
}

pub(super) async fn brake(examination: &Examination) -> Checked {
    match left(&examination.store)?.inspect_progress().await? {
        Some(Progress { held_owners: held @ 1.., .. }) => Ok(Verdict::fail(
            format!("the tokens of {held} owners are suspended until somebody decides"),
            "look at `hallpass admin tokens held`; then `hallpass admin tokens confirm` ends them, \
             `hallpass admin tokens release` lets them live on",
        )),
        _ => Ok(Verdict::ok("nothing waits for a decision")),
    }
}

pub(super) async fn readable_owners(examination: &Examination) -> Checked {
    match left(&examination.store)?.inspect_unreadable_owners().await? {
        Some(unreadable @ 1..) => Ok(Verdict::fail(
            format!(
                "the tokens of {unreadable} owners are suspended: Keycloak answers, but not about these owners"
            ),
            "look for `owner_unreadable` in the log of `hallpass serve`: it names the owners, and why they cannot be read; \
             their tokens are good again as soon as they can",
        )),
        _ => Ok(Verdict::ok("nobody is suspended because they cannot be read")),
    }
}

fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(now.millis().saturating_sub(at.millis()).try_into().unwrap_or_default())
}

fn text(age: Duration) -> String {
    humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
}
