//! The pages for people: what this is, and the documentation of the API.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, serve};

use super::problem::Problem;
use crate::app::App;
use crate::error::Error;

/// Links are relative: a proxy may put a path before ours.
const HOME: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>Hallpass</title>\n</head>\n<body>\n\
    <h1>Hallpass</h1>\n\
    <p>Hallpass gives the people of a Keycloak realm personal access tokens and self-service API clients. \
    This is its address for programs; pages for people are not part of this version.</p>\n<ul>\n\
    <li><a href=\"docs/\">Documentation of the API</a>, and the <a href=\"openapi.json\">OpenAPI document</a></li>\n\
    <li><a href=\".well-known/oauth-authorization-server\">Endpoints for introspection and revocation</a></li>\n\
    <li>Health: <a href=\"livez\">does it run</a>, <a href=\"readyz\">can it do its work</a>, \
    <a href=\"metrics\">metrics</a></li>\n</ul>\n\
    <p>The guides for operators and integrators come with Hallpass, in its folder <code>docs</code>.</p>\n\
    </body>\n</html>\n";

/// As that of Swagger UI, under our own name.
const DOCS: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>Hallpass API</title>\n\
    <link rel=\"stylesheet\" href=\"./swagger-ui.css\">\n<link rel=\"stylesheet\" href=\"./index.css\">\n\
    <link rel=\"icon\" href=\"data:,\">\n</head>\n<body>\n<div id=\"swagger-ui\"></div>\n\
    <script src=\"./swagger-ui-bundle.js\"></script>\n\
    <script src=\"./swagger-ui-standalone-preset.js\"></script>\n\
    <script src=\"./swagger-initializer.js\"></script>\n</body>\n</html>\n";

/// What Swagger UI needs: its own files, icons as data, and calls to this service to try them out.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `/`, `/openapi.json` and `/docs`, all from within the binary.
pub(super) fn pages(document: OpenApi) -> Router<App> {
    // Left alone, the page would ask validator.swagger.io whether the document is good. The layout is the one without
    // Swagger's own bar.
    let config = Config::from("/openapi.json").validator_url("none").use_base_layout();
    let document = Arc::new(document);
    Router::new()
        .route("/", get(async || Html(HOME)))
        .route("/openapi.json", get(move || async move { Json(document) }))
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(docs))
        .route("/docs/index.html", get(docs))
        .route("/docs/{file}", get(docs_file))
        .layer(Extension(Arc::new(config)))
}

async fn docs() -> Response {
    ([(CONTENT_SECURITY_POLICY, DOCS_POLICY)], Html(DOCS)).into_response()
}

async fn docs_file(
    Path(file): Path<String>,
    Extension(config): Extension<Arc<Config<'static>>>,
) -> Result<Response, Problem> {
    let file = serve(&file, config).map_err(|error| Error::internal(error.to_string()))?;
    let file = file.ok_or_else(|| Error::not_found("path"))?;
    let mut headers = HeaderMap::from_iter([(CONTENT_SECURITY_POLICY, DOCS_POLICY)]);
    let content_type = HeaderValue::try_from(file.content_type).map_err(Error::internal)?;
    headers.insert(CONTENT_TYPE, content_type);
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok((headers, file.bytes).into_response())
}
