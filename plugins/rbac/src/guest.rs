//! Glue between `wit/` and [`crate::authorize`]: borrows what the host asked, moves what the policy answered.

use bindings::carrara::policy::types::{Decision, Denial};
use bindings::exports::carrara::policy::role_authorizer::{Guest as RoleAuthorizer, Request};

use crate::authorize::{self, Role};

carrara_plugin_support::guest!("role-authorization", "rbac");

impl RoleAuthorizer for Component {
    fn authorize(request: Request) -> Decision {
        let roles: Vec<Role<'_>> = request
            .principal
            .roles
            .iter()
            .map(|role| Role {
                name: &role.name,
                resource_type: &role.resource_type,
                resource_names: &role.resource_names,
                actions: &role.actions,
            })
            .collect();
        let answer = authorize::authorize(&authorize::Request {
            user: &request.principal.name,
            roles: &roles,
            action: &request.action,
            resource_type: &request.resource_type,
            resource_names: &request.resource_names,
        });
        match answer {
            Ok(()) => Decision::Allow,
            Err(denial) => Decision::Deny(Denial {
                code: denial.code.to_owned(),
                message: denial.message,
                hint: Some(denial.hint),
                resources: denial.resources,
            }),
        }
    }
}
