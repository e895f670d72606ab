//! The stack of the built-in policies is small, for it is part of what each call allocates and clears: their deepest input needs a
//! quarter of it, and one that needed more than all of it would trap and overwrite nothing.

#![allow(clippy::unwrap_used, clippy::panic)] // also in what the tests share

mod common;

use std::ops::Range;

use carrara_core::ports::{PolicyFailure, RenderFailure};
use carrara_types::decision::{Change, HeldRole, Proposal};
use carrara_wasm::{PolicyHost, PolicySource, World, digest};
use common::{context, one_key, request, template};
use wasmparser::{DataKind, Operator, Parser, Payload};

const BUILT_IN: [(&str, World); 4] = [
    ("manifest-rules", World::ManifestValidation),
    ("rbac", World::RoleAuthorization),
    ("go-template", World::SecretRendering),
    ("liquid", World::SecretRendering),
];

/// What the deepest input may need of the stack: one part in so many.
const PART: i32 = 4;

/// Where a component says how large its guest's stack is: the stack grows down from there to 0.
struct Stack {
    bytes: i32,
    /// Of the number in the component.
    place: Range<usize>,
    /// Where the guest's data begin.
    data: i32,
}

fn component(name: &str) -> Vec<u8> {
    let host = PolicyHost::builtin().unwrap();
    let policy = host.policies().into_iter().find(|policy| policy.name == name).unwrap();
    host.component(&policy.digest).unwrap().to_vec()
}

/// The first variable of the first module: the linker's stack pointer. And the first address of the module's data.
fn stack(component: &[u8]) -> Stack {
    let (mut found, mut data) = (None, i32::MAX);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::GlobalSection(globals) if found.is_none() => {
                let global = globals.into_iter().next().unwrap().unwrap();
                assert!(global.ty.mutable);
                let mut code = global.init_expr.get_operators_reader();
                // After the instruction's own byte.
                let start = code.original_position() + 1;
                let Operator::I32Const { value } = code.read().unwrap() else { panic!("no number") };
                found = Some((value, start..code.original_position()));
            }
            Payload::DataSection(segments) if data == i32::MAX => {
                for segment in segments {
                    let DataKind::Active { offset_expr, .. } = segment.unwrap().kind else { continue };
                    let Operator::I32Const { value } = offset_expr.get_operators_reader().read().unwrap()
                    else {
                        panic!("no address")
                    };
                    data = data.min(value);
                }
            }
            _ => {}
        }
    }
    let (bytes, place) = found.unwrap();
    Stack { bytes, place, data }
}

/// The same component with a stack of so many bytes.
fn with_stack(component: &[u8], bytes: i32) -> Vec<u8> {
    let place = stack(component).place;
    let mut changed = component.to_vec();
    let last = place.len() - 1;
    for (index, byte) in changed.iter_mut().skip(place.start).take(place.len()).enumerate() {
        let more = if index < last { 0x80 } else { 0 };
        *byte = u8::try_from((bytes >> (7 * index)) & 0x7f).unwrap() | more;
    }
    assert_eq!(stack(&changed).bytes, bytes);
    changed
}

fn host(name: &str, world: World, bytes: impl Fn(i32) -> i32) -> PolicyHost {
    let component = component(name);
    let changed = with_stack(&component, bytes(stack(&component).bytes));
    let mut host = PolicyHost::empty().unwrap();
    host.add(PolicySource::new(name, world, changed)).unwrap();
    host
}

fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
    format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
}

fn of_go() -> Vec<String> {
    let calls = nested("(print ", "1", ")", 63);
    let itself = |open: &str, argument: &str| {
        format!(
            "{{{{ define \"t\" }}}}{open}{{{{ template \"t\" {argument} }}}}{{{{ end }}}}{{{{ end }}}}{{{{ template \"t\" \"\" }}}}"
        )
    };
    vec![
        nested("{{ if true }}", "x", "{{ end }}", 64),
        nested("{{ range 1 }}", "{{ hex $.Secrets.key }}", "{{ end }}", 64),
        nested("{{ with 1 }}{{ else with 1 }}", "x", "{{ end }}", 32),
        format!("{{{{ {} }}}}", nested("(", "1", ")", 64)),
        format!("{{{{ {calls} }}}}"),
        itself("{{ range 1 }}", "."),
        itself("{{ with $ }}", "."),
        // Ends with a deep expression in the deepest body.
        itself(&format!("{{{{ if eq (len .) 49 }}}}{{{{ {calls} }}}}{{{{ else }}}}"), "(print . 1)"),
    ]
}

