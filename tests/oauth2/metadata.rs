//! `GET /.well-known/oauth-authorization-server` (RFC 8414).

use serde_json::json;

use crate::support::{Database, TestRealm, TestServer};

#[tokio::test]
async fn the_document_leads_to_endpoints_and_keys() {
    let realm = TestRealm::shared().await;
    let settings = [("HALLPASS_SERVER__PUBLIC_URL", "https://hallpass.example/base/")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let found = server.anonymous().get("/.well-known/oauth-authorization-server").await;
    assert_eq!(found.headers["content-type"], "application/json");
    assert_eq!(
        found.expect(200),
        json!({
            "issuer": "https://hallpass.example/base",
            "jwks_uri": realm.jwks_url(),
            "introspection_endpoint": "https://hallpass.example/base/oauth2/introspect",
            "introspection_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "Bearer"],
            "revocation_endpoint": "https://hallpass.example/base/oauth2/revoke",
            "revocation_endpoint_auth_methods_supported": ["none"],
            "service_documentation": "https://hallpass.example/base/docs",
        })
    );
    server.stop().await;
}
