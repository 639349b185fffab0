//! The OpenAPI document, generated from the operations, and its browsable form.

use std::collections::BTreeMap;

use axum::Router;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApiBuilder};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
};
use utoipa::{IntoResponses, PartialSchema as _, ToSchema as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::problem::ProblemDocument;
use crate::app::App;

pub(super) const TAG_PAT: &str = "Personal access tokens";
pub(super) const TAG_PAT_USERS: &str = "Personal access tokens of everybody";
pub(super) const TAG_CLIENTS: &str = "API clients";
pub(super) const TAG_VALIDATION: &str = "Validation";
pub(super) const TAG_OPERATION: &str = "Operation";

const BEARER: &str = "bearer";
const CLIENT: &str = "client";

/// The document of the whole API.
#[must_use]
pub fn document() -> OpenApi {
    super::operations().split_for_parts().1
}

/// What is the same for every operation.
pub(super) fn base() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token of the realm, or a personal access token."))
        .build();
    let client = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("The id and the secret of a client of the realm."))
        .build();
    let mut schemas = Vec::new();
    ProblemDocument::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .security_scheme(CLIENT, SecurityScheme::Http(client))
        .schema(ProblemDocument::name(), ProblemDocument::schema())
        .schemas_from_iter(schemas)
        .build();
    let info = InfoBuilder::new()
        .title("Hallpass")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Personal access tokens and API clients for a Keycloak realm."))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(BEARER, Vec::<String>::new())]))
        .build()
}

/// `/openapi.json` and `/docs`, both from within the binary.
pub(super) fn pages(document: OpenApi) -> Router<App> {
    // Left alone, the page would ask validator.swagger.io whether the document is good.
    let config = Config::default().validator_url("none");
    SwaggerUi::new("/docs").url("/openapi.json", document).config(config).into()
}

/// Every refusal of the API is a problem document.
pub(super) struct ApiErrors;

impl IntoResponses for ApiErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(ProblemDocument::name())))
            .build();
        let response = ResponseBuilder::new()
            .description("A problem document (RFC 9457)")
            .content("application/problem+json", content)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}