fn of_liquid() -> Vec<String> {
    let mut texts: Vec<String> = [
        ("{% if true %}", "{% endif %}"),
        ("{% unless false %}", "{% endunless %}"),
        ("{% for i in (1..1) %}", "{% endfor %}"),
        ("{% tablerow i in (1..1) %}", "{% endtablerow %}"),
        ("{% capture x %}", "{% endcapture %}"),
        ("{% case 1 %}{% when 1 %}", "{% endcase %}"),
        ("{% if false %}{% else %}", "{% endif %}"),
        ("{% if false %}{% elsif true %}", "{% endif %}"),
    ]
    .into_iter()
    .flat_map(|(open, close)| [32, 64].map(|depth| nested(open, "{{ Secrets.key | hex }}", close, depth)))
    .collect();
    texts.push(format!("{{% if true{} %}}x{{% endif %}}", " and true".repeat(64)));
    texts.push(format!("{{{{ {} }}}}", nested("Secrets[", "'x'", "]", 64)));
    texts.push(format!("{{{{ 'x'{} }}}}", " | append: 'y'".repeat(1000)));
    texts
}

fn of_rules() -> Vec<String> {
    let deep = |depth| nested("[", "", "]", depth);
    let maps = |depth| nested("{\"Settings\":", "1", "}", depth);
    let with = |deep: &str| {
        format!(
            r#"{{"Packages":{{"p":{{"Debug":true}}}},"Marbles":{{"m":{{"Package":"p","Parameters":{{"Env":{{"A":{deep}}}}}}}}},"Policies":{{"q":{{"World":"role-authorization","Component":"sha256:{}","Settings":{deep}}}}},"More":{deep}}}"#,
            "0".repeat(64)
        )
    };
    [64, 120, 500, 508, 600, 100_000]
        .into_iter()
        .flat_map(|depth| [with(&deep(depth)), with(&maps(depth))])
        .collect()
}

fn proposal(manifest: &str, current: Option<String>) -> Proposal {
    Proposal {
        context: context(1),
        change: Change::Initial,
        manifest: manifest.to_owned(),
        manifest_sha256: digest(manifest.as_bytes()),
        current,
        current_versions: Vec::new(),
        proposer: None,
    }
}

/// Asks a policy all that is deep.
fn ask(host: &PolicyHost, name: &str) -> Result<(), PolicyFailure> {
    match name {
        "rbac" => {
            let role = HeldRole {
                name: "r".to_owned(),
                resource_type: "Secrets".to_owned(),
                resource_names: (0..10_000).map(|index| format!("s{index}")).collect(),
                actions: vec!["readsecret".to_owned()],
            };
            let mut request = request(1);
            request.resource_names = role.resource_names.clone();
            request.principal.roles = vec![role];
            host.authorize_here(&request).map(drop)
        }
        "manifest-rules" => of_rules().iter().try_for_each(|manifest| {
            host.validate_here(&proposal(manifest, None))?;
            host.validate_here(&proposal(manifest, Some(manifest.clone()))).map(drop)
        }),
        _ => {
            let texts = if name == "liquid" { of_liquid() } else { of_go() };
            texts.iter().try_for_each(|text| {
                match host.render_here(name, &context(1), &[template(text)], one_key()) {
                    Err(RenderFailure::Policy(failure)) => Err(failure),
                    _ => Ok(()),
                }
            })
        }
    }
}

#[test]
fn the_deepest_input_needs_a_quarter_of_the_stack() {
    for (name, world) in BUILT_IN {
        let host = host(name, world, |bytes| bytes / PART);
        assert!(ask(&host, name).is_ok(), "{name}: {:?}", ask(&host, name));
    }
}

#[test]
fn the_stack_lies_below_all_data_and_what_runs_out_of_it_traps() {
    for (name, world) in BUILT_IN {
        let stack = stack(&component(name));
        assert!(stack.data >= stack.bytes, "{name}: data from {} on, stack to {}", stack.data, stack.bytes);
        // One of the large ones takes long to compile here.
        if ["rbac", "go-template"].contains(&name) {
            let failure = ask(&host(name, world, |_| 4096), name).unwrap_err();
            assert!(failure.reason.contains("out of bounds memory access"), "{name}: {}", failure.reason);
        }
    }
}
