//! Whether Keycloak lets us do our work: the login of the service account, and its three permissions.
//!
//! What is refused shows when the service token is renewed, which has the permissions in it: until then mints work, too.
//! Readiness and the metrics ask. The look is shared and good for some seconds: a crowd costs Keycloak four small requests.

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::keycloak::{Keycloak, KeycloakError};
use crate::telemetry::{Family, Metrics};

const RIGHTS: Family = Family {
    name: "hallpass_keycloak_right",
    help: "Whether Keycloak lets Hallpass log in, and grants each permission that it needs: 1 or 0; NaN where it does not say.",
};
/// How long a look is good.
const FRESH: Duration = Duration::from_secs(5);
/// How long whoever asks waits for a look; it goes on without them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that Keycloak has to grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// That the client logs in.
    Login,
    /// The role `manage-clients`.
    ManageClients,
    /// The role `view-users`.
    ViewUsers,
    /// The role `view-events`.
    ViewEvents,
}

impl Right {
    /// All of them; each needs those before.
    pub const ALL: [Self; 4] =
        [Self::Login, Self::ManageClients, Self::ViewUsers, Self::ViewEvents];

    /// The word: the role's, where it is one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::ManageClients => "manage-clients",
            Self::ViewUsers => "view-users",
            Self::ViewEvents => "view-events",
        }
    }
}

/// What Keycloak grants. Clones share the look.
#[derive(Clone)]
pub struct Rights {
    keycloak: Keycloak,
    client_id: Arc<str>,
    look: Arc<Mutex<Option<Instant>>>,
    refused: Arc<std::sync::Mutex<Vec<Right>>>,
    gauges: Arc<[Gauge]>,
}

impl Rights {
    /// Of this client's service account; nothing is known yet.
    #[must_use]
    pub fn new(keycloak: Keycloak, client_id: &str, metrics: &Metrics) -> Self {
        let gauges = Right::ALL.map(|right| {
            let gauge = metrics.gauge(RIGHTS, &[("right", right.name())]);
            gauge.set(f64::NAN);
            gauge
        });
        let (look, refused) = (Arc::default(), Arc::default());
        Self { keycloak, client_id: client_id.into(), look, refused, gauges: gauges.into() }
    }

    /// What is refused, as of a moment ago.
    pub async fn refused(&self) -> Vec<Right> {
        let rights = self.clone();
        // A task of its own: a look that was waited for too long is good for the next who asks.
        let look = tokio::spawn(async move { rights.look_again().await });
        let _ = timeout(PATIENCE, look).await;
        self.known().clone()
    }

    async fn look_again(&self) {
        // Somebody looks already: who asks meanwhile has what was said before.
        let Ok(mut look) = self.look.try_lock() else { return };
        if look.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let mut refused = Vec::new();
        let outcome = self.try_each(&mut refused).await;
        for (right, gauge) in Right::ALL.into_iter().zip(&*self.gauges) {
            let is_known = outcome.is_ok() && !refused.contains(&Right::Login);
            gauge.set(match (refused.contains(&right), is_known) {
                (true, _) => 0.0,
                (false, true) => 1.0,
                (false, false) => f64::NAN,
            });
        }
        if !refused.is_empty() {
            // So that it shows when it is mended, and not when the token ends.
            self.keycloak.forget_login().await;
        }
        // Keycloak away is not "refused": what it said last stays said.
        if outcome.is_ok() {
            *self.known() = refused;
        }
        *look = Some(Instant::now());
    }

    async fn try_each(&self, refused: &mut Vec<Right>) -> Result<(), KeycloakError> {
        let mut judge = |right, outcome: Result<bool, KeycloakError>| match outcome {
            Ok(true) => Ok(true),
            Ok(false) | Err(KeycloakError::Forbidden(_)) => {
                refused.push(right);
                Ok(true)
            }
            Err(KeycloakError::Unauthorized(_) | KeycloakError::HttpsRequired(_)) => {
                refused.push(Right::Login);
                Ok(false)
            }
            Err(error) => Err(error),
        };
        let client = self.keycloak.find_client_document(&self.client_id).await;
        // Keycloak says itself whether we may change it: trying would leave a trace.
        let manages = client.as_ref().ok().and_then(Option::as_ref).map(|client| {
            let access = client.member("access");
            access.is_some_and(|access| access["manage"] == true)
        });
        let outcome = client.map(|_| manages.unwrap_or_default());
        if !judge(Right::ManageClients, outcome)? {
            return Ok(());
        }
        let users = self.keycloak.try_users().await;
        let events = self.keycloak.try_events().await;
        judge(Right::ViewUsers, users.map(|()| true))?;
        judge(Right::ViewEvents, events.map(|()| true))?;
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Right>> {
        self.refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
