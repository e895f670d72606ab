use std::fmt::Write as _;

use wasmtime::{Engine, Instance, Module, Store};

use super::*;

/// A component with a module of this content, and of at least so many bytes as the most zeros between two segments.
fn component(module: &str) -> Vec<u8> {
    let padding = "x".repeat(8 * MAX_GAP as usize);
    wat::parse_str(format!("(component (core module {module}) (@custom \"padding\" \"{padding}\"))")).unwrap()
}

/// The modules of a component and of those in it.
fn modules(component: &[u8]) -> Vec<&[u8]> {
    let payloads = Parser::new(0).parse_all(component).map(Result::unwrap);
    payloads
        .filter_map(|payload| match payload {
            Payload::ModuleSection { unchecked_range, .. } => Some(&component[unchecked_range]),
            _ => None,
        })
        .collect()
}

/// How many data segments each module has.
fn segments(component: &[u8]) -> Vec<u32> {
    let of = |module: &[u8]| {
        let payloads = Parser::new(0).parse_all(module).map(Result::unwrap);
        payloads
            .filter_map(
                |payload| if let Payload::DataSection(data) = payload { Some(data.count()) } else { None },
            )
            .sum()
    };
    modules(component).into_iter().map(of).collect()
}

/// The memory of the only module after all that it does by itself, or why it cannot be instantiated.
fn memory(component: &[u8]) -> Result<Vec<u8>, String> {
    let engine = Engine::default();
    let module = Module::new(&engine, modules(component)[0]).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).map_err(|error| format!("{error:#}"))?;
    Ok(instance.get_memory(&mut store, "memory").unwrap().data(&store).to_vec())
}

fn data(segments: &[(u64, &str)]) -> String {
    segments.iter().fold(String::new(), |mut text, (offset, bytes)| {
        write!(text, "(data (i32.const {offset}) \"{bytes}\")").unwrap();
        text
    })
}

const MEMORY: &str = "(memory (export \"memory\") 1)";

/// How many segments are left of these, in a memory of the module's own.
fn left(segments_before: &[(u64, &str)]) -> u32 {
    let before = component(&format!("{MEMORY} {}", data(segments_before)));
    let after = joined(&before).unwrap();
    assert_eq!(memory(&before), memory(&after));
    segments(&after)[0]
}

// P-22
#[test]
fn segments_next_to_one_another_are_one() {
    let many: Vec<(u64, &str)> = (0..5000).map(|at| (at * 13, "12345")).collect();
    assert_eq!(left(&many), 1);
    assert_eq!(left(&[(0, "a"), (1, "b"), (2, ""), (2, "c")]), 1, "without a gap, and empty");
    let gap = |zeros| left(&[(7, "a"), (8 + zeros, "b")]);
    assert_eq!((gap(MAX_GAP), gap(MAX_GAP + 1)), (1, 2));
}

#[test]
fn what_was_written_before_is_not_overwritten_by_zeros() {
    assert_eq!(left(&[(100, "zz"), (90, "a"), (95, "b")]), 2, "nothing was written between the last two");
    assert_eq!(left(&[(100, "zz"), (90, "a"), (110, "b")]), 3, "the first lies in the gap");
    assert_eq!(left(&[(100, "zz"), (90, "abc"), (101, "b")]), 3, "and so it does in part");
    assert_eq!(left(&[(100, "zz"), (99, "abc"), (102, "b")]), 2, "without a gap nothing is");
    assert_eq!(left(&[(100, "zzz"), (101, "b")]), 2, "the second overwrites the first");
}

#[test]
fn segments_in_random_places_give_the_same_memory() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut fewer = 0;
    for _ in 0..500 {
        let span = [60, 600, 6000][usize::try_from(random(3)).unwrap()];
        let letter = |at: u64| char::from(b'a' + u8::try_from(at % 26).unwrap());
        let texts: Vec<String> = (0..=random(40))
            .map(|at| letter(at).to_string().repeat(usize::try_from(random(12)).unwrap()))
            .collect();
        let mut list: Vec<(u64, &str)> = texts.iter().map(|text| (random(span), text.as_str())).collect();
        let ascending = random(2) == 0;
        if ascending {
            list.sort_unstable();
        }
        fewer += u32::from(left(&list) < u32::try_from(list.len()).unwrap());
    }
    assert!(fewer > 250, "{fewer} had segments to join");
}

