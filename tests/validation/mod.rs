//! Validation, through each endpoint that validates: attacks on tokens, caches that stay true, replicas, and what is away.

mod attacks;
mod away;
mod bound;
mod flood;
mod keys;
mod parsing;
mod replicas;

use reqwest::header::HeaderValue;

use crate::support::{Api, ServiceClient, TestRealm, TestServer, passes};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";

/// A service with everybody who asks about tokens there.
struct Scene {
    server: TestServer,
    service: ServiceClient,
}

impl Scene {
    async fn of(server: TestServer) -> Self {
        let service = server.realm.introspector().await;
        Self { server, service }
    }

    async fn in_shared_realm() -> Self {
        Self::of(TestServer::start().await).await
    }

    fn realm(&self) -> &TestRealm {
        &self.server.realm
    }

    async fn user(&self) -> Api {
        self.server.user(&self.realm().person().await).await
    }

    /// Whether the token is good; every endpoint says the same, as far as it can be sent there.
    async fn finds(&self, token: &str) -> bool {
        let anyone = self.server.anonymous();
        let found = self.service.finds(&anyone, token).await;
        if HeaderValue::from_str(token).is_err() {
            return found;
        }
        assert_eq!(passes(&anyone, token).await, found, "forward-auth");
        let status = self.server.with_token(token).get(SELF).await.status.as_u16();
        assert_eq!(status, if found { 200 } else { 401 }, "the API");
        found
    }
}
