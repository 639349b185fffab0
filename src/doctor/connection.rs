//! Keycloak: it answers, is the realm of the settings, lets us in, and has the same time.

use super::finding::{Checked, Verdict};
use super::{Examination, left};
use crate::clock::Timestamp;
use crate::keycloak::Login;

/// Tokens carry whole seconds, so that less cannot be told apart from the way there and back.
const TOLERATED_MILLIS: i64 = 5_000;
/// `iat` and `nbf` may be this far in the future (`verify`): beyond it, good tokens are refused.
const HARMFUL_MILLIS: i64 = 30_000;

/// A login, and when it was asked for and answered by our own clock.
pub(super) struct TimedLogin {
    pub(super) login: Login,
    asked_at: Timestamp,
    answered_at: Timestamp,
}

pub(super) async fn answers(examination: &Examination) -> Checked {
    let realm = &examination.settings.keycloak.realm;
    match examination.keycloak.find_discovery().await? {
        Some(discovery) => {
            let _ = examination.discovery.set(discovery);
            Ok(Verdict::ok(format!("the realm answers at {}", realm.internal_url())))
        }
        None => Ok(Verdict::fail(
            format!("there is no realm at {}", realm.internal_url()),
            "mend `keycloak.url` or `keycloak.realm`",
        )),
    }
}

pub(super) async fn issuer(examination: &Examination) -> Checked {
    let (found, wanted) =
        (&left(&examination.discovery)?.issuer, examination.settings.keycloak.realm.issuer());
    if *found == wanted {
        return Ok(Verdict::ok(format!("the realm calls itself {wanted}")));
    }
    Ok(Verdict::fail(
        format!("the realm calls itself {found}, the settings say {wanted}"),
        "set `keycloak.public_url` to how users reach Keycloak, and Keycloak's `hostname` to the same",
    ))
}

pub(super) async fn login(examination: &Examination) -> Checked {
    let asked_at = examination.clock.now();
    let login = examination.keycloak.inspect_login().await?;
    let answered_at = examination.clock.now();
    let _ = examination.login.set(TimedLogin { login, asked_at, answered_at });
    let client_id = &examination.settings.keycloak.client_id;
    Ok(Verdict::ok(format!("the service account of {client_id} logs in")))
}

/// Keycloak sends no `Date`; a token that it just made says its time.
pub(super) async fn clock(examination: &Examination) -> Checked {
    let TimedLogin { login, asked_at, answered_at } = left(&examination.login)?;
    let skew = skew_millis(*asked_at, *answered_at, login.issued_at);
    let advice = "synchronise the clocks of this machine and of Keycloak, with NTP for example";
    let detail = format!("this machine's clock is {} ms {}", skew.abs(), {
        if skew > 0 { "ahead of Keycloak's" } else { "behind Keycloak's" }
    });
    Ok(match skew.abs() {
        0..1000 => Verdict::ok("the clocks agree"),
        1000..=TOLERATED_MILLIS => Verdict::ok(detail),
        millis if millis <= HARMFUL_MILLIS => Verdict::warn(detail, advice),
        _ => Verdict::fail(detail, advice),
    })
}

/// How far we are ahead of Keycloak at least; 0 where the second of `issued_at` and the time of the call touch.
fn skew_millis(asked_at: Timestamp, answered_at: Timestamp, issued_at: Timestamp) -> i64 {
    let (earliest, latest) = (issued_at.millis(), issued_at.millis().saturating_add(999));
    if asked_at.millis() > latest {
        asked_at.millis() - latest
    } else if answered_at.millis() < earliest {
        answered_at.millis() - earliest
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_what_neither_the_whole_second_nor_the_way_explains() {
        let skew = |asked, answered| {
            skew_millis(
                Timestamp::from_millis(asked),
                Timestamp::from_millis(answered),
                Timestamp::from_seconds(100),
            )
        };
        assert_eq!(skew(100_400, 100_450), 0);
        assert_eq!(skew(99_990, 100_010), 0);
        assert_eq!(skew(100_990, 101_200), 0);
        assert_eq!(skew(90_000, 110_000), 0);
        assert_eq!(skew(107_999, 108_100), 7_000);
        assert_eq!(skew(91_900, 92_000), -8_000);
    }
}
