//! World `role-authorization`: may this user do this?

use carrara_types::decision::AuthorizationRequest;

use super::words;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "role-authorization",
        imports: { default: trappable },
        with: {
            "carrara:policy/types@1.0.0": super::super::words::types,
            "carrara:policy/host@1.0.0": super::super::words::host,
        },
    });
}

pub(crate) use bindings::RoleAuthorizationPre;
use bindings::exports::carrara::policy::role_authorizer::Request;

/// The question as the guest reads it.
pub(crate) fn question(request: &AuthorizationRequest, settings: &str) -> Request {
    Request {
        context: words::context(&request.context, settings),
        principal: words::principal(&request.principal),
        action: request.action.clone(),
        resource_type: request.resource_type.clone(),
        resource_names: request.resource_names.clone(),
    }
}
