//! Asked on each request that needs a user: may this user do this?

use carrara_policy::authorization::{Decision, Request, allow, deny};

/// Secrets of production are not written by users.
fn authorize(request: &Request) -> Decision {
    let names: Vec<_> = request.resource_names.iter().filter(|name| name.starts_with("prod-")).cloned().collect();
    if request.action != "WriteSecret" || names.is_empty() {
        return allow();
    }
    // edit here: what the user reads
    deny("prod-secret", "secrets of production are written by nobody").about(names)
}

carrara_policy::authorizer!(authorize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_production_is_not_written() {
        let request = Request::new("alice", "WriteSecret", "Secrets", ["prod-key", "test-key"]);
        assert_eq!(authorize(&request).denial().unwrap().resources, ["prod-key"]);
        let request = Request::new("alice", "ReadSecret", "Secrets", ["prod-key"]);
        assert_eq!(authorize(&request), allow());
    }
}