#[test]
fn what_lies_outside_of_the_memory_is_refused_as_before() {
    for outside in [&[(65_530, "a"), (65_535, "bc")][..], &[(65_536, "a")], &[(65_530, "a"), (65_537, "")]] {
        let before = component(&format!("{MEMORY} {}", data(outside)));
        let after = joined(&before).unwrap();
        assert!(memory(&before).unwrap_err().contains("out of bounds memory access"));
        assert_eq!(memory(&after), memory(&before));
    }
    assert_eq!(left(&[(65_530, "a"), (65_536, "")]), 1, "at its end is inside");
}

#[test]
fn what_is_not_known_to_be_zero_is_left_alone() {
    let two = data(&[(0, "a"), (2, "b")]);
    for module in [
        format!("(import \"m\" \"m\" (memory 1)) {two}"),
        format!(
            "{MEMORY} (memory $other 1) (data (memory $other) (i32.const 0) \"a\") (data (memory $other) (i32.const 1) \"b\")"
        ),
        format!("{MEMORY} (data (i32.const 0) \"a\") (data \"passive\") (data (i32.const 1) \"b\")"),
        format!("{MEMORY} (global $g i32 (i32.const 0)) (data (global.get $g) \"c\") {}", data(&[(0, "a")])),
        "(memory i64 1) (data (i64.const 0) \"a\") (data (i64.const 1) \"b\")".to_owned(),
    ] {
        let before = component(&module);
        let after = joined(&before).unwrap();
        assert_eq!(segments(&after), segments(&before), "{module}");
        assert_eq!(after, before);
    }
    // What is computed may lie in any gap after it.
    let computed = format!("{MEMORY} (global $g i32 (i32.const 1)) (data (global.get $g) \"c\") {two}");
    assert_eq!(segments(&joined(&component(&computed)).unwrap()), [3]);
}

#[test]
fn segments_that_code_names_are_left_alone_and_the_number_of_others_is_corrected() {
    let module = |code: &str| {
        let segments = data(&[(0, "a"), (2, "b")]);
        let code = format!("(func $f {code}) (start $f)");
        component(&format!("{MEMORY} {segments} (data $passive \"passive\") {code}"))
    };
    for code in
        ["i32.const 9 i32.const 0 i32.const 3 memory.init $passive", "data.drop $passive", "data.drop 0"]
    {
        let before = module(code);
        let after = joined(&before).unwrap();
        assert_eq!(after, before, "{code}");
    }
    // The number of segments stands before the code where any of it names one; here none does any more.
    let mut before = module("data.drop 0");
    let drop = before.windows(3).position(|window| window == [0xfc, 9, 0]).unwrap();
    before[drop..drop + 3].fill(1);
    let after = joined(&before).unwrap();
    assert_eq!((segments(&before), segments(&after)), (vec![3], vec![2]));
    assert_eq!(memory(&before), memory(&after));
}

#[test]
fn modules_of_components_in_the_component_are_joined_and_all_else_stays() {
    let module = format!(
        "(core module {MEMORY} {} (func (export \"f\")) (@custom \"c\" \"x\"))",
        data(&[(0, "a"), (3, "b")])
    );
    let text = format!(
        "(component {module} (component {module} (component {module}) (type (list u8))) (core module))"
    );
    let before = wat::parse_str(text).unwrap();
    let after = joined(&before).unwrap();
    assert_eq!((segments(&before), segments(&after)), (vec![2, 2, 2, 0], vec![1, 1, 1, 0]));
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&after).unwrap();
    assert_eq!(joined(&after).unwrap(), after, "once is enough");
}

#[test]
fn a_component_gets_as_many_zeros_as_it_has_bytes() {
    let places: Vec<(u64, &str)> = (0..1000).map(|at| (at * (MAX_GAP + 1), "a")).collect();
    let before = component(&format!("(memory 70) {}", data(&places)));
    let after = joined(&before).unwrap();
    let joined = before.len() as u64 / MAX_GAP;
    assert_eq!(u64::from(segments(&after)[0]), 1000 - joined);
    assert!(after.len() <= 2 * before.len());
    assert_eq!(Room::of(usize::MAX).0, MAX_ZEROS);
}

// However many passive ones stand before: each active one is held only against those that were written.
#[test]
fn passive_segments_are_not_in_the_way() {
    let passive = "(data \"\")".repeat(2000);
    let before = component(&format!("{MEMORY} {passive} {}", data(&[(0, "a"), (3, "b"), (9, "c")])));
    let after = joined(&before).unwrap();
    assert_eq!(segments(&after), [2001]);
    assert_eq!(memory(&before), memory(&after));
}

#[test]
fn what_is_no_component_is_told() {
    assert!(joined(b"\0asm\x0d\0\x01\0\x01\x7f").is_err());
}
