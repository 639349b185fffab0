//! A small service whose callers show personal access tokens.
//!
//! ```sh
//! ISSUER=https://sso.example.org/realms/demo AUDIENCE=datahub cargo run --example axum_service
//! ```
//!
//! `GET /whoami` needs a good token, `GET /reports` the realm role `reader` as well, `GET /health` nothing.
//!
//! | variable | is |
//! |---|---|
//! | `ISSUER`, `AUDIENCE` | the realm's `iss`, and this service's name in `aud` |
//! | `LISTEN` | where to listen; `127.0.0.1:8080` unless set |
//! | `JWKS_URL` | the realm's keys, where they are not below `ISSUER` |
//! | `INTROSPECTION_URL`, `CLIENT_ID`, `CLIENT_SECRET` | to ask Hallpass as well: `{public_url}/oauth2/introspect`, and a realm client whose service account holds `introspect-tokens` |

use std::env;
use std::error::Error;
use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Json, Router};
use hallpass_verify::{Introspection, JwksCache, TokenLayer, Verified};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let tokens = token_layer()?;
    let readers = tokens.clone().with_realm_role("reader");
    let service = Router::new()
        .route("/whoami", get(who).layer(tokens))
        .route("/reports", get(async || "three reports").layer(readers))
        .route("/health", get(async || "ok"));

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, service.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// The layer has verified the token and put its claims here.
async fn who(Extension(token): Extension<Verified>) -> Json<Value> {
    let name = token.rest.get("preferred_username");
    Json(json!({"sub": token.sub, "name": name, "patId": token.jti}))
}

fn token_layer() -> Result<TokenLayer, Box<dyn Error>> {
    let http = http_client()?;
    let issuer = env::var("ISSUER")?;
    let jwks =
        env::var("JWKS_URL").unwrap_or_else(|_| format!("{issuer}/protocol/openid-connect/certs"));
    let keys = JwksCache::new(http.clone(), jwks.parse()?);
    let layer = TokenLayer::for_audience(keys, issuer, env::var("AUDIENCE")?);
    let Ok(url) = env::var("INTROSPECTION_URL") else { return Ok(layer) };
    let (id, secret) = (env::var("CLIENT_ID")?, env::var("CLIENT_SECRET")?);
    let introspection = Introspection::new(http, url.parse()?, id, secret);
    // Behind a proxy this is the proxy: then take the address from what it says.
    let layer = layer.with_client_address(|request| {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.0.ip())
    });
    Ok(layer.with_introspection(introspection))
}

#[expect(clippy::disallowed_methods, reason = "a service has its own client")]
fn http_client() -> reqwest::Result<reqwest::Client> {
    // Redirects would take the secret along.
    reqwest::Client::builder().redirect(Policy::none()).build()
}
