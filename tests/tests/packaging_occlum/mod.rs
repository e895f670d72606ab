//! The published shapes of Occlum's files, of https://github.com/occlum/occlum (BSD licence). Fields that they do not know are errors here, since
//! Occlum would ignore them.
//!
//! Occlum.json: what `occlum build` reads, `OcclumConfiguration` in tools/gen_internal_conf/src/main.rs at commit
//! 012eb4edf942a27e20d1c44a4a81cd59385ceebb; docs/readthedocs/docs/source/occlum_configuration.md at
//! 642bee650c5bf17df6c1cb70c8f3cf607ce7cc0f describes the same fields. The list of files: what `copy_bom` reads, `Bom` in
//! tools/copy_bom/src/bom.rs at 06c00279f140a82bd429537fb959be4b28f2a306, without `excludes`, `createlinks`, `from`, `hash` and
//! `rename`, which [`Bom::files`] does not follow.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcclumJson {
    pub resource_limits: ResourceLimits,
    pub process: Process,
    pub entry_points: Vec<String>,
    pub env: Environment,
    pub metadata: Metadata,
    #[allow(dead_code)]
    feature: Feature,
    pub mount: Vec<Mount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct ResourceLimits {
    init_num_of_threads: Option<u32>,
    pub max_num_of_threads: u32,
    kernel_space_heap_size: String,
    kernel_space_heap_max_size: Option<String>,
    kernel_space_stack_size: String,
    pub user_space_size: String,
    user_space_max_size: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Process {
    pub default_stack_size: String,
    pub default_heap_size: String,
    pub default_mmap_size: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    pub default: Vec<String>,
    pub untrusted: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Metadata {
    pub product_id: u32,
    pub version_number: u32,
    pub debuggable: bool,
    pub disable_log: Option<bool>,
    enable_kss: bool,
    family_id: Id,
    ext_prod_id: Id,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Id {
    high: String,
    low: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Feature {
    amx: Option<u32>,
    pkru: Option<u32>,
    io_uring: Option<u32>,
    enable_edmm: Option<bool>,
    enable_posix_shm: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct Mount {
    #[serde(rename = "type")]
    pub type_: String,
    pub target: String,
    source: Option<String>,
    pub options: Option<MountOptions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub struct MountOptions {
    #[serde(rename = "MAC")]
    pub mac: Option<String>,
    pub layers: Option<Vec<Mount>>,
    temporary: Option<bool>,
    cache_size: Option<String>,
    disk_size: Option<String>,
}

/// The list of files that are copied in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bom {
    pub includes: Vec<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Target {
    target: String,
    #[serde(default)]
    mkdirs: Vec<String>,
    #[serde(default)]
    copy: Vec<Copied>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    #[serde(default)]
    dirs: Vec<String>,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Name(String),
    Entry(Entry),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Entry {
    name: String,
    autodep: Option<bool>,
}

impl Bom {
    /// Where to, and from where; folders as well.
    pub fn files(&self) -> Vec<(String, String)> {
        let name = |file: &File| match file {
            File::Name(name) | File::Entry(Entry { name, .. }) => name.clone(),
        };
        let of = |copied: &Copied| {
            copied.files.iter().map(name).chain(copied.dirs.iter().cloned()).collect::<Vec<_>>()
        };
        let to = |target: &Target| {
            let files = target.copy.iter().flat_map(of);
            files.map(|file| (target.target.clone(), file)).collect::<Vec<_>>()
        };
        self.targets.iter().flat_map(to).collect()
    }
}

/// `512MB`, `1GB`: in MiB.
pub fn mebibytes(size: &str) -> u64 {
    let (number, factor) = match size.strip_suffix("GB") {
        Some(number) => (number, 1024),
        None => (size.strip_suffix("MB").unwrap(), 1),
    };
    number.parse::<u64>().unwrap() * factor
}

#[test]
fn a_field_that_occlum_does_not_know_is_an_error_and_what_it_lets_out_may_be_absent() {
    use serde_json::{Value, from_value, json};
    let ours: Value = serde_json::from_str(&crate::read("occlum/Occlum.json")).unwrap();
    let with = |place: &str, field: &str, value: Value| {
        let mut changed = ours.clone();
        changed.pointer_mut(place).unwrap().as_object_mut().unwrap().insert(field.to_owned(), value);
        from_value::<OcclumJson>(changed).map(drop).map_err(|error| error.to_string())
    };
    let layer = "/mount/0/options/layers/0";
    let objects =
        ["", "/resource_limits", "/process", "/env", "/metadata", "/metadata/family_id", "/feature"];
    for place in objects.into_iter().chain(["/mount/0", "/mount/0/options", layer]) {
        let error = with(place, "user_space", json!("1MB")).unwrap_err();
        assert!(error.contains("unknown field `user_space`"), "{place}: {error}");
    }
    assert_eq!(with("/resource_limits", "user_space_max_size", json!("1GB")), Ok(()));
    assert_eq!(with("/mount/0/options", "disk_size", json!("1GB")), Ok(()));
    assert_eq!(with("", "feature", json!({})), Ok(()));
}
