//! A request as Cedar sees it: entities, and the context.
//!
//! `User::"frank"` is in `Role::"reader"`, `Secrets::"db"` is in `ResourceType::"Secrets"`; the type of a resource is the
//! request's resource type, and a request without names is about the `ResourceType` itself.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;

use carrara_policy_language::Failure;
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use serde_json::Value;

/// What one call asks of Cedar.
pub(crate) struct Question {
    /// User, roles and resources.
    pub(crate) entities: Entities,
    /// A request for each name, with the name; one without a name where there is none.
    pub(crate) requests: Vec<(Option<String>, Request)>,
}

impl Question {
    /// Makes the question of a document, for policies that look at these attributes of roles.
    pub(crate) fn new(document: &Value, of_roles: &[&str]) -> Result<Self, Failure> {
        let principal = document.get("principal").unwrap_or(&Value::Null);
        let user = uid("User", text(principal, "name"))?;
        let roles =
            array(principal, "roles").map(|held| role(held, of_roles)).collect::<Result<Vec<_>, _>>()?;
        let resource_type = text(document, "resource_type");
        let kind = uid("ResourceType", resource_type)?;
        let names: Vec<&str> = array(document, "resource_names").filter_map(Value::as_str).collect();
        let resources = names
            .iter()
            .map(|name| Ok((Some((*name).to_owned()), uid(resource_type, name)?)))
            .collect::<Result<Vec<_>, Failure>>()?;

        let mut entities = vec![Entity::new_no_attrs(kind.clone(), HashSet::new())];
        let parents = roles.iter().map(Entity::uid).collect();
        entities.push(made(Entity::new(
            user.clone(),
            attributes(principal, &["name", "certificate_sha256"]),
            parents,
        ))?);
        entities.extend(roles);
        entities.extend(
            resources.iter().map(|(_, uid)| Entity::new_no_attrs(uid.clone(), HashSet::from([kind.clone()]))),
        );

        let action = uid("Action", text(document, "action"))?;
        // Once: it names all resources, and making it anew for each of them would take the square of their number.
        let context = context(document)?;
        let asked = if resources.is_empty() { vec![(None, kind)] } else { resources };
        let requests = asked
            .into_iter()
            .map(|(name, resource)| {
                let (user, action) = (user.clone(), action.clone());
                Ok((name, made(Request::new(user, action, resource, context.clone(), None))?))
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        // A role that is held twice is one entity, but for what two entries of it say.
        Ok(Self { entities: made(Entities::from_entities(entities, None))?, requests })
    }
}

/// The attributes of roles that policies of this text may look at: they name what they look at, and where a letter is escaped,
/// any name may be written so. A role of a thousand names is dear to make, and few policies look at them.
pub(crate) fn attributes_of_roles(policies: &str) -> Vec<&'static str> {
    ["resource_type", "resource_names", "actions"]
        .into_iter()
        .filter(|name| policies.contains(name) || policies.contains('\\'))
        .collect()
}

fn role(role: &Value, names: &[&str]) -> Result<Entity, Failure> {
    let attributes = attributes(role, names);
    made(Entity::new(uid("Role", text(role, "name"))?, attributes, HashSet::new()))
}

fn context(document: &Value) -> Result<Context, Failure> {
    let members = attributes(document, &["now", "revision", "facts", "resource_names"]);
    made(Context::from_pairs(members))
}

/// Members of an object under their names.
fn attributes(object: &Value, names: &[&str]) -> HashMap<String, RestrictedExpression> {
    let member =
        |name: &&str| object.get(*name).and_then(expression).map(|value| ((*name).to_owned(), value));
    names.iter().filter_map(member).collect()
}

/// A JSON value in Cedar; Cedar has no null and no fractions.
fn expression(value: &Value) -> Option<RestrictedExpression> {
    Some(match value {
        Value::Bool(truth) => RestrictedExpression::new_bool(*truth),
        Value::String(text) => RestrictedExpression::new_string(text.clone()),
        // Cedar's numbers are signed; what does not fit is the greatest, which keeps every order.
        Value::Number(number) => {
            RestrictedExpression::new_long(number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX))?)
        }
        Value::Array(values) => RestrictedExpression::new_set(values.iter().filter_map(expression)),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| Some((name.clone(), expression(value)?));
            RestrictedExpression::new_record(members.iter().filter_map(member)).ok()?
        }
        Value::Null => return None,
    })
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Failure> {
    let kind = EntityTypeName::from_str(kind)
        .map_err(|_| Failure(format!("{kind:?} is no name for a type of entities")))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn array<'a>(object: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    object.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn made<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| Failure(format!("making the request: {error}")))
}
