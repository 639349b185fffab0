//! The OpenAPI document, generated from the operations.

use std::collections::BTreeMap;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApiBuilder};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
    Type,
};
use utoipa::{IntoResponses, PartialSchema as _, ToSchema as _};

use super::problem::ProblemDocument;
use crate::page::PageRequest;

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
    super::described_operations().1
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

/// What is the same of every list: the bounds of a page, and the words of a direction.
pub(super) fn bound_lists(document: &mut OpenApi) {
    let operations = document.paths.paths.values_mut().filter_map(|item| item.get.as_mut());
    for parameter in operations.flat_map(|operation| operation.parameters.iter_mut().flatten()) {
        let RefOr::T(parameter) = parameter else { continue };
        let schema = match parameter.name.as_str() {
            "offset" => whole_number().minimum(Some(0)).default(Some(0.into())),
            "limit" => whole_number()
                .minimum(Some(1))
                .maximum(Some(PageRequest::MAX_LIMIT))
                .default(Some(PageRequest::DEFAULT_LIMIT.into())),
            "direction" => {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["asc", "desc"]))
            }
            _ => continue,
        };
        parameter.schema = Some(schema.into());
    }
}

fn whole_number() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
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
