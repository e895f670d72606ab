//! A manifest file as users write it: JSON, or YAML that becomes JSON.

use crate::cli::{manifest_file, yaml_marks::Marks};

pub(super) fn run(input: &[u8]) {
    let Ok(json) = manifest_file::to_json(input) else { return };
    let again = manifest_file::to_json(&json).expect("JSON is taken as it is");
    assert_eq!(again, json);
    if json != input {
        // From YAML: one line, sorted, without what HTML would trip over.
        assert!(!json.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | b'\n')));
        assert_eq!(manifest_file::to_json(input).expect("read once"), json);
        if let Some(marks) = Marks::read(input) {
            for pointer in ["", "/Packages/a", "/Marbles/m/Argv/0", "/~0~1", "/x/y/z/0/1/2"] {
                let (line, column) = marks.locate(pointer);
                assert!(line >= 1 && column >= 1);
            }
        }
    }
    assert_eq!(manifest_file::signature(&json).len(), 64);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "Packages:\n  b: {Debug: true}\n  a:\n    SecurityVersion: 2\nMarbles:\n  m:\n    Argv: [\"a<b>&c\"]\n",
        "Users:\n  u:\n    Certificate: |\n      line 1\n      line 2\n  v: &v {a: 1}\n  w: *v\n",
        "%YAML 1.2\n---\n? a\n: - 1\n  - !!str 2\n  - 0x1F\n  - .inf\n  - ~\n...\n",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
        "{ \"b\" : 1,\n\t\"a\":\"<\" }\n",
        "a: >-\n  folded\n  text\n\nb: 'it''s'\n\"c\\u0041\": 1e3\n<<: {d: 1}\n",
    ];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.push(crate::world::manifest().into_bytes());
    seeds
}
