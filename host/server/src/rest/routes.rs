//! The table of all endpoints: routing and the names in the log and metrics come from it, and the tests hold the OpenAPI
//! document against it.

use std::pin::Pin;

use http::Method;

use super::{
    Call, Response, Version, audit, backup, counter, decisions, log, manifest, openapi, pending, policies,
    quote, recover, secret_upload, secrets, sign_quote, status, update,
};
use crate::problem::Failure;

/// An endpoint's answer to come.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send + 'a>>;

/// An endpoint. A path matches exactly, but for one that ends with [`PARAMETER`].
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) version: Version,
    pub(crate) answer: for<'a> fn(&'a mut Call) -> Answer<'a>,
}

/// At the end of a path: anything without a slash.
const PARAMETER: &str = "{digest}";

/// One line per endpoint.
macro_rules! routes {
    ($($method:ident $version:ident $path:literal $module:ident::$name:ident)*) => {
        &[$(Route {
            method: Method::$method,
            path: $path,
            version: Version::$version,
            answer: |call| Box::pin($module::$name(call)),
        }),*]
    };
}

/// Every endpoint that there is; the busy ones first.
pub(crate) static ROUTES: &[Route] = routes! {
    GET  V2 "/api/v2/status" status::get
    GET  V1 "/status" status::get
    GET  V2 "/api/v2/secrets" secrets::get
    GET  V1 "/secrets" secrets::get
    POST V2 "/api/v2/monotonic-counter" counter::advance
    GET  V2 "/api/v2/quote" quote::get
    GET  V1 "/quote" quote::get
    GET  V2 "/api/v2/manifest" manifest::get
    GET  V1 "/manifest" manifest::get
    POST V2 "/api/v2/manifest" manifest::set
    POST V1 "/manifest" manifest::set
    POST V2 "/api/v2/secrets" secret_upload::write
    POST V1 "/secrets" secret_upload::write
    GET  V2 "/api/v2/update" log::get
    GET  V1 "/update" log::get
    POST V2 "/api/v2/update" update::start
    POST V1 "/update" update::start
    GET  V2 "/api/v2/update/head" log::head
    GET  V2 "/api/v2/update-manifest" pending::get
    GET  V1 "/update-manifest" pending::get
    POST V2 "/api/v2/update-manifest" pending::acknowledge
    POST V1 "/update-manifest" pending::acknowledge
    POST V2 "/api/v2/update-cancel" pending::cancel
    POST V1 "/update-cancel" pending::cancel
    POST V2 "/api/v2/sign-quote" sign_quote::sign
    GET  V2 "/api/v2/policies" policies::list
    POST V2 "/api/v2/policies" policies::push
    GET  V2 "/api/v2/policies/{digest}" policies::get
    GET  V2 "/api/v2/decisions" decisions::get
    GET  V2 "/api/v2/audit" audit::get
    GET  V2 "/api/v2/backup" backup::get
    POST V2 "/api/v2/recover" recover::recover
    POST V1 "/recover" recover::recover
    GET  V2 "/api/v2/recover/public-key" recover::public_key
    GET  V2 "/api/v2/openapi.json" openapi::get
};

impl Route {
    /// What stands at the parameter's place; nothing where there is none. `None` for another path.
    fn parameter<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path.strip_suffix(PARAMETER) {
            None => (self.path == path).then_some(""),
            Some(before) => path.strip_prefix(before).filter(|rest| !rest.is_empty() && !rest.contains('/')),
        }
    }
}

/// Who answers, and what stands at the parameter's place.
pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Option<(&'static Route, &'a str)> {
    ROUTES
        .iter()
        .filter(|route| route.method == *method)
        .find_map(|route| Some((route, route.parameter(path)?)))
}

/// A path's name in the log: one of a fixed list, since callers choose paths.
pub(crate) fn label(path: &str) -> &'static str {
    ROUTES.iter().find(|route| route.parameter(path).is_some()).map_or(UNMATCHED, |route| route.path)
}

/// Every name that [`label`] gives, once.
pub(crate) fn labels() -> Vec<&'static str> {
    let mut labels = vec![UNMATCHED];
    for route in ROUTES {
        if !labels.contains(&route.path) {
            labels.push(route.path);
        }
    }
    labels
}

/// The name of all paths that are no endpoint's.
const UNMATCHED: &str = "unmatched";

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(path: &str) -> Option<(&'static str, &str)> {
        find(&Method::GET, path).map(|(route, parameter)| (route.path, parameter))
    }

    //
    #[test]
    fn a_path_matches_exactly_but_for_its_parameter() {
        assert_eq!(path_of("/api/v2/policies"), Some(("/api/v2/policies", "")));
        assert_eq!(path_of("/api/v2/policies/x"), Some(("/api/v2/policies/{digest}", "x")));
        for path in [
            "/api/v2/policies/",
            "/api/v2/policies/x/",
            "/api/v2/policies/x/y",
            "/api/v2/policiesx",
            "/policies",
        ] {
            assert_eq!(path_of(path), None, "{path}");
            assert_eq!(label(path), UNMATCHED, "{path}");
        }
        assert!(find(&Method::POST, "/api/v2/policies/x").is_none());
    }

    #[test]
    fn the_log_names_no_parameter() {
        assert_eq!(label("/api/v2/policies/chosen"), "/api/v2/policies/{digest}");
    }
}
